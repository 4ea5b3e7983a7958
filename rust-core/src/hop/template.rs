//! What all hops of one place have in common, encoded once: a hop copies it and adds what is its own.

use super::{
    fate::HopKind,
    proto::Writer,
    span::{HAS_IS_REMOTE, IS_REMOTE, SpanKind},
};
use crate::wire::{SpanId, TraceContext};

/// The constant fields of a span and of its ledger event.
pub(super) struct Template {
    /// The topic that is read or written.
    pub(super) topic: Box<str>,
    /// The group that reads it.
    pub(super) group: Option<Box<str>>,
    pub(super) kind: HopKind,
    span: Box<[u8]>,
    event: Box<[u8]>,
}

impl Template {
    /// Encodes what is constant where `topic` is read by `group`.
    pub(super) fn of_input(
        (kind, name): (HopKind, &str),
        topic: &str,
        group: Option<&str>,
    ) -> Self {
        let place = |writer: &mut Writer<'_>, field| {
            writer.text_pair(field, "messaging.system", "kafka");
            writer.text_pair(field, "messaging.destination.name", topic);
            if let Some(group) = group {
                writer.text_pair(field, "messaging.consumer.group.name", group);
            }
        };
        Self {
            topic: topic.into(),
            group: group.map(Into::into),
            kind,
            span: span(SpanKind::Consumer, &format!("process {topic}"), |span| place(span, 9)),
            event: event(kind, name, |event| place(event, 6)),
        }
    }

    /// Encodes what is constant where messages are sent to `topic`.
    pub(super) fn of_output(topic: &str) -> Self {
        Self {
            topic: topic.into(),
            group: None,
            kind: HopKind::Send,
            span: span(SpanKind::Producer, &format!("send {topic}"), |span| {
                span.text_pair(9, "messaging.system", "kafka");
                span.text_pair(9, "messaging.operation.type", "send");
                span.text_pair(9, "messaging.operation.name", "send");
                span.text_pair(9, "messaging.destination.name", topic);
            }),
            event: event(HopKind::Send, topic, |event| {
                event.text_pair(6, "messaging.system", "kafka");
                event.text_pair(6, "messaging.destination.name", topic);
            }),
        }
    }

    /// Encodes what is constant where requests are received: they are named one by one.
    pub(super) fn of_requests() -> Self {
        Self {
            topic: "".into(),
            group: None,
            kind: HopKind::Receive,
            span: span(SpanKind::Server, "", |_| ()),
            event: event(HopKind::Receive, "", |_| ()),
        }
    }

    /// Encodes what is constant where messages are handled by the batch: each names its own topics.
    pub(super) fn of_batches() -> Self {
        Self {
            topic: "".into(),
            group: None,
            kind: HopKind::Process,
            span: span(SpanKind::Consumer, "", |_| ()),
            event: event(HopKind::Process, "", |_| ()),
        }
    }

    /// Writes a span: what is constant, what every span has, and the `rest` of it.
    #[inline]
    pub(super) fn write_span(
        &self,
        head: &SpanHead<'_>,
        out: &mut Vec<u8>,
        rest: impl FnOnce(&mut Writer<'_>),
    ) {
        out.reserve(USUAL);
        Writer::new(out).long_message(2, |span| {
            span.raw(&self.span);
            span.fixed_bytes(1, head.context.trace_id.to_bytes());
            if let Some(span_id) = head.context.span_id {
                span.fixed_bytes(2, span_id.to_bytes());
            }
            span.text(3, head.tracestate);
            if let Some(parent) = head.parent {
                span.fixed_bytes(4, parent.to_bytes());
            }
            span.fixed64(7, head.start);
            span.fixed64(8, head.end.max(head.start));
            let is_remote = head.is_parent_remote && head.parent.is_some();
            let remote = if is_remote { IS_REMOTE } else { 0 };
            span.fixed32(16, u32::from(head.context.flags.bits()) | HAS_IS_REMOTE | remote);
            rest(span);
        });
    }

    /// Writes a ledger event: what is constant, what every event has, and the `rest` of it.
    #[inline]
    pub(super) fn write_event(
        &self,
        time: u64,
        context: &TraceContext,
        out: &mut Vec<u8>,
        rest: impl FnOnce(&mut Writer<'_>),
    ) {
        out.reserve(USUAL);
        Writer::new(out).long_message(2, |event| {
            event.raw(&self.event);
            event.fixed64(1, time);
            event.fixed32(8, u32::from(context.flags.bits()));
            event.fixed_bytes(9, context.trace_id.to_bytes());
            if let Some(span_id) = context.span_id {
                event.fixed_bytes(10, span_id.to_bytes());
            }
            event.fixed64(11, time);
            rest(event);
        });
    }
}

/// Most spans and events are shorter than this.
const USUAL: usize = 512;

/// What every span has, and none alike.
pub(super) struct SpanHead<'a> {
    pub(super) context: &'a TraceContext,
    pub(super) tracestate: &'a str,
    pub(super) parent: Option<SpanId>,
    pub(super) is_parent_remote: bool,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// Encodes the constant fields of a `Span` (opentelemetry-proto, `trace.proto`).
fn span(kind: SpanKind, name: &str, attributes: impl FnOnce(&mut Writer<'_>)) -> Box<[u8]> {
    let mut bytes = Vec::new();
    let mut span = Writer::new(&mut bytes);
    span.text(5, name);
    span.uint(6, kind as u64);
    attributes(&mut span);
    bytes.into()
}

/// Encodes the constant fields of a `LogRecord` that is a ledger event (opentelemetry-proto,
/// `logs.proto`).
fn event(kind: HopKind, name: &str, attributes: impl FnOnce(&mut Writer<'_>)) -> Box<[u8]> {
    let mut bytes = Vec::new();
    let mut event = Writer::new(&mut bytes);
    event.uint(2, 9);
    event.text(3, "INFO");
    event.text(12, "tracebaton.hop");
    event.text_pair(6, "tracebaton.hop.kind", kind.as_str());
    if !name.is_empty() {
        event.text_pair(6, "tracebaton.hop.name", name);
    }
    attributes(&mut event);
    bytes.into()
}
