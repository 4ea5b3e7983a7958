//! What the HTTP semantic conventions ask of spans.

use http::{HeaderName, Request, Uri, Version, header};

use crate::hop::Hop;

/// Texts that a peer sends are cut here: a span is to say what was asked, not to hold it all.
const MAX_TEXT: usize = 1024;

/// Sets what is known of a request that came in.
pub(super) fn describe_received<B>(hop: &Hop, request: &Request<B>) {
    let uri = request.uri();
    hop.set("url.path", cut(uri.path()).to_owned());
    if let Some(query) = uri.query() {
        hop.set("url.query", redacted(query));
    }
    hop.set("url.scheme", uri.scheme_str().unwrap_or("http").to_owned());
    let header = |name: HeaderName| request.headers().get(name)?.to_str().ok();
    // HTTP/2 has the host in the URI, HTTP/1 in a header.
    let authority = uri.authority().map(|authority| authority.as_str());
    if let Some(authority) = authority.or_else(|| header(header::HOST)) {
        let (address, port) = address(authority);
        hop.set("server.address", cut(address).to_owned());
        if let Some(port) = port {
            hop.set("server.port", i64::from(port));
        }
    }
    if let Some(agent) = header(header::USER_AGENT) {
        hop.set("user_agent.original", cut(agent).to_owned());
    }
    if let Some(version) = version(request.version()) {
        hop.set("network.protocol.version", version);
    }
}

/// Returns a protocol version in the conventions' words.
pub(super) fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_09 => Some("0.9"),
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

/// Splits what stands in `Host`: a name, or an address that is in brackets where it has colons
/// (RFC 3986, section 3.2.2), and a port.
pub(super) fn address(authority: &str) -> (&str, Option<u16>) {
    // A user and a password are nobody's business.
    let authority = authority.rsplit_once('@').map_or(authority, |(_, rest)| rest);
    let (host, rest) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest),
        None => match authority.find(':').and_then(|colon| authority.split_at_checked(colon)) {
            Some((host, rest)) => (host, rest),
            None => (authority, ""),
        },
    };
    (host, rest.strip_prefix(':').and_then(|port| port.parse().ok()))
}

/// Returns a URL without its user and password, and with secrets of its query left out.
pub(super) fn url_full(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let scheme = uri.scheme_str().unwrap_or("http");
    let mut url = format!("{scheme}://{host}{}", uri.path());
    if let Some(query) = uri.query() {
        url = format!("{url}?{}", redacted(query));
    }
    cut(&url).to_owned()
}

/// Replaces the values of the keys that the conventions list as secret (HTTP attribute registry,
/// `url.query`).
fn redacted(query: &str) -> String {
    const SECRET: [&str; 7] = [
        "AWSAccessKeyId",
        "Signature",
        "sig",
        "X-Amz-Credential",
        "X-Amz-Security-Token",
        "X-Amz-Signature",
        "X-Goog-Signature",
    ];
    let pairs = cut(query).split('&').map(|pair| match pair.split_once('=') {
        Some((key, _)) if SECRET.contains(&key) => format!("{key}=REDACTED"),
        _ => pair.to_owned(),
    });
    pairs.collect::<Vec<_>>().join("&")
}

pub(super) fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_out_of_urls() {
        let uri = "https://me:pass@cdn.example:444/a?x=1&sig=abc&Signature=d&signature=e";
        let full = url_full(&uri.parse().unwrap());
        assert_eq!(
            full,
            "https://cdn.example:444/a?x=1&sig=REDACTED&Signature=REDACTED&signature=e"
        );
        assert_eq!(address("me:pass@cdn.example:444"), ("cdn.example", Some(444)));
    }

    #[test]
    fn long_texts_are_cut() {
        let uri = format!("http://x/{}", "é".repeat(2_000).replace('é', "%C3%A9"));
        assert_eq!(url_full(&uri.parse().unwrap()).len(), MAX_TEXT);
    }
}
