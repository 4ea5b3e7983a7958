//! Reading headers: the order of the formats, duplicates, refusals, trust.

use super::{
    Propagation, Trust,
    baton::{Baton, Extracted, Format, Place, Refusal, Source},
    foreign::read_foreign,
};
use crate::{
    carrier::{Carrier, Medium},
    error::{ErrorKind, ParseError},
    wire::{Baggage, Flags, LegacyId, SpanId, TraceContext, TraceState, trim},
};

/// The names a legacy id is read from, in order.
const LEGACY_NAMES: [&str; 2] = ["x-trace-id", "trace_id"];
const LEGACY_SPAN: &str = "x-span-id";
const LEGACY_BAGGAGE: &str = "x-baggage-";

impl Propagation {
    /// Reads a baton from headers. Never fails: what is not taken is listed in `refused`.
    #[must_use]
    pub fn extract(&self, carrier: &dyn Carrier) -> Extracted {
        let mut extracted = Extracted::default();
        if self.trust == Trust::Ignore {
            return extracted;
        }
        for format in &self.read {
            match format {
                Format::TraceContext => read_trace_context(carrier, &mut extracted),
                Format::Baggage => read_baggage(carrier, &mut extracted.baton.baggage),
                Format::Legacy => read_legacy(carrier, &mut extracted),
                foreign => read_foreign(*foreign, carrier, &mut extracted),
            }
        }
        self.allow(&mut extracted.baton.baggage);
        self.judge(extracted)
    }

    /// Applies the trust policy to what was read.
    pub(super) fn judge(&self, mut extracted: Extracted) -> Extracted {
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

/// What stands under one name.
pub(super) enum Field<'a> {
    Absent,
    Value(&'a [u8]),
    Refused(ErrorKind),
}

/// Finds the one value of a name: in HTTP there may be only one, elsewhere the last counts.
pub(super) fn field<'a>(carrier: &'a dyn Carrier, name: &str) -> Field<'a> {
    let mut count = 0;
    let mut last = None;
    carrier.visit(name, &mut |value| {
        count += 1;
        last = value;
    });
    match (count, last) {
        (0, _) => Field::Absent,
        (2.., _) if carrier.medium() == Medium::Http => Field::Refused(ErrorKind::Duplicate),
        (_, None) => Field::Refused(ErrorKind::NotText),
        (_, Some(value)) => Field::Value(trim(value)),
    }
}

pub(super) fn refuse(extracted: &mut Extracted, name: &str, kind: ErrorKind) {
    extracted.refused.push(Refusal { name: name.to_owned(), kind });
}

pub(super) fn found(place: Place, format: Format, name: &str) -> Option<Source> {
    Some(Source { place, format, name: name.to_owned(), is_trusted: true })
}

/// Returns the place that headers of this medium are.
pub(super) fn place(carrier: &dyn Carrier) -> Place {
    match carrier.medium() {
        Medium::Http | Medium::Kafka => Place::Headers,
        Medium::Metadata => Place::Metadata,
    }
}

fn read_trace_context(carrier: &dyn Carrier, extracted: &mut Extracted) {
    const NAME: &str = "traceparent";
    if extracted.baton.context.is_some() {
        return;
    }
    let value = match field(carrier, NAME) {
        Field::Absent => return,
        Field::Refused(kind) => return refuse(extracted, NAME, kind),
        Field::Value(value) => value,
    };
    match TraceContext::parse_bytes(value) {
        Ok(context) => {
            extracted.baton.context = Some(context);
            extracted.source = found(place(carrier), Format::TraceContext, NAME);
            read_tracestate(carrier, extracted);
        }
        Err(error) => refuse(extracted, NAME, error.kind()),
    }
}

/// Reads `tracestate`, which counts only beside a valid `traceparent`. Several fields are one list
/// in HTTP (Trace Context Level 2, "Combined Header Value"); in Kafka the last counts.
fn read_tracestate(carrier: &dyn Carrier, extracted: &mut Extracted) {
    const NAME: &str = "tracestate";
    match TraceState::parse_fields(fields(carrier, NAME)) {
        Ok(state) => extracted.baton.tracestate = state,
        Err(error) => refuse(extracted, NAME, error.kind()),
    }
}

fn fields<'a>(carrier: &'a dyn Carrier, name: &str) -> Vec<&'a [u8]> {
    let mut values = Vec::new();
    carrier.visit(name, &mut |value| {
        if carrier.medium() != Medium::Http {
            values.clear();
        }
        values.extend(value);
    });
    values
}

fn read_baggage(carrier: &dyn Carrier, baggage: &mut Baggage) {
    let values = fields(carrier, "baggage");
    if !values.is_empty() {
        *baggage = Baggage::parse_fields(values);
    }
}

fn read_legacy(carrier: &dyn Carrier, extracted: &mut Extracted) {
    for name in LEGACY_NAMES {
        let value = match field(carrier, name) {
            Field::Absent => continue,
            Field::Refused(kind) => {
                refuse(extracted, name, kind);
                continue;
            }
            Field::Value(value) => value,
        };
        match LegacyId::parse_bytes(value) {
            Ok(Some(id)) => {
                take_legacy(carrier, extracted, name, id);
                break;
            }
            Ok(None) => {}
            Err(error) => refuse(extracted, name, error.kind()),
        }
    }
    carrier.visit_prefix(LEGACY_BAGGAGE, &mut |key, value| {
        let key = std::str::from_utf8(key).map(str::to_ascii_lowercase);
        let value = value.and_then(|value| std::str::from_utf8(trim(value)).ok());
        if let (Ok(key), Some(value)) = (key, value)
            && !value.chars().any(char::is_control)
            && extracted.baton.baggage.get(&key).is_none()
        {
            extracted.baton.baggage.set(&key, value);
        }
    });
}

/// Takes a legacy id as the trace, or keeps its text beside the trace that is there already.
fn take_legacy(carrier: &dyn Carrier, extracted: &mut Extracted, name: &str, id: LegacyId) {
    match extracted.baton.context {
        Some(context) if context.trace_id != id.trace_id() => {
            refuse(extracted, name, ErrorKind::Conflict);
        }
        Some(_) => {}
        None => {
            let span_id = match field(carrier, LEGACY_SPAN) {
                Field::Value(value) => match read_span(value) {
                    Ok(span_id) => Some(span_id),
                    Err(error) => {
                        refuse(extracted, LEGACY_SPAN, error.kind());
                        None
                    }
                },
                Field::Absent => None,
                Field::Refused(kind) => {
                    refuse(extracted, LEGACY_SPAN, kind);
                    None
                }
            };
            let (trace_id, flags) = (id.trace_id(), Flags::default());
            extracted.baton.context = Some(TraceContext { trace_id, span_id, flags });
            extracted.baton.is_deferred = true;
            extracted.source = found(place(carrier), Format::Legacy, name);
        }
    }
    if !id.is_canonical() {
        extracted.baton.legacy = Some(id);
    }
}

fn read_span(value: &[u8]) -> Result<SpanId, ParseError> {
    let lower = value.to_ascii_lowercase();
    let text = std::str::from_utf8(&lower).map_err(|_| ParseError::new(ErrorKind::NotText, 0))?;
    SpanId::parse(text)
}
