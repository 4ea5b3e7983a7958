//! Writing headers.

use super::{
    Propagation,
    baton::{Baton, Format},
    foreign::{names_of, write_foreign},
};
use crate::{
    carrier::{CarrierMut, Medium},
    wire::{self, TraceContext, trim},
};

impl Propagation {
    /// Returns the names of the HTTP headers that [`Propagation::inject`] may set, in lower case; of
    /// baggage that has a header for each pair the names are not known before.
    #[must_use]
    pub fn fields(&self) -> Vec<String> {
        let mut fields: Vec<String> = Vec::new();
        for format in &self.write {
            fields.extend(names_of(*format).iter().map(|name| (*name).to_owned()));
            if *format == Format::Legacy {
                fields.push(self.legacy_names.written(Medium::Http).to_ascii_lowercase());
                if !self.write.contains(&Format::TraceContext) {
                    fields.push(self.legacy_names.span_id().clone().into_owned());
                }
            }
        }
        fields
    }

    /// Writes a baton, in place of whatever stood under the same names.
    ///
    /// `tracestate` and `baggage` are written when they are not empty; what an earlier hop left
    /// under those names is removed, and so is a `traceparent` where the context names no span. Without
    /// a context the trace's headers are left alone.
    pub fn inject(&self, baton: &Baton, carrier: &mut dyn CarrierMut) {
        if self.writes_usual && self.inject_usual(baton, carrier) {
            return;
        }
        for format in &self.write {
            match format {
                Format::TraceContext => {
                    let Some(context) = baton.context else { continue };
                    let text = context.traceparent();
                    let text = text.as_ref().and_then(|text| wire::text(text)).unwrap_or_default();
                    // Where there is no span to be named, one that stands there is another trace's.
                    let state = if text.is_empty() { "" } else { baton.tracestate.as_str() };
                    put(carrier, "traceparent", text);
                    put(carrier, "tracestate", state);
                }
                Format::Baggage => {
                    put(carrier, "baggage", self.allowed(&baton.baggage).header());
                }
                Format::Legacy => self.write_legacy(baton, carrier),
                foreign => {
                    write_foreign(*foreign, baton, &self.allowed(&baton.baggage), carrier);
                }
            }
        }
    }
}

impl Propagation {
    /// Writes the headers of the usual formats in one go, where there is a span to be written.
    fn inject_usual(&self, baton: &Baton, carrier: &mut dyn CarrierMut) -> bool {
        let Some(text) = baton.context.and_then(TraceContext::traceparent) else { return false };
        let Some(parent) = wire::text(&text) else { return false };
        let Some(trace_id) = parent.get(3..35) else { return false };
        let names = &self.legacy_names;
        carrier.write(&[
            ("traceparent", parent),
            ("tracestate", baton.tracestate.as_str()),
            ("baggage", baton.baggage.header()),
            (names.written(carrier.medium()), baton.legacy_text().unwrap_or(trace_id)),
            // One that an earlier hop left would name the wrong parent.
            (names.span_id(), ""),
        ]);
        true
    }

    /// Returns the HTTP header of the id, where all that is written beside it is W3C's.
    #[cfg(feature = "otel")]
    pub(crate) fn only_id_name(&self) -> Option<&str> {
        let is_usual = self.write == [Format::TraceContext, Format::Baggage, Format::Legacy];
        is_usual.then(|| self.legacy_names.written(Medium::Http))
    }

    /// Writes the id, and, where no other format is written that holds them, the span and the
    /// baggage.
    fn write_legacy(&self, baton: &Baton, carrier: &mut dyn CarrierMut) {
        let names = &self.legacy_names;
        let digits = baton.context.map(|context| context.trace_id.to_hex());
        let plain = digits.as_ref().and_then(|digits| wire::text(digits));
        if let Some(text) = baton.legacy_text().or(plain) {
            carrier.set(names.written(carrier.medium()), text);
            let is_alone = !self.write.contains(&Format::TraceContext);
            let span_id = baton.context.and_then(|context| context.span_id).filter(|_| is_alone);
            // One that an earlier hop left would name the wrong parent.
            put(carrier, names.span_id(), &span_id.map(|id| id.to_string()).unwrap_or_default());
        }
        if self.write.contains(&Format::Baggage) {
            return;
        }
        for entry in self.allowed(&baton.baggage).entries() {
            // There is no escape in these headers: what would not be read again as it is stays behind.
            let value = entry.value.as_bytes();
            if value.iter().all(|byte| matches!(byte, b' '..=b'~')) && trim(value) == value {
                let name = format!("{}{}", names.baggage_prefix(), entry.key.to_ascii_lowercase());
                carrier.set(&name, &entry.value);
            }
        }
    }
}

fn put(carrier: &mut dyn CarrierMut, name: &str, value: &str) {
    if value.is_empty() {
        carrier.remove(name);
    } else {
        carrier.set(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{carrier::List, wire::Baggage};

    #[test]
    fn the_fields_are_those_that_are_set() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let baton = Baton {
            context: Some(text.parse().unwrap()),
            tracestate: "a=1".parse().unwrap(),
            baggage: Baggage::parse("a=1"),
            ..Baton::default()
        };
        for formats in [&Format::ALL[..], &Format::ALL[..3], &[Format::TraceContext, Format::XRay]]
        {
            let propagation = Propagation::default().with_write(formats);
            let mut list = List::new::<&str, &str>(Medium::Http, []);
            propagation.inject(&baton, &mut list);
            let fields = propagation.fields();
            for (name, _) in list.entries() {
                let name = String::from_utf8_lossy(name).to_ascii_lowercase();
                assert!(fields.contains(&name) || name.starts_with("uberctx-"), "{name}");
            }
        }
        let fields = Propagation::default().fields();
        assert_eq!(fields, ["traceparent", "tracestate", "baggage", "x-trace-id"]);
    }

    #[test]
    fn an_id_without_a_span_does_not_stand_beside_another_trace() {
        let id = List::new(Medium::Kafka, [("trace_id", Some("order-1234"))]);
        let baton = Propagation::default().extract(&id).baton;
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let stale =
            [("traceparent", Some(parent)), ("tracestate", Some("a=1")), ("shop", Some("b"))];
        let mut list = List::new(Medium::Kafka, stale);
        Propagation::default().inject(&baton, &mut list);
        let names: Vec<_> = list.entries().iter().map(|(name, _)| &name[..]).collect();
        assert_eq!(names, [&b"shop"[..], b"trace_id"]);
        let mut list = List::new(Medium::Kafka, stale);
        Propagation::default().inject(&Baton::default(), &mut list);
        assert_eq!(list.entries().len(), 3, "without a context there is nothing to say");
    }

    #[test]
    fn what_is_written_at_once_is_what_is_written_one_by_one() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = Some(text.parse().unwrap());
        let stale = ["traceparent", "tracestate", "baggage", "trace_id", "x-span-id", "X-Trace-Id"];
        let full = Baton {
            context,
            tracestate: "a=1".parse().unwrap(),
            baggage: Baggage::parse("a=1"),
            legacy: crate::wire::LegacyId::parse("order-1234").unwrap(),
            ..Baton::default()
        };
        for baton in [full, Baton { context, ..Baton::default() }, Baton::default()] {
            for medium in [Medium::Http, Medium::Kafka, Medium::Metadata] {
                let written = |propagation: Propagation| {
                    let mut list = List::new(medium, stale.map(|name| (name, Some("old"))));
                    propagation.inject(&baton, &mut list);
                    list.entries().to_vec()
                };
                let usual = Propagation::default();
                assert!(usual.writes_usual);
                let one_by_one = Propagation::default().with_baggage_keys(["a".to_owned()]);
                assert!(!one_by_one.writes_usual);
                assert_eq!(written(usual), written(one_by_one), "{medium:?}");
            }
        }
    }
}
