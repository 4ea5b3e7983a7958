//! What kind of body is taken: JSON, as it is.

use http::{HeaderMap, header};

/// Checks that a body is JSON by its headers, and not encoded.
///
/// # Errors
///
/// Says what to send instead.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), &'static str> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let media_type = types.next().and_then(|value| value.to_str().ok()?.split(';').next());
    if types.next().is_some() {
        // RFC 9110, 8.3: it has one value; whoever reads another than we do takes another body.
        return Err("send one Content-Type, not several");
    }
    if !media_type.is_some_and(|text| text.trim().eq_ignore_ascii_case("application/json")) {
        return Err("send Content-Type: application/json");
    }
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    if encodings.all(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity")) {
        Ok(())
    } else {
        Err("send the body as it is, without a Content-Encoding")
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn checked(pairs: &[(&'static str, &'static str)]) -> Result<(), &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        check(&headers)
    }

    #[test]
    fn json_is_taken_with_a_charset_and_in_any_case() {
        assert_eq!(checked(&[("content-type", "Application/JSON; charset=utf-8")]), Ok(()));
        let identity = ("content-encoding", "identity");
        assert_eq!(checked(&[("content-type", "application/json"), identity]), Ok(()));
    }

    #[test]
    fn anything_else_is_refused() {
        let json = ("content-type", "application/json");
        assert!(checked(&[]).unwrap_err().contains("application/json"));
        assert!(checked(&[("content-type", "application/json, text/plain")]).is_err());
        assert!(checked(&[json, ("content-type", "text/plain")]).unwrap_err().contains("one"));
        assert!(checked(&[json, json]).unwrap_err().contains("one"));
        for encoding in ["gzip", "identity, gzip", ""] {
            let error = checked(&[json, ("content-encoding", encoding)]).unwrap_err();
            assert!(error.contains("Content-Encoding"), "{encoding}");
        }
    }
}
