//! Lists of pairs: headers and the resource's attributes.

use http::{HeaderName, HeaderValue};

use crate::wire::percent_decode;

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
/// resource information via an environment variable"); what is no escape stays as it is.
pub(super) fn pairs(list: &str) -> Result<Vec<(String, String)>, String> {
    read(list, |text| Some(percent_decoded(text)))
}

/// Reads pairs whose parts `decode` reads.
///
/// An error does not show the member: headers hold secrets.
fn read(
    list: &str,
    decode: impl Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, String> {
    let decode = |text: &str, number: usize| {
        let message =
            "is not percent-encoded: `%` and two hexadecimal digits stand for a byte of UTF-8";
        decode(text.trim()).ok_or_else(|| format!("member {number} {message}"))
    };
    let members = list.split(',').map(str::trim).filter(|member| !member.is_empty());
    let read = (1..).zip(members).map(|(number, member)| {
        let (name, value) =
            member.split_once('=').ok_or_else(|| format!("member {number} has no `=`"))?;
        let name = decode(name, number)?;
        if name.is_empty() {
            return Err(format!("member {number} has no name"));
        }
        Ok((name, decode(value, number)?))
    });
    read.collect()
}

/// Reads headers from a list of pairs (OpenTelemetry Protocol Exporter, "Specifying headers via
/// environment variables").
pub(super) fn headers(list: &str) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    // A secret that is only nearly the right one would be refused by the endpoint, and nobody knew why.
    let strictly = |text: &str| String::from_utf8(percent_decode(text.as_bytes())?).ok();
    let read = read(list, strictly)?.into_iter().map(|(name, value)| {
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
        for wrong in ["a=1,secret=%zz", "a=1,secret%=b", "a=1,b=secret%4", "a=1,b=secret%ff"] {
            let message = headers(wrong).unwrap_err();
            assert!(message.starts_with("member 2 is not percent-encoded"), "{message}");
            assert!(!message.contains("secret"), "{message}");
        }
        for wrong in ["a b=secret", "a=secret%0d%0ax: y", "content-length=1", "Connection=secret"] {
            let message = headers(wrong).unwrap_err();
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
