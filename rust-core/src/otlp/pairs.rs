//! Lists of pairs: headers and the resource's attributes.

use http::{HeaderName, HeaderValue};

/// Headers that requests have of their own; another value would break them.
const TAKEN: [&str; 8] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "grpc-encoding",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Reads `key=value,key=value`, percent-encoded (OpenTelemetry, "Resource SDK", "Specifying
/// resource information via an environment variable").
///
/// An error does not show the member: headers hold secrets.
pub(super) fn pairs(list: &str) -> Result<Vec<(String, String)>, String> {
    let members = list.split(',').map(str::trim).filter(|member| !member.is_empty());
    let read = members.enumerate().map(|(index, member)| {
        let (name, value) =
            member.split_once('=').ok_or_else(|| format!("member {} has no `=`", index + 1))?;
        let name = percent_decoded(name.trim());
        if name.is_empty() {
            return Err(format!("member {} has no name", index + 1));
        }
        Ok((name, percent_decoded(value.trim())))
    });
    read.collect()
}

/// Reads headers from a list of pairs (OpenTelemetry Protocol Exporter, "Specifying headers via
/// environment variables").
pub(super) fn headers(list: &str) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let read = pairs(list)?.into_iter().map(|(name, value)| {
        let header = name.parse::<HeaderName>().ok().zip(HeaderValue::from_str(&value).ok());
        let (header, mut value) = header.ok_or_else(|| format!("cannot be a header: {name}"))?;
        if TAKEN.contains(&header.as_str()) {
            return Err(format!("is not for others to set: {name}"));
        }
        // So that it is not shown among the options.
        value.set_sensitive(true);
        Ok((header, value))
    });
    read.collect()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%')
            .then(|| after.split_at_checked(2))
            .flatten()
            .and_then(|(hex, after)| Some((std::str::from_utf8(hex).ok()?, after)))
            .filter(|(hex, _)| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|(hex, after)| Some((u8::from_str_radix(hex, 16).ok()?, after)));
        let (byte, after) = escaped.unwrap_or((first, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_percent_decoded() {
        let read = pairs("a=1%2C2, b=%zz,,%61%3Dc = d=e ").unwrap();
        let wanted = [("a", "1,2"), ("b", "%zz"), ("a=c", "d=e")];
        assert_eq!(read, wanted.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(pairs("a=1,secret").unwrap_err(), "member 2 has no `=`");
        assert_eq!(pairs("=secret").unwrap_err(), "member 1 has no name");
    }

    #[test]
    fn headers_are_checked_and_kept_secret() {
        let read = headers("Authorization=Bearer%20a;b=c,x-team=shop").unwrap();
        assert_eq!(read[0].0, "authorization");
        assert_eq!(read[0].1, "Bearer a;b=c");
        assert!(!format!("{read:?}").contains("Bearer"));
        for wrong in ["a b=secret", "a=secret%0d%0ax: y", "content-length=1", "Connection=secret"] {
            let message = headers(wrong).unwrap_err();
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
