//! What the HTTP semantic conventions ask of spans.

use std::cell::RefCell;

use http::{Uri, Version};

use super::headers::Headers;
use crate::hop::{Facts, attribute, pair};

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
    match uri.scheme_str() {
        None | Some("http") => facts.constant(pair!("url.scheme", "http")),
        Some(scheme) => facts.text(attribute!("url.scheme"), scheme),
    }
    // HTTP/2 has the host in the URI, HTTP/1 in a header.
    let authority = uri.authority().map(|authority| authority.as_str());
    if let Some(authority) = authority.or_else(|| headers.host()) {
        let known = AUTHORITY.try_with(|known| known.try_borrow_mut().ok()?.tell(authority, facts));
        if !matches!(known, Ok(Some(()))) {
            describe_authority(facts, authority);
        }
    }
    if let Some(agent) = headers.user_agent() {
        facts.text(attribute!("user_agent.original"), cut(agent));
    }
    describe_version(facts, http);
}

/// Tells of a protocol version.
pub(super) fn describe_version(facts: &mut Facts, http: Version) {
    match version(http) {
        Some("1.1") => facts.constant(pair!("network.protocol.version", "1.1")),
        Some(version) => facts.text(attribute!("network.protocol.version"), version),
        None => {}
    }
}

/// Tells where a request goes.
pub(super) fn describe_sent(facts: &mut Facts, uri: &Uri) {
    facts.text(attribute!("url.full"), &url_full(uri));
    if let Some(authority) = uri.authority() {
        let (host, port) = address(authority.as_str());
        facts.text(attribute!("server.address"), cut(host));
        let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        facts.int(attribute!("server.port"), i64::from(port.unwrap_or(usual)));
    }
}

/// What the last requests of a thread were sent to: mostly it is the same for all.
#[derive(Default)]
struct Authority {
    text: String,
    facts: Facts,
}

thread_local! {
    static AUTHORITY: RefCell<Authority> = RefCell::default();
}

impl Authority {
    /// Tells of an authority, unless it is too long to be kept.
    fn tell(&mut self, authority: &str, facts: &mut Facts) -> Option<()> {
        if self.text != authority {
            if authority.len() > MAX_TEXT {
                return None;
            }
            authority.clone_into(&mut self.text);
            self.facts = Facts::default();
            describe_authority(&mut self.facts, authority);
        }
        facts.extend(&self.facts);
        Some(())
    }
}

fn describe_authority(facts: &mut Facts, authority: &str) {
    let (address, port) = address(authority);
    facts.text(attribute!("server.address"), cut(address));
    if let Some(port) = port {
        facts.int(attribute!("server.port"), i64::from(port));
    }
}

/// Returns a protocol version in the conventions' words.
fn version(version: Version) -> Option<&'static str> {
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
fn address(authority: &str) -> (&str, Option<u16>) {
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
    if let Some((host, rest)) = own.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    let Some(colon) = colon else { return (own, None) };
    let host = authority.get(start..colon).unwrap_or_default();
    (host, authority.get(colon + 1..).and_then(|port| port.parse().ok()))
}

/// Returns a URL without its user and password, and with secrets of its query left out.
fn url_full(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let scheme = uri.scheme_str().unwrap_or("http");
    let mut url = String::with_capacity(scheme.len() + host.len() + uri.path().len() + 3);
    for part in [scheme, "://", host, uri.path()] {
        url.push_str(part);
    }
    if let Some(query) = uri.query() {
        url.push('?');
        url.push_str(&redacted(query));
    }
    url.truncate(url.floor_char_boundary(MAX_TEXT));
    url
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

#[inline]
pub(super) fn cut(text: &str) -> &str {
    if text.len() <= MAX_TEXT {
        return text;
    }
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
