//! Batons in `http::HeaderMap`.

use ::http::{HeaderMap, HeaderName, HeaderValue};

#[cfg(feature = "otel")]
pub use self::propagators::{ReadHeaders, WriteHeaders};
use crate::carrier::{Carrier, CarrierMut, Medium, Search};

#[cfg(feature = "otel")]
mod propagators;

impl Carrier for HeaderMap {
    fn medium(&self) -> Medium {
        Medium::Http
    }

    /// Offers every field, those that are not ASCII included: they count as duplicates.
    fn search<'a>(&'a self, search: &mut Search<'_, 'a>) {
        for (name, value) in self {
            search.offer(name.as_str().as_bytes(), Some(value.as_bytes()));
        }
    }
}

impl CarrierMut for HeaderMap {
    fn medium(&self) -> Medium {
        Medium::Http
    }

    fn set(&mut self, name: &str, value: &str) {
        if let (Some(name), Ok(value)) = (header_name(name), HeaderValue::from_str(value)) {
            self.insert(name, value);
        }
    }

    fn remove(&mut self, name: &str) {
        if self.is_empty() {
            return;
        }
        if let Some(name) = header_name(name) {
            HeaderMap::remove(self, name);
        }
    }
}

/// Returns the name of a header; those that are written most are not read letter by letter.
fn header_name(name: &str) -> Option<HeaderName> {
    Some(match name {
        "traceparent" => HeaderName::from_static("traceparent"),
        "tracestate" => HeaderName::from_static("tracestate"),
        "baggage" => HeaderName::from_static("baggage"),
        "X-Trace-Id" | "x-trace-id" => HeaderName::from_static("x-trace-id"),
        "x-span-id" => HeaderName::from_static("x-span-id"),
        name => HeaderName::from_bytes(name.as_bytes()).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::ErrorKind, propagate::Propagation};

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_duplicate_that_is_not_ascii_is_still_one() {
        let mut headers = HeaderMap::new();
        headers.append("traceparent", HeaderValue::from_static(TEXT));
        headers.append("traceparent", HeaderValue::from_bytes(b"\xff").unwrap());
        let extracted = Propagation::default().extract(&headers);
        assert!(extracted.baton.context.is_none());
        assert_eq!(extracted.refused[0].kind, ErrorKind::Duplicate);
    }

    #[test]
    fn writing_replaces_what_stood_there() {
        let mut headers = HeaderMap::new();
        headers.append("traceparent", HeaderValue::from_static("old"));
        headers.append("traceparent", HeaderValue::from_static("older"));
        headers.append("tracestate", HeaderValue::from_static("a=1"));
        let incoming = HeaderMap::from_iter([(
            HeaderName::from_static("traceparent"),
            HeaderValue::from_static(TEXT),
        )]);
        let baton = Propagation::default().extract(&incoming).baton;
        Propagation::default().inject(&baton, &mut headers);
        assert_eq!(headers.get_all("traceparent").iter().collect::<Vec<_>>(), [TEXT]);
        assert!(!headers.contains_key("tracestate"), "the old state belongs to another trace");
        assert_eq!(headers["x-trace-id"], "0af7651916cd43dd8448eb211c80319c");
    }
}
