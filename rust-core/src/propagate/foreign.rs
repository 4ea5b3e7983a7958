//! The formats of other tracing systems, each read and written under its own header names.

use std::str;

use super::{
    baton::{Baton, Extracted, Format},
    field::{found, place, refuse, value},
    slots::Slots,
};
use crate::{
    carrier::{CarrierMut, Search},
    error::ErrorKind,
    wire::{Baggage, b3, datadog, gcp, jaeger, trim, xray},
};

const TRACEPARENT: &str = "traceparent";
const B3: &str = "b3";
const B3_TRACE: &str = "x-b3-traceid";
const B3_SPAN: &str = "x-b3-spanid";
const B3_SAMPLED: &str = "x-b3-sampled";
const B3_FLAGS: &str = "x-b3-flags";
const JAEGER: &str = "uber-trace-id";
pub(super) const JAEGER_BAGGAGE: &str = "uberctx-";
const XRAY: &str = "x-amzn-trace-id";
const GCP: &str = "x-cloud-trace-context";
const DATADOG_TRACE: &str = "x-datadog-trace-id";
const DATADOG_PARENT: &str = "x-datadog-parent-id";
const DATADOG_TAGS: &str = "x-datadog-tags";
const DATADOG_PRIORITY: &str = "x-datadog-sampling-priority";

/// The names that are read, each with its format.
pub(super) const FOREIGN: [(Format, &str); 12] = [
    (Format::B3, B3),
    (Format::B3Multi, B3_TRACE),
    (Format::B3Multi, B3_SPAN),
    (Format::B3Multi, B3_SAMPLED),
    (Format::B3Multi, B3_FLAGS),
    (Format::Jaeger, JAEGER),
    (Format::XRay, XRAY),
    (Format::Gcp, GCP),
    (Format::Datadog, DATADOG_TRACE),
    (Format::Datadog, DATADOG_PARENT),
    (Format::Datadog, DATADOG_TAGS),
    (Format::Datadog, DATADOG_PRIORITY),
];

/// Returns the format whose trace id stands under a name, given in lower case.
pub(super) fn format_of(name: &str) -> Option<Format> {
    match name {
        TRACEPARENT => Some(Format::TraceContext),
        B3 => Some(Format::B3),
        B3_TRACE => Some(Format::B3Multi),
        JAEGER => Some(Format::Jaeger),
        XRAY => Some(Format::XRay),
        GCP => Some(Format::Gcp),
        DATADOG_TRACE => Some(Format::Datadog),
        _ => None,
    }
}

/// Returns the names under which a format is written.
pub(super) fn names_of(format: Format) -> &'static [&'static str] {
    match format {
        Format::B3 => &[B3],
        Format::B3Multi => &[B3_TRACE, B3_SPAN, B3_SAMPLED, B3_FLAGS],
        Format::Jaeger => &[JAEGER],
        Format::XRay => &[XRAY],
        Format::Gcp => &[GCP],
        Format::Datadog => &[DATADOG_TRACE, DATADOG_PARENT, DATADOG_TAGS, DATADOG_PRIORITY],
        Format::TraceContext => &[TRACEPARENT, "tracestate"],
        Format::Baggage => &["baggage"],
        Format::Legacy => &[],
    }
}

/// Reads one format, unless a trace is known already.
pub(super) fn read_foreign(
    format: Format,
    slots: &Slots,
    headers: &Search<'_, '_>,
    extracted: &mut Extracted,
) {
    if format == Format::Jaeger {
        read_jaeger_baggage(slots, headers, extracted);
    }
    if extracted.baton.context.is_some() {
        return;
    }
    let mut value =
        |name: &'static str| value(headers, slots.foreign(name), &name.into(), extracted);
    let read = match format {
        Format::B3 => value(B3).map(|value| (B3, b3::read_single(value))),
        Format::B3Multi => {
            let (trace, span) = (value(B3_TRACE), value(B3_SPAN));
            let (sampled, flags) = (value(B3_SAMPLED), value(B3_FLAGS));
            // Neither id means anything without the other (B3, "Identifiers").
            let read = |trace| b3::read_multi(trace, span.unwrap_or_default(), sampled, flags);
            trace.map(|trace| (B3_TRACE, read(trace)))
        }
        Format::Datadog => {
            let (trace, parent) = (value(DATADOG_TRACE), value(DATADOG_PARENT));
            let (tags, priority) = (value(DATADOG_TAGS), value(DATADOG_PRIORITY));
            trace.map(|trace| (DATADOG_TRACE, datadog::read(trace, parent, tags, priority)))
        }
        Format::Jaeger => value(JAEGER).map(|value| (JAEGER, jaeger::read(value))),
        Format::XRay => value(XRAY).map(|value| (XRAY, xray::read(value))),
        Format::Gcp => value(GCP).map(|value| (GCP, gcp::read(value))),
        Format::TraceContext | Format::Baggage | Format::Legacy => None,
    };
    match read {
        Some((name, Ok(sighting))) => {
            extracted.baton.context = Some(sighting.context);
            extracted.baton.is_debug = sighting.is_debug;
            extracted.baton.is_deferred = sighting.is_deferred;
            found(extracted, place(headers.medium()), format, name);
        }
        Some((name, Err(error))) => refuse(extracted, name, error.kind()),
        None => {}
    }
    if format == Format::B3 {
        // Whoever reads the single header must read the others too (B3, "Single Header").
        read_foreign(Format::B3Multi, slots, headers, extracted);
    }
}

fn read_jaeger_baggage(slots: &Slots, headers: &Search<'_, '_>, extracted: &mut Extracted) {
    let mut baggage = Baggage::default();
    for (key, value) in headers.prefixed(slots.jaeger_prefix) {
        let key = str::from_utf8(key).map(str::to_ascii_lowercase);
        let added = match (key, value.and_then(|value| jaeger::read_baggage(trim(value)))) {
            (Ok(key), Some(value)) => baggage.set(&key, &value),
            (Ok(_), None) => Err(ErrorKind::BadByte),
            (Err(_), _) => Err(ErrorKind::NotText),
        };
        if let Err(kind) = added {
            refuse(extracted, JAEGER_BAGGAGE, kind);
        }
    }
    if let Err(kind) = extracted.baton.baggage.add(baggage) {
        refuse(extracted, JAEGER_BAGGAGE, kind);
    }
}

/// Writes one format. What an earlier hop left under the names that have no value now is removed.
pub(super) fn write_foreign(
    format: Format,
    baton: &Baton,
    baggage: &Baggage,
    carrier: &mut dyn CarrierMut,
) {
    if format == Format::Jaeger {
        for entry in baggage.entries() {
            let name = format!("{JAEGER_BAGGAGE}{}", entry.key.to_ascii_lowercase());
            carrier.set(&name, &jaeger::write_baggage(&entry.value));
        }
    }
    let Some(context) = baton.context else { return };
    let mut put = |name: &str, text: Option<&str>| match text {
        Some(text) => carrier.set(name, text),
        None => carrier.remove(name),
    };
    match format {
        Format::B3 => {
            let text = b3::write_single(context, baton.is_debug, baton.is_deferred);
            put(B3, text.as_deref());
        }
        Format::B3Multi => {
            let headers = b3::write_multi(context, baton.is_debug, baton.is_deferred);
            put(B3_TRACE, headers.as_ref().map(|headers| &*headers.trace_id));
            put(B3_SPAN, headers.as_ref().map(|headers| &*headers.span_id));
            put(B3_SAMPLED, headers.as_ref().and_then(|headers| headers.sampled));
            put(B3_FLAGS, headers.as_ref().and_then(|headers| headers.flags));
        }
        Format::Jaeger => put(JAEGER, jaeger::write(context, baton.is_debug).as_deref()),
        Format::XRay => put(XRAY, xray::write(context, baton.is_deferred).as_deref()),
        Format::Gcp => put(GCP, gcp::write(context, baton.is_deferred).as_deref()),
        Format::Datadog => {
            let headers = datadog::write(context, baton.is_deferred);
            put(DATADOG_TRACE, headers.as_ref().map(|headers| &*headers.trace_id));
            put(DATADOG_PARENT, headers.as_ref().map(|headers| &*headers.parent_id));
            put(DATADOG_TAGS, headers.as_ref().and_then(|headers| headers.tags.as_deref()));
            put(DATADOG_PRIORITY, headers.as_ref().and_then(|headers| headers.priority));
        }
        Format::TraceContext | Format::Baggage | Format::Legacy => {}
    }
}
