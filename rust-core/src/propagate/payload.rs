//! Ids inside a JSON payload, for queues whose messages have no headers.

use std::fmt;

use serde_json::{
    Value as Json,
    value::{Map, RawValue},
};

use super::{
    Propagation,
    baton::{Baton, Extracted, Format, Place},
    field::{found, refuse},
    legacy,
};
use crate::wire::{LegacyId, TraceContext};

/// The dotted paths at which payloads are searched unless told otherwise. A value that is a
/// `traceparent` is read as one; any other is a legacy id.
pub const DEFAULT_PATHS: [&str; 4] =
    ["tracing.traceparent", "traceparent", "trace_id", "tracing.trace_id"];

impl Propagation {
    /// Reads a baton from a JSON object, at the configured paths.
    ///
    /// Only the first 64 KiB are looked at. Never fails: a payload that is not a JSON object holds
    /// no id.
    #[must_use]
    pub fn extract_payload(&self, payload: &[u8]) -> Extracted {
        let mut extracted = Extracted::default();
        if self.trust == super::Trust::Ignore || payload.len() > self.payload_bytes {
            return extracted;
        }
        for path in &self.payload_paths {
            let Some(text) = at_path(payload, path) else { continue };
            if let Ok(context) = TraceContext::parse(&text) {
                extracted.baton.context = Some(context);
                found(&mut extracted, Place::Payload, Format::TraceContext, path.clone());
                break;
            }
            match LegacyId::parse(&text) {
                Ok(Some(id)) => {
                    legacy::take(&mut extracted, Place::Payload, path, id);
                    break;
                }
                Ok(None) => {}
                Err(error) => refuse(&mut extracted, path.clone(), error.kind()),
            }
        }
        self.judge(extracted)
    }

    /// Returns a copy of a JSON object with the baton added as `tracing.traceparent` and
    /// `tracing.trace_id`.
    ///
    /// # Errors
    ///
    /// Returns a [`PayloadError`] where the payload is not a JSON object, or `tracing` is there
    /// already and is not one.
    ///
    /// # Examples
    ///
    /// ```
    /// use tracebaton::{TraceContext, propagate::{Baton, Propagation}};
    ///
    /// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    /// let context = Some(TraceContext::parse(text)?);
    /// let baton = Baton { context, ..Baton::default() };
    /// let job = Propagation::default().inject_payload(&baton, br#"{"job":1}"#)?;
    /// let read = Propagation::default().extract_payload(&job);
    /// assert_eq!(read.baton.context, context);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn inject_payload(&self, baton: &Baton, payload: &[u8]) -> Result<Vec<u8>, PayloadError> {
        let Ok(Json::Object(mut object)) = serde_json::from_slice(payload) else {
            return Err(PayloadError("the payload is not a JSON object"));
        };
        let tracing = object.entry("tracing").or_insert_with(|| Json::Object(Map::new()));
        let Json::Object(tracing) = tracing else {
            return Err(PayloadError("`tracing` is in the payload already and is not an object"));
        };
        if let Some(text) = baton.context.and_then(TraceContext::to_traceparent) {
            tracing.insert("traceparent".into(), text.into());
        }
        if let Some(text) = baton.id_text() {
            tracing.insert("trace_id".into(), text.into());
        }
        Ok(Json::Object(object).to_string().into_bytes())
    }
}

/// A payload that cannot take a baton.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadError(&'static str);

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for PayloadError {}

/// Finds the text at a dotted path; objects on the way are read shallowly, nothing else is built.
fn at_path(payload: &[u8], path: &str) -> Option<String> {
    let mut raw: &RawValue = serde_json::from_slice(payload).ok()?;
    for key in path.split('.') {
        let object: std::collections::BTreeMap<std::borrow::Cow<'_, str>, &RawValue> =
            serde_json::from_str(raw.get()).ok()?;
        raw = object.get(key)?;
    }
    serde_json::from_str(raw.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn the_first_path_that_names_a_trace_counts() {
        let payload = br#"{"trace_id":"order-1234","tracing":{"trace_id":"other"}}"#;
        let extracted = Propagation::default().extract_payload(payload);
        let source = extracted.source.unwrap();
        assert_eq!((source.place, &*source.name), (Place::Payload, "trace_id"));
        assert_eq!(extracted.baton.legacy_text(), Some("order-1234"));
    }

    #[test]
    fn what_is_not_an_id_is_refused_or_absent() {
        for payload in [&b"{\"trace_id\":7}"[..], b"[]", b"{", b"", b"{\"trace_id\":null}"] {
            let extracted = Propagation::default().extract_payload(payload);
            assert!(extracted.source.is_none() && extracted.refused.is_empty());
        }
        let refused = Propagation::default().extract_payload(br#"{"trace_id":"a b"}"#).refused;
        assert_eq!(refused[0].kind, ErrorKind::BadByte);
    }

    #[test]
    fn a_payload_keeps_its_other_members_in_order() {
        let baton = Propagation::default().extract_payload(br#"{"trace_id":"order-1234"}"#).baton;
        let out = Propagation::default().inject_payload(&baton, br#"{"b":1,"a":2}"#).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, r#"{"b":1,"a":2,"tracing":{"trace_id":"order-1234"}}"#);
        assert!(Propagation::default().inject_payload(&baton, b"[1]").is_err());
        assert!(Propagation::default().inject_payload(&baton, br#"{"tracing":1}"#).is_err());
    }
}
