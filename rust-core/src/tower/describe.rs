//! What the HTTP semantic conventions ask of spans.

use http::{Uri, Version};

use super::headers::Headers;
use crate::hop::{Facts, attribute};

/// Texts that a peer sends are cut here: a span is to say what was asked, not to hold it all.
const MAX_TEXT: usize = 1024;

/// Tells what is known of a request that came in.
pub(super) fn describe_received(
    facts: &mut Facts,
    uri: &Uri,
    http: Version,
    headers: &Headers<'_>,
) {
    facts.text(attribute!("url.path"), cut(uri.path()));
    if let Some(query) = uri.query() {
        facts.text(attribute!("url.query"), &redacted(query));
    }
    facts.text(attribute!("url.scheme"), uri.scheme_str().unwrap_or("http"));
    // HTTP/2 has the host in the URI, HTTP/1 in a header.
    let authority = uri.authority().map(|authority| authority.as_str());
    if let Some(authority) = authority.or_else(|| headers.host()) {
        let (address, port) = address(authority);
        facts.text(attribute!("server.address"), cut(address));
        if let Some(port) = port {
            facts.int(attribute!("server.port"), i64::from(port));
        }
    }
    if let Some(agent) = headers.user_agent() {
        facts.text(attribute!("user_agent.original"), cut(agent));
    }
    if let Some(version) = version(http) {
        facts.text(attribute!("network.protocol.version"), version);
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
    let (mut start, mut colon) = (0, None);
    for (at, byte) in authority.bytes().enumerate() {
        match byte {
            // A user and a password are nobody's business.
            b'@' => (start, colon) = (at + 1, None),
            b':' if colon.is_none() => colon = Some(at),
            _ => {}
        }
    }
    let own = authority.get(start..).unwrap_or_default();
    let (host, rest) = match own.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some(parts) => parts,
        None => match colon.and_then(|colon| own.split_at_checked(colon - start)) {
            Some(parts) => parts,
            None => (own, ""),
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
