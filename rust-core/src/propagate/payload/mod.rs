//! Ids inside a JSON payload, for queues whose messages have no headers.

mod find;
mod paths;
mod write;

use std::{borrow::Cow, fmt};

pub(super) use paths::Paths;

use self::{
    find::Found,
    paths::{Members, Spot},
};
use super::{
    Propagation, Trust,
    baton::{Baton, Extracted, Format, Place},
    field::{found, refuse},
    legacy,
};
use crate::{
    error::ErrorKind,
    wire::{Baggage, LegacyId, TraceContext, TraceState, trim},
};

/// The dotted paths at which payloads are searched unless told otherwise.
///
/// Beside a `trace_id` or `traceparent` the object's other members of our own are read too:
/// `traceparent` goes before `trace_id`, and takes `tracestate` and `baggage` along.
pub const DEFAULT_PATHS: [&str; 4] =
    ["tracing.traceparent", "traceparent", "trace_id", "tracing.trace_id"];

/// Of a payload this many bytes are looked at unless told otherwise.
pub const DEFAULT_PAYLOAD_BYTES: usize = 64 << 10;

/// The object into which a payload's baton is written unless told otherwise.
pub const DEFAULT_TARGET: &str = "tracing";

impl Propagation {
    /// Reads a baton from a JSON object, at the configured paths.
    ///
    /// Only the first 64 KiB are looked at, unless configured otherwise: what is whole within them is
    /// found, however long the payload is. Never fails: a payload that is not a JSON object holds no
    /// id.
    #[must_use]
    pub fn extract_payload(&self, payload: &[u8]) -> Extracted {
        let mut extracted = Extracted::default();
        if self.trust == Trust::Ignore {
            return extracted;
        }
        let values = find::find(payload, self.payload_paths.lookups(), self.payload_bytes);
        let reader = Reader { propagation: self, values: &values };
        for spot in self.payload_paths.spots() {
            reader.read(spot, &mut extracted);
            if extracted.source.is_some() {
                break;
            }
        }
        self.judge(extracted)
    }

    /// Returns a copy of a JSON object with the baton added: `traceparent` and `trace_id`, and
    /// `tracestate` and `baggage` where they are not empty, in the object at the configured path
    /// (`tracing`).
    ///
    /// All other values keep every byte. Nothing ever changes a payload but this call.
    ///
    /// # Errors
    ///
    /// Returns a [`PayloadError`] where the payload is not a JSON object, or a part of the path is
    /// there already and is not one.
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
        let traceparent = baton.context.and_then(TraceContext::to_traceparent);
        let is_traced = traceparent.is_some();
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let mut members = Vec::new();
        if let Some(id) = baton.id_text() {
            // A state that another hop left would belong to another span.
            let tracestate = text(baton.tracestate.as_str()).filter(|_| is_traced);
            members.push((paths::TRACEPARENT, traceparent));
            members.push((paths::TRACE_ID, Some(id.into_owned())));
            members.push((paths::TRACESTATE, tracestate));
        }
        if self.write.contains(&Format::Baggage) {
            members.push((paths::BAGGAGE, text(self.allowed(&baton.baggage).header())));
        }
        write::put(payload, &self.payload_target, &members)
    }
}

/// What stands in one payload.
struct Reader<'r, 'p> {
    propagation: &'r Propagation,
    values: &'r [Option<Found<'p>>],
}

impl Reader<'_, '_> {
    fn read(&self, spot: &Spot, extracted: &mut Extracted) {
        if let Some(object) = spot.object {
            self.read_object(object, extracted);
            if extracted.source.is_some() || spot.id == object.traceparent {
                return;
            }
        }
        let name = self.name(spot.id);
        let Some(text) = self.text(spot.id, extracted) else { return };
        if let Ok(context) = TraceContext::parse(text) {
            extracted.baton.context = Some(context);
            return found(extracted, Place::Payload, Format::TraceContext, name);
        }
        match LegacyId::parse(text) {
            Ok(Some(id)) => {
                legacy::take(extracted, Place::Payload, &name, id);
                if let Some(object) = spot.object {
                    self.read_baggage(object, extracted);
                }
            }
            Ok(None) => {}
            Err(error) => refuse(extracted, name, error.kind()),
        }
    }

    /// Reads an object that holds a `traceparent`, with what belongs to it.
    fn read_object(&self, object: Members, extracted: &mut Extracted) {
        let Some(text) = self.text(object.traceparent, extracted) else { return };
        let name = self.name(object.traceparent);
        match TraceContext::parse_bytes(trim(text.as_bytes())) {
            Ok(context) => extracted.baton.context = Some(context),
            Err(error) => return refuse(extracted, name, error.kind()),
        }
        found(extracted, Place::Payload, Format::TraceContext, name);
        if let Some(text) = self.companion(object.tracestate) {
            match TraceState::parse(text) {
                Ok(state) => extracted.baton.tracestate = state,
                Err(error) => refuse(extracted, self.name(object.tracestate), error.kind()),
            }
        }
        if let Some(text) = self.companion(object.trace_id)
            && !legacy::is_same(extracted, text.as_bytes())
        {
            let name = self.name(object.trace_id);
            match LegacyId::parse(text) {
                Ok(Some(id)) => _ = legacy::take(extracted, Place::Payload, &name, id),
                Ok(None) => {}
                Err(error) => refuse(extracted, name, error.kind()),
            }
        }
        self.read_baggage(object, extracted);
    }

    fn read_baggage(&self, object: Members, extracted: &mut Extracted) {
        if !self.propagation.read.contains(&Format::Baggage) {
            return;
        }
        let Some(text) = self.companion(object.baggage) else { return };
        let (baggage, left_out) = Baggage::read_fields([text.as_bytes()]);
        if let Some(kind) = left_out {
            refuse(extracted, self.name(object.baggage), kind);
        }
        extracted.baton.baggage = self.propagation.allowed(&baggage).into_owned();
    }

    /// Returns the text at a path that was asked for.
    fn text(&self, lookup: usize, extracted: &mut Extracted) -> Option<&str> {
        if let Some(Some(Found::NotText)) = self.values.get(lookup) {
            refuse(extracted, self.name(lookup), ErrorKind::NotText);
        }
        self.companion(lookup)
    }

    /// Returns the text of a member that may belong to a baton; anything else is somebody else's.
    fn companion(&self, lookup: usize) -> Option<&str> {
        match self.values.get(lookup) {
            Some(Some(Found::Text(text))) => Some(text),
            _ => None,
        }
    }

    fn name(&self, lookup: usize) -> Cow<'static, str> {
        self.propagation.payload_paths.name(lookup)
    }
}

/// A payload that cannot take a baton.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadError(String);

impl PayloadError {
    fn of(what: &str) -> Self {
        Self(format!("{what} is not a JSON object"))
    }
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PayloadError {}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";

    fn read(payload: &str) -> Extracted {
        Propagation::default().extract_payload(payload.as_bytes())
    }

    #[test]
    fn the_first_path_that_names_a_trace_counts() {
        let extracted = read(r#"{"trace_id":"order-1234","tracing":{"trace_id":"other"}}"#);
        let source = extracted.source.unwrap();
        assert_eq!((source.place, &*source.name), (Place::Payload, "trace_id"));
        assert_eq!(extracted.baton.legacy_text(), Some("order-1234"));
    }

    #[test]
    fn what_is_not_an_id_is_refused_or_absent() {
        for payload in ["[]", "{", "", r#"{"trace_id":null}"#, r#"{"trace_id":"none"}"#] {
            let extracted = read(payload);
            assert!(extracted.source.is_none() && extracted.refused.is_empty(), "{payload}");
        }
        assert_eq!(read(r#"{"trace_id":"a b"}"#).refused[0].kind, ErrorKind::BadByte);
        assert_eq!(read(r#"{"trace_id":7}"#).refused[0].kind, ErrorKind::NotText);
        // A broken traceparent is not an opaque id.
        let extracted = read(r#"{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad-01"}"#);
        assert!(extracted.source.is_none());
        assert_eq!(extracted.refused[0].kind, ErrorKind::BadLength);
    }

    #[test]
    fn a_baton_comes_out_of_a_payload_as_it_went_in() {
        let mut baton = read(r#"{"trace_id":"order-1234"}"#).baton;
        baton.context = Some(TraceContext::parse(TEXT).unwrap());
        baton.tracestate = TraceState::parse("a@b=1").unwrap();
        baton.baggage = Baggage::parse("user=Am%C3%A9lie");
        baton.is_deferred = false;
        for target in ["tracing", "", "job.meta"] {
            let propagation = Propagation::default().with_payload_target(target);
            let job = propagation.inject_payload(&baton, br#"{"b":1,"a":2}"#).unwrap();
            let read = propagation.extract_payload(&job);
            assert_eq!(read.baton, baton, "{target}");
            assert_eq!(read.refused[0].kind, ErrorKind::Conflict);
            assert_eq!(propagation.inject_payload(&read.baton, &job).unwrap(), job);
        }
    }

    #[test]
    fn a_baton_is_found_at_the_start_of_a_long_payload() {
        let baton = read(r#"{"trace_id":"order-1234"}"#).baton;
        let long = format!(r#"{{"blob":"{}"}}"#, "x".repeat(200_000));
        let job = Propagation::default().inject_payload(&baton, long.as_bytes()).unwrap();
        let propagation = Propagation::default();
        assert_eq!(propagation.extract_payload(&job).baton.legacy_text(), Some("order-1234"));
        let late = format!(r#"{{"blob":"{}","trace_id":"late"}}"#, "x".repeat(200_000));
        assert!(propagation.extract_payload(late.as_bytes()).source.is_none());
        let propagation = propagation.with_payload_bytes(1 << 20);
        assert!(propagation.extract_payload(late.as_bytes()).source.is_some());
    }
}
