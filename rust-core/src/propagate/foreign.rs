//! The formats of other tracing systems, each read and written under its own header names.

use super::{
    baton::{Baton, Extracted, Format},
    extract::{Field, field, found, place, refuse},
};
use crate::{
    carrier::{Carrier, CarrierMut},
    error::ErrorKind,
    wire::{b3, datadog, gcp, jaeger, percent_decode, trim, xray},
};

const B3_TRACE: &str = "x-b3-traceid";
const B3_SPAN: &str = "x-b3-spanid";
const B3_SAMPLED: &str = "x-b3-sampled";
const B3_FLAGS: &str = "x-b3-flags";
const JAEGER: &str = "uber-trace-id";
const JAEGER_BAGGAGE: &str = "uberctx-";
const XRAY: &str = "x-amzn-trace-id";
const GCP: &str = "x-cloud-trace-context";
const DATADOG_TRACE: &str = "x-datadog-trace-id";
const DATADOG_PARENT: &str = "x-datadog-parent-id";
const DATADOG_TAGS: &str = "x-datadog-tags";
const DATADOG_PRIORITY: &str = "x-datadog-sampling-priority";

/// Reads one format, unless a trace is known already.
pub(super) fn read_foreign(format: Format, carrier: &dyn Carrier, extracted: &mut Extracted) {
    if format == Format::Jaeger {
        read_jaeger_baggage(carrier, extracted);
    }
    if extracted.baton.context.is_some() {
        return;
    }
    let (name, sighting) = match format {
        Format::B3 => match value(carrier, "b3", extracted).map(b3::read_single) {
            Some(Ok(sighting)) => ("b3", Ok(sighting)),
            Some(Err(error)) => {
                refuse(extracted, "b3", error.kind());
                return read_foreign(Format::B3Multi, carrier, extracted);
            }
            None => return read_foreign(Format::B3Multi, carrier, extracted),
        },
        Format::B3Multi => {
            let trace = value(carrier, B3_TRACE, extracted);
            let span = value(carrier, B3_SPAN, extracted);
            let sampled = value(carrier, B3_SAMPLED, extracted);
            let flags = value(carrier, B3_FLAGS, extracted);
            let (Some(trace), Some(span)) = (trace, span) else { return };
            (B3_TRACE, b3::read_multi(trace, span, sampled, flags))
        }
        Format::Datadog => {
            let Some(trace) = value(carrier, DATADOG_TRACE, extracted) else { return };
            let parent = value(carrier, DATADOG_PARENT, extracted);
            let tags = value(carrier, DATADOG_TAGS, extracted);
            let priority = value(carrier, DATADOG_PRIORITY, extracted);
            (DATADOG_TRACE, datadog::read(trace, parent, tags, priority))
        }
        Format::Jaeger => match value(carrier, JAEGER, extracted) {
            Some(value) => (JAEGER, jaeger::read(value)),
            None => return,
        },
        Format::XRay => match value(carrier, XRAY, extracted) {
            Some(value) => (XRAY, xray::read(value)),
            None => return,
        },
        Format::Gcp => match value(carrier, GCP, extracted) {
            Some(value) => (GCP, gcp::read(value)),
            None => return,
        },
        Format::TraceContext | Format::Baggage | Format::Legacy => return,
    };
    match sighting {
        Ok(sighting) => {
            extracted.baton.context = Some(sighting.context);
            extracted.baton.is_debug = sighting.is_debug;
            extracted.baton.is_deferred = sighting.is_deferred;
            extracted.source = found(place(carrier), format, name);
        }
        Err(error) => refuse(extracted, name, error.kind()),
    }
}

fn value<'a>(carrier: &'a dyn Carrier, name: &str, extracted: &mut Extracted) -> Option<&'a [u8]> {
    match field(carrier, name) {
        Field::Absent => None,
        Field::Value(value) => Some(value),
        Field::Refused(kind) => {
            refuse(extracted, name, kind);
            None
        }
    }
}

fn read_jaeger_baggage(carrier: &dyn Carrier, extracted: &mut Extracted) {
    carrier.visit_prefix(JAEGER_BAGGAGE, &mut |key, value| {
        let key = std::str::from_utf8(key).map(str::to_ascii_lowercase);
        let value = value.and_then(|value| percent_decode(trim(value)));
        let value = value.and_then(|value| String::from_utf8(value).ok());
        match (key, value) {
            (Ok(key), Some(value)) if extracted.baton.baggage.get(&key).is_none() => {
                extracted.baton.baggage.set(&key, &value);
            }
            (_, None) => refuse(extracted, JAEGER_BAGGAGE, ErrorKind::BadByte),
            _ => {}
        }
    });
}

/// Writes one format.
pub(super) fn write_foreign(format: Format, baton: &Baton, carrier: &mut dyn CarrierMut) {
    let Some(context) = baton.context else { return };
    let Some(span_id) = context.span_id else { return };
    let mut set = |name: &str, text: Option<String>| {
        if let Some(text) = text {
            carrier.set(name, &text);
        }
    };
    match format {
        Format::B3 => set("b3", b3::write_single(context, baton.is_debug, baton.is_deferred)),
        Format::B3Multi => {
            set(B3_TRACE, Some(context.trace_id.to_string()));
            set(B3_SPAN, Some(span_id.to_string()));
            // Debug goes alone: it implies the decision (B3, "Debug Flag").
            let sampled = u8::from(context.flags.is_sampled()).to_string();
            set(B3_SAMPLED, (!baton.is_debug && !baton.is_deferred).then_some(sampled));
            set(B3_FLAGS, baton.is_debug.then(|| "1".to_owned()));
        }
        Format::Jaeger => {
            set(JAEGER, jaeger::write(context, baton.is_debug));
        }
        Format::XRay => set(XRAY, xray::write(context, baton.is_deferred)),
        Format::Gcp => set(GCP, gcp::write(context)),
        Format::Datadog => {
            if let Some(headers) = datadog::write(context) {
                set(DATADOG_TRACE, Some(headers.trace_id));
                set(DATADOG_PARENT, Some(headers.parent_id));
                set(DATADOG_TAGS, headers.tags);
                set(DATADOG_PRIORITY, Some(headers.priority.to_owned()));
            }
        }
        Format::TraceContext | Format::Baggage | Format::Legacy => {}
    }
}
