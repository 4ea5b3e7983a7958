//! Reading headers: the order of the formats, and the trust policy.

use std::{borrow::Cow, time::SystemTime};

use super::{
    Propagation, Trust,
    baton::{Baton, Extracted, Format},
    compact::{self, Compact},
    count::count,
    field::{found, place, refuse, value, values},
    foreign::read_foreign,
    legacy, slots,
};
use crate::{
    carrier::{Carrier, Medium, Search, Slot},
    clock,
    wire::{Baggage, TraceContext, TraceState, trim},
};

/// W3C's headers and the id, each of which stands once or not at all.
#[cfg(feature = "otel")]
pub(crate) struct Single<'a> {
    pub(crate) parent: &'a [u8],
    pub(crate) state: Option<&'a [u8]>,
    pub(crate) baggage: Option<&'a [u8]>,
    pub(crate) id: Option<&'a [u8]>,
}

/// The places a baton may be in, for [`Propagation::extract_from`].
#[derive(Clone, Copy, Default)]
pub struct Places<'a> {
    /// Headers of HTTP or Kafka.
    pub headers: Option<&'a dyn Carrier>,
    /// A JSON payload.
    pub payload: Option<&'a [u8]>,
    /// The metadata of a job or message.
    pub metadata: Option<&'a dyn Carrier>,
}

impl Propagation {
    /// Reads a baton from headers. Never fails: what is not taken is listed in `refused`.
    #[must_use]
    pub fn extract(&self, carrier: &dyn Carrier) -> Extracted {
        let read = self.slots.names.search(carrier, |headers| self.read_search(headers));
        Extracted { extraction_time: SystemTime::now(), ..read }
    }

    /// Reads a baton from headers as [`Propagation::extract`] does, for whoever keeps what was found and
    /// may never ask for all of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use tracebaton::{carrier::{List, Medium}, propagate::Propagation};
    ///
    /// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    /// let headers = List::new(Medium::Kafka, [("traceparent", Some(text))]);
    /// let found = Propagation::default().extract_compact(&headers);
    /// assert_eq!(found.context().unwrap().to_traceparent().as_deref(), Some(text));
    /// assert_eq!(found.whole().source.as_ref().unwrap().name, "traceparent");
    /// ```
    #[must_use]
    #[inline]
    pub fn extract_compact(&self, carrier: &dyn Carrier) -> Compact {
        let nanos = clock::now();
        self.slots.names.search(carrier, |headers| match self.plain(headers) {
            Some(context) => Compact::parent(context, place(headers.medium()), nanos),
            None => self.read_compact(headers, nanos),
        })
    }

    #[inline(never)]
    fn read_compact(&self, headers: &Search<'_, '_>, nanos: u64) -> Compact {
        let extraction_time = compact::time(nanos);
        let Some(baton) = self.plain_baton(headers) else {
            return Extracted { extraction_time, ..self.read_search(headers) }.into();
        };
        let mut extracted = Extracted { baton, ..Extracted::at(extraction_time) };
        found(&mut extracted, place(headers.medium()), Format::TraceContext, "traceparent");
        extracted.into()
    }

    /// Reads a baton from headers, for whoever asks nothing else: where it came from, what was not
    /// taken and the time.
    ///
    /// # Examples
    ///
    /// ```
    /// use tracebaton::{carrier::{List, Medium}, propagate::Propagation};
    ///
    /// let headers = List::new(Medium::Kafka, [("trace_id", Some("order-1234"))]);
    /// let baton = Propagation::default().extract_baton(&headers);
    /// assert_eq!(baton.legacy_text(), Some("order-1234"));
    /// ```
    #[must_use]
    pub fn extract_baton(&self, carrier: &dyn Carrier) -> Baton {
        self.receive(carrier).0
    }

    /// Reads a baton from headers, and a context that is not carried on but is to be linked to.
    pub(crate) fn receive(&self, carrier: &dyn Carrier) -> (Baton, Option<TraceContext>) {
        self.slots.names.search(carrier, |headers| {
            if let Some(context) = self.plain(headers) {
                return (Baton { context: Some(context), ..Baton::default() }, None);
            }
            self.receive_all(headers)
        })
    }

    #[inline(never)]
    fn receive_all(&self, headers: &Search<'_, '_>) -> (Baton, Option<TraceContext>) {
        if let Some(baton) = self.plain_baton(headers) {
            return (baton, None);
        }
        let Extracted { baton, linked, .. } = self.read_search(headers);
        (baton, linked)
    }

    /// Reads a `traceparent` of version 00 beside which there is nothing else, if it is right and that
    /// is all that is asked.
    #[cfg(feature = "otel")]
    #[inline(always)]
    pub(crate) fn read_parent(&self, value: &[u8]) -> Option<TraceContext> {
        if self.is_usual { TraceContext::parse_00(value) } else { None }
    }

    /// Reads headers of the plainest kind, beside which there is nothing else: all are right, so that
    /// there is nothing to refuse, and the id is the trace's. Any other case is for
    /// [`Propagation::extract_baton`], which would say the same of this one.
    #[cfg(feature = "otel")]
    #[inline]
    pub(crate) fn read_single(&self, headers: &Single<'_>) -> Option<Baton> {
        let context = self.read_parent(headers.parent).filter(|_| self.baggage_keys.is_none())?;
        let is_other = |id: &[u8]| id != context.trace_id.to_hex();
        if headers.id.is_some_and(is_other) {
            return None;
        }
        let tracestate = headers.state.map_or(Some(TraceState::default()), TraceState::plain)?;
        let baggage = headers.baggage.map_or(Some(Baggage::default()), Baggage::plain)?;
        Some(Baton { context: Some(context), tracestate, baggage, ..Baton::default() })
    }

    /// Reads what nearly every message has: a `traceparent` that is right, and no id of its own or the
    /// same one. There is nothing to refuse then, and nothing else to carry on; any other case is for
    /// [`Propagation::read_search`], which would say the same of this one.
    #[inline(always)]
    fn plain(&self, headers: &Search<'_, '_>) -> Option<TraceContext> {
        let has_more = headers.slot(slots::TRACESTATE).count > 0
            || headers.slot(slots::BAGGAGE).count > 0
            || headers.has_prefixed();
        if has_more { None } else { self.plain_parent(headers) }
    }

    /// Reads as [`Propagation::plain`] does where there are a state and baggage besides, of the plainest
    /// kind too.
    fn plain_baton(&self, headers: &Search<'_, '_>) -> Option<Baton> {
        if headers.has_prefixed() || self.baggage_keys.is_some() {
            return None;
        }
        let context = self.plain_parent(headers)?;
        let (state, baggage) = (headers.slot(slots::TRACESTATE), headers.slot(slots::BAGGAGE));
        if !is_single(headers, &state) || !is_single(headers, &baggage) {
            return None;
        }
        let tracestate = match state.count {
            0 => TraceState::default(),
            _ => TraceState::plain(state.last?)?,
        };
        let baggage = match baggage.count {
            0 => Baggage::default(),
            _ => Baggage::plain(baggage.last?)?,
        };
        Some(Baton { context: Some(context), tracestate, baggage, ..Baton::default() })
    }

    #[inline(always)]
    fn plain_parent(&self, headers: &Search<'_, '_>) -> Option<TraceContext> {
        let parent = headers.slot(slots::TRACEPARENT);
        if !self.is_usual || !is_single(headers, &parent) {
            return None;
        }
        let ids = slots::TRACE_IDS..slots::TRACE_IDS + self.legacy_names.trace_ids().len();
        let id = ids.map(|slot| headers.slot(slot)).find(|slot| slot.count > 0);
        let context = TraceContext::parse_00(trim(parent.last?))?;
        match id {
            None => Some(context),
            Some(id) if is_single(headers, &id) && trim(id.last?) == context.trace_id.to_hex() => {
                Some(context)
            }
            Some(_) => None,
        }
    }

    /// Reads headers without a look at the clock.
    fn read_search(&self, headers: &Search<'_, '_>) -> Extracted {
        let mut extracted = Extracted::at(SystemTime::UNIX_EPOCH);
        if self.trust == Trust::Ignore {
            return extracted;
        }
        self.read_formats(headers, &mut extracted);
        if let Cow::Owned(baggage) = self.allowed(&extracted.baton.baggage) {
            extracted.baton.baggage = baggage;
        }
        self.judge(extracted)
    }

    fn read_formats(&self, headers: &Search<'_, '_>, extracted: &mut Extracted) {
        for format in &self.read {
            match format {
                Format::TraceContext => read_trace_context(headers, extracted),
                Format::Baggage => read_baggage(headers, extracted),
                Format::Legacy => {
                    legacy::read(&self.legacy_names, &self.slots, headers, extracted);
                }
                foreign => read_foreign(*foreign, &self.slots, headers, extracted),
            }
        }
    }

    /// Tells whether headers of this name, spelled so, are looked at: given in lower case in HTTP.
    #[must_use]
    pub fn reads(&self, name: &str) -> bool {
        self.trust != Trust::Ignore && self.slots.names.has(name)
    }

    /// Tells whether these names in this order, and this start of names, are all that is looked for.
    #[cfg(feature = "otel")]
    pub(crate) fn reads_only(&self, names: &[&str], prefix: &str) -> bool {
        self.slots.names.are(names, prefix)
    }

    /// Reads a baton from the first place that names a trace: headers, payload, metadata.
    ///
    /// `refused` tells of every place that was looked at.
    ///
    /// # Examples
    ///
    /// ```
    /// use tracebaton::propagate::{Place, Places, Propagation};
    ///
    /// let payload = Some(&br#"{"trace_id":"order-1234"}"#[..]);
    /// let extracted = Propagation::default().extract_from(Places { payload, ..Places::default() });
    /// assert_eq!(extracted.source.unwrap().place, Place::Payload);
    /// ```
    #[must_use]
    pub fn extract_from(&self, places: Places<'_>) -> Extracted {
        let readers: [&dyn Fn() -> Option<Extracted>; 3] = [
            &|| places.headers.map(|headers| self.extract(headers)),
            &|| places.payload.map(|payload| self.extract_payload(payload)),
            &|| places.metadata.map(|metadata| self.extract(metadata)),
        ];
        let mut best = Extracted::default();
        for mut extracted in readers.into_iter().filter_map(|read| read()) {
            // Baggage may travel where no trace does.
            if extracted.baton.baggage.is_empty() {
                extracted.baton.baggage = std::mem::take(&mut best.baton.baggage);
            }
            extracted.refused.splice(..0, best.refused.drain(..));
            best = extracted;
            if best.source.is_some() {
                break;
            }
        }
        best
    }

    /// Applies the trust policy to what was read, and counts what was not taken.
    pub(super) fn judge(&self, mut extracted: Extracted) -> Extracted {
        count(&extracted.refused);
        let is_trusted = self.trust == Trust::Continue;
        if let Some(source) = &mut extracted.source {
            source.is_trusted = is_trusted;
        }
        if !is_trusted {
            extracted.linked = extracted.baton.context.filter(|context| context.span_id.is_some());
            extracted.baton = Baton::default();
        }
        extracted
    }
}

/// Tells whether a name is there once at most, or the last of it counts.
#[inline(always)]
fn is_single(headers: &Search<'_, '_>, slot: &Slot<'_>) -> bool {
    slot.count <= 1 || headers.medium() != Medium::Http
}

pub(super) fn read_trace_context(headers: &Search<'_, '_>, extracted: &mut Extracted) {
    const NAME: &str = "traceparent";
    if extracted.baton.context.is_some() {
        return;
    }
    let Some(value) = value(headers, slots::TRACEPARENT, &NAME.into(), extracted) else { return };
    match TraceContext::parse_bytes(value) {
        Ok(context) => {
            extracted.baton.context = Some(context);
            found(extracted, place(headers.medium()), Format::TraceContext, NAME);
            read_tracestate(headers, extracted);
        }
        Err(error) => refuse(extracted, NAME, error.kind()),
    }
}

/// Reads `tracestate`, which counts only beside a valid `traceparent`. Several fields are one list
/// in HTTP (Trace Context Level 2, "Combined Header Value"); in Kafka the last counts.
fn read_tracestate(headers: &Search<'_, '_>, extracted: &mut Extracted) {
    const NAME: &str = "tracestate";
    let fields = values(headers, slots::TRACESTATE, NAME, extracted);
    match TraceState::parse_fields(fields) {
        Ok(state) => extracted.baton.tracestate = state,
        Err(error) => refuse(extracted, NAME, error.kind()),
    }
}

fn read_baggage(headers: &Search<'_, '_>, extracted: &mut Extracted) {
    const NAME: &str = "baggage";
    let fields = values(headers, slots::BAGGAGE, NAME, extracted);
    let (baggage, left_out) = Baggage::read_fields(fields);
    if let Some(kind) = left_out {
        refuse(extracted, NAME, kind);
    }
    extracted.baton.baggage = baggage;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        carrier::{List, Medium},
        error::ErrorKind,
        propagate::Place,
    };

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn extract(headers: &[(&str, &str)], payload: &str, metadata: &[(&str, &str)]) -> Extracted {
        let list = |medium, pairs: &[(&str, &str)]| {
            List::new(medium, pairs.iter().map(|(name, value)| (*name, Some(*value))))
        };
        let (headers, metadata) = (list(Medium::Kafka, headers), list(Medium::Metadata, metadata));
        Propagation::default().extract_from(Places {
            headers: Some(&headers),
            payload: Some(payload.as_bytes()),
            metadata: Some(&metadata),
        })
    }

    fn found(extracted: &Extracted) -> (Place, &str) {
        let source = extracted.source.as_ref().unwrap();
        (source.place, &source.name)
    }

    #[test]
    fn headers_go_before_the_payload_and_that_before_metadata() {
        let payload = r#"{"trace_id":"of-payload"}"#;
        let all = extract(&[("traceparent", TEXT)], payload, &[("trace_id", "of-metadata")]);
        assert_eq!(found(&all), (Place::Headers, "traceparent"));
        let two = extract(&[], payload, &[("trace_id", "of-metadata")]);
        assert_eq!(found(&two), (Place::Payload, "trace_id"));
        let one = extract(&[], "{}", &[("traceparent", TEXT)]);
        assert_eq!(found(&one), (Place::Metadata, "traceparent"));
        assert!(extract(&[], "", &[]).source.is_none());
    }

    #[test]
    fn every_place_that_was_looked_at_tells_what_it_refused() {
        let headers = [("traceparent", "00-zz"), ("baggage", "a=1")];
        let extracted = extract(&headers, r#"{"trace_id":"a b"}"#, &[("trace_id", "order-1")]);
        let refused: Vec<_> = extracted.refused.iter().map(|it| (&*it.name, it.kind)).collect();
        assert_eq!(
            refused,
            [("traceparent", ErrorKind::BadLength), ("trace_id", ErrorKind::BadByte)]
        );
        assert_eq!(extracted.baton.legacy_text(), Some("order-1"));
        assert_eq!(extracted.baton.baggage.get("a"), Some("1"), "it came with the headers");
    }
}
