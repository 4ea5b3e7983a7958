//! One span, and how OTLP writes it.

use super::{
    proto::Writer,
    value::{Value, encode_pair},
};
use crate::wire::{Flags, SpanId, TraceId};

/// The part a span plays in an exchange (opentelemetry-proto, `Span.SpanKind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Work inside a process.
    Internal = 1,
    /// The answering side of a call.
    Server = 2,
    /// The asking side of a call.
    Client = 3,
    /// The sending side of a message.
    Producer = 4,
    /// The receiving side of a message.
    Consumer = 5,
}

/// How a span ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nothing was said; the usual good end.
    #[default]
    Unset,
    /// It failed, and why.
    Error(String),
}

/// How many attributes a span may have (OpenTelemetry SDK, "Span Limits", `AttributeCountLimit`).
pub(crate) const MAX_ATTRIBUTES: usize = 128;
/// How many links a span may have (same section, `LinkCountLimit`).
pub(crate) const MAX_LINKS: usize = 128;

/// Another span that this one has to do with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The other span's trace.
    pub trace_id: TraceId,
    /// The other span.
    pub span_id: SpanId,
    /// The other span's flags.
    pub flags: Flags,
}

/// A finished span.
#[derive(Clone, Debug)]
pub struct SpanRecord<'a> {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// The span above it, unless it is a root.
    pub parent: Option<SpanId>,
    /// Whether the span above is in another process.
    pub parent_is_remote: bool,
    /// Whether it is sampled and its trace id random.
    pub flags: Flags,
    /// The vendors' state, empty when there is none.
    pub tracestate: &'a str,
    /// The name by the semantic conventions, for instance `process orders`.
    pub name: &'a str,
    /// The part it plays.
    pub kind: SpanKind,
    /// Start, in nanoseconds since 1970.
    pub start: u64,
    /// End, in nanoseconds since 1970.
    pub end: u64,
    /// What is known about it.
    pub attributes: &'a [(&'a str, Value<'a>)],
    /// How many further attributes were left out.
    pub dropped_attributes: u32,
    /// Spans it has to do with.
    pub links: &'a [Link],
    /// How many further links were left out.
    pub dropped_links: u32,
    /// How it ended.
    pub status: &'a Status,
    /// Type and message of the exception that ended it.
    pub exception: Option<(&'a str, &'a str)>,
}

impl SpanRecord<'_> {
    /// Appends this as field `spans` of a `ScopeSpans` (opentelemetry-proto, `trace.proto`).
    pub(crate) fn encode(&self, buffer: &mut Vec<u8>) {
        self.encode_linked(buffer, |span| {
            for link in self.links {
                write_link(span, link);
            }
        });
    }

    /// The same, with what `write_links` writes for links.
    pub(super) fn encode_linked(
        &self,
        buffer: &mut Vec<u8>,
        write_links: impl FnOnce(&mut Writer<'_>),
    ) {
        Writer::new(buffer).long_message(2, |span| {
            span.bytes(1, &self.trace_id.to_bytes());
            span.bytes(2, &self.span_id.to_bytes());
            span.text(3, self.tracestate);
            if let Some(parent) = self.parent {
                span.bytes(4, &parent.to_bytes());
            }
            span.text(5, self.name);
            span.uint(6, self.kind as u64);
            span.fixed64(7, self.start);
            span.fixed64(8, self.end.max(self.start));
            for (key, value) in self.attributes {
                encode_pair(span, 9, key, value);
            }
            if self.dropped_attributes > 0 {
                span.uint(10, u64::from(self.dropped_attributes));
            }
            if let Some((kind, message)) = self.exception {
                write_exception(span, self.end, kind, message);
            }
            write_links(span);
            if self.dropped_links > 0 {
                span.uint(14, u64::from(self.dropped_links));
            }
            if let Status::Error(message) = self.status {
                write_error(span, message);
            }
            let remote = if self.parent_is_remote { IS_REMOTE } else { 0 };
            span.fixed32(16, u32::from(self.flags.bits()) | HAS_IS_REMOTE | remote);
        });
    }
}

/// Writes the event of an exception.
pub(super) fn write_exception(span: &mut Writer<'_>, time: u64, kind: &str, message: &str) {
    span.message(11, |event| {
        event.fixed64(1, time);
        event.text(2, "exception");
        event.text_pair(3, "exception.type", kind);
        event.text_pair(3, "exception.message", message);
    });
}

/// Writes a link to a span of another process: field 13, with fields 1, 2 and 6.
#[inline]
pub(super) fn write_link(span: &mut Writer<'_>, link: &Link) {
    let flags = u32::from(link.flags.bits()) | HAS_IS_REMOTE | IS_REMOTE;
    span.filled(&[0; 35], |bytes| {
        bytes[..4].copy_from_slice(&[0x6a, 33, 0x0a, 16]);
        bytes[4..20].copy_from_slice(&link.trace_id.to_bytes());
        bytes[20..22].copy_from_slice(&[0x12, 8]);
        bytes[22..30].copy_from_slice(&link.span_id.to_bytes());
        bytes[30] = 0x35;
        bytes[31..].copy_from_slice(&flags.to_le_bytes());
    });
}

/// The same with attributes, which `write` writes as field 4.
pub(super) fn write_link_with(
    span: &mut Writer<'_>,
    link: &Link,
    write: impl FnOnce(&mut Writer<'_>),
) {
    span.message(13, |out| {
        out.bytes(1, &link.trace_id.to_bytes());
        out.bytes(2, &link.span_id.to_bytes());
        write(out);
        out.fixed32(6, u32::from(link.flags.bits()) | HAS_IS_REMOTE | IS_REMOTE);
    });
}

/// Writes a status that says what went wrong.
pub(super) fn write_error(span: &mut Writer<'_>, message: &str) {
    span.message(15, |status| {
        status.text(2, message);
        status.uint(3, 2);
    });
}

// Bits 8 and 9 of `Span.flags` and `Link.flags` (opentelemetry-proto, `SpanFlags`).
pub(super) const HAS_IS_REMOTE: u32 = 0x100;
pub(super) const IS_REMOTE: u32 = 0x200;
