//! Spans of hops, recorded by a tracer of the host's.

use std::{
    borrow::Cow,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use opentelemetry::{
    Array, Context, KeyValue,
    trace::{
        self, Event, Link, Span, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt,
        TraceFlags, TraceState, Tracer,
    },
};

use super::ids::asking_for;
use crate::{
    hop::{self, FinishedSpan, Value},
    otlp::SpanHost,
    wire::{Flags, SpanId, TraceId},
};

/// Lets a tracer of the host's record the spans of hops, so that its processors, samplers and
/// exporters see them: for [`Options::span_host`](crate::otlp::Options::span_host).
///
/// A hop's span is started and ended when the hop has ended, with the times, the ids and the parent
/// it had. For the ids the provider must use the [`BatonIdGenerator`](super::BatonIdGenerator). Only
/// spans of sampled traces are handed over; the host's sampler is asked about them again.
///
/// # Examples
///
/// ```
/// use opentelemetry::trace::TracerProvider;
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use tracebaton::{hop::Recorder, otel::{self, BatonIdGenerator}, otlp::{Exporter, Options}};
///
/// let provider = SdkTracerProvider::builder().with_id_generator(BatonIdGenerator::default()).build();
/// let options = Options {
///     span_host: Some(otel::spans_to(provider.tracer("tracebaton"))),
///     ..Options::default()
/// };
/// let exporter = Exporter::start(Recorder::global(), &options)?;
/// # drop(exporter);
/// # Ok::<(), tracebaton::otlp::OptionError>(())
/// ```
#[must_use]
pub fn spans_to<T>(tracer: T) -> SpanHost
where
    T: Tracer + Send + Sync + 'static,
{
    SpanHost::new(move |spans| spans.into_iter().map(|span| record(&tracer, span)).count())
}

fn record(tracer: &impl Tracer, finished: FinishedSpan) {
    let cx = finished.parent.map_or_else(Context::new, |parent| {
        let state = TraceState::from_str(&finished.tracestate).unwrap_or_default();
        let context = SpanContext::new(
            trace_id(finished.trace_id),
            span_id(parent),
            flags(finished.flags),
            finished.parent_is_remote,
            state,
        );
        Context::new().with_remote_span_context(context)
    });
    let end = time(finished.end);
    let events = finished.exception.map(|(kind, message)| {
        let told = vec![
            KeyValue::new("exception.type", kind),
            KeyValue::new("exception.message", message),
        ];
        vec![Event::new("exception", end, told, 0)]
    });
    let builder = SpanBuilder {
        span_kind: Some(match finished.kind {
            hop::SpanKind::Internal => SpanKind::Internal,
            hop::SpanKind::Server => SpanKind::Server,
            hop::SpanKind::Client => SpanKind::Client,
            hop::SpanKind::Producer => SpanKind::Producer,
            hop::SpanKind::Consumer => SpanKind::Consumer,
        }),
        name: Cow::Owned(finished.name),
        start_time: Some(time(finished.start)),
        attributes: Some(finished.attributes.into_iter().map(attribute).collect()),
        events,
        links: Some(finished.links.into_iter().map(link).collect()),
    };
    let _asking = asking_for(finished.trace_id, finished.span_id);
    let mut span = tracer.build_with_context(builder, &cx);
    if let Some(error) = finished.error {
        span.set_status(Status::error(error));
    }
    span.end_with_timestamp(end);
}

fn attribute((key, value): (String, Value<'static>)) -> KeyValue {
    let value = match value {
        Value::Text(text) => text.into_owned().into(),
        Value::Int(number) => number.into(),
        Value::Double(number) => number.into(),
        Value::Bool(flag) => flag.into(),
        // OpenTelemetry's API knows no bytes.
        Value::Bytes(bytes) => opentelemetry::Value::Array(Array::I64(
            bytes.iter().map(|byte| (*byte).into()).collect(),
        )),
    };
    KeyValue::new(key, value)
}

fn link(link: hop::FinishedLink) -> Link {
    let (trace_id, span_id) = (trace_id(link.trace_id), span_id(link.span_id));
    let context =
        SpanContext::new(trace_id, span_id, flags(link.flags), true, TraceState::default());
    Link::new(context, link.attributes.into_iter().map(attribute).collect(), 0)
}

fn trace_id(id: TraceId) -> trace::TraceId {
    trace::TraceId::from_bytes(id.to_bytes())
}

fn span_id(id: SpanId) -> trace::SpanId {
    trace::SpanId::from_bytes(id.to_bytes())
}

fn flags(flags: Flags) -> TraceFlags {
    TraceFlags::new(flags.bits())
}

fn time(nanoseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}
