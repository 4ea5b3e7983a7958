//! What all hops of one place have in common, encoded once: a hop copies it and adds what is its own.

use std::{ops::Deref, sync::Arc};

use super::{
    fate::{Fate, Fates, HopKind},
    place::{self, UsualPlace, write_place},
    proto::Writer,
    span::{HAS_IS_REMOTE, IS_REMOTE, Link, SpanKind, write_link},
};
use crate::wire::{SpanId, TraceContext};

/// The constant fields of a span and of its ledger event, each in two forms: bare, and with what
/// most hops add to it.
pub(super) struct Template {
    /// The topic that is read or written.
    pub(super) topic: Box<str>,
    /// The group that reads it.
    pub(super) group: Option<Box<str>>,
    pub(super) kind: HopKind,
    span: Forms,
    event: Forms,
}

/// A template that is there as long as the process, or one that its hops keep.
pub(super) enum SharedTemplate {
    /// Many threads would otherwise count who has it.
    Always(&'static Template),
    Kept(Arc<Template>),
}

impl From<Arc<Template>> for SharedTemplate {
    fn from(template: Arc<Template>) -> Self {
        Self::Kept(template)
    }
}

impl Deref for SharedTemplate {
    type Target = Template;

    #[inline]
    fn deref(&self) -> &Template {
        match self {
            Self::Always(template) => template,
            Self::Kept(template) => template,
        }
    }
}

/// Encoded fields, and which of them to take.
struct Forms {
    usual: Box<[u8]>,
    /// How much of the usual form is the bare one.
    bare: usize,
    /// A message as nearly all of its kind are, in which only what is its own is filled in: ids and
    /// times at its start, counts and the place at its end.
    whole: Box<[u8]>,
}

/// Which form of a template fits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A span that says which operation it is, an event of one record that passed.
    Usual,
    /// Only what is always so.
    Bare,
}

impl Template {
    /// Encodes what is constant where `topic` is read by `group`.
    pub(super) fn of_input(
        (kind, name): (HopKind, &str),
        topic: &str,
        group: Option<&str>,
    ) -> Self {
        let place = |writer: &mut Writer<'_>, field| {
            writer.text_pair(field, "messaging.destination.name", topic);
            if let Some(group) = group {
                writer.text_pair(field, "messaging.consumer.group.name", group);
            }
        };
        Self {
            topic: topic.into(),
            group: group.map(Into::into),
            kind,
            span: Forms::span(SpanKind::Consumer, &format!("process {topic}"), kind, |span| {
                span.text_pair(9, SYSTEM, "kafka");
                place(span, 9);
            }),
            event: Forms::event(kind, name, |event| place(event, 6)),
        }
    }

    /// Encodes what is constant where messages are sent to `topic`.
    pub(super) fn of_output(topic: &str) -> Self {
        let place = |writer: &mut Writer<'_>, field| {
            writer.text_pair(field, "messaging.destination.name", topic);
        };
        let (kind, span_kind) = (HopKind::Send, SpanKind::Producer);
        Self {
            topic: topic.into(),
            group: None,
            kind,
            span: Forms::span(span_kind, &format!("send {topic}"), kind, |span| {
                span.text_pair(9, SYSTEM, "kafka");
                place(span, 9);
            }),
            event: Forms::event(kind, topic, |event| place(event, 6)),
        }
    }

    /// Encodes what is constant where requests are received: they are named one by one.
    pub(super) fn of_requests() -> Self {
        Self::nameless(HopKind::Receive, SpanKind::Server)
    }

    /// Encodes what is constant where messages are handled by the batch: each names its own topics.
    pub(super) fn of_batches() -> Self {
        Self::nameless(HopKind::Process, SpanKind::Consumer)
    }

    fn nameless(kind: HopKind, span_kind: SpanKind) -> Self {
        Self {
            topic: "".into(),
            group: None,
            kind,
            span: Forms::span(span_kind, "", kind, |_| ()),
            event: Forms::event(kind, "", |_| ()),
        }
    }

    /// Writes a span: what is constant, what every span has, and the `rest` of it.
    #[inline]
    pub(super) fn write_span(
        &self,
        form: Form,
        head: &SpanHead<'_>,
        out: &mut Vec<u8>,
        rest: impl FnOnce(&mut Writer<'_>),
    ) {
        let mut span = Writer::new(out);
        let begun = if let (Form::Usual, Some(parent), Some(place)) =
            (form, head.parent, head.place.and_then(UsualPlace::of))
        {
            span.begin(&self.span.whole, |bytes| {
                if let Some(start) = bytes.first_chunk_mut() {
                    head.fill(parent, start);
                }
                bytes.last_chunk_mut().map_or(0, |end| place.fill(end))
            })
        } else {
            let begun = span.begin(&START, |_| 0);
            span.raw(self.span.get(form));
            head.write(&mut span);
            begun
        };
        if let Some(link) = head.link {
            write_link(&mut span, link);
        }
        span.text(3, head.tracestate);
        rest(&mut span);
        span.end(begun);
    }

    /// Writes a ledger event: what is constant, what every event has, and the `rest` of it.
    #[inline]
    pub(super) fn write_event(
        &self,
        head: &EventHead<'_>,
        out: &mut Vec<u8>,
        rest: impl FnOnce(&mut Writer<'_>),
    ) {
        let mut event = Writer::new(out);
        let has_passed = head.fates == Fates::one(Some(Fate::Passed));
        let begun = if let (true, 1..0x80, Some(place)) =
            (has_passed, head.emitted, head.place.and_then(UsualPlace::of))
        {
            event.begin(&self.event.whole, |bytes| {
                if let Some(start) = bytes.first_chunk_mut() {
                    head.fill(start);
                }
                let Some((bytes, end)) = bytes.split_last_chunk_mut() else { return 0 };
                if let Some(emitted) = bytes.last_mut() {
                    *emitted = head.emitted as u8;
                }
                place.fill(end)
            })
        } else {
            let begun = event.begin(&START, |_| 0);
            event.raw(self.event.get(if has_passed { Form::Usual } else { Form::Bare }));
            head.write(has_passed, &mut event);
            begun
        };
        rest(&mut event);
        event.end(begun);
    }
}

/// How a span or an event begins: field 2 of what holds it, and room for its length.
const START: [u8; 3] = [2 << 3 | 2, 0, 0];
/// So many bytes a span begins with that are its own, and an event.
const SPAN_START: usize = START.len() + 62;
const EVENT_START: usize = START.len() + 51;

const EMITTED: &str = "tracebaton.records.emitted";

/// Only spans say it: whoever reads the ledger knows of nothing but Kafka.
const SYSTEM: &str = "messaging.system";

impl Forms {
    fn get(&self, form: Form) -> &[u8] {
        match form {
            Form::Usual => &self.usual,
            Form::Bare => self.usual.get(..self.bare).unwrap_or_default(),
        }
    }

    /// Encodes the constant fields of a `Span` (opentelemetry-proto, `trace.proto`).
    fn span(
        span_kind: SpanKind,
        name: &str,
        kind: HopKind,
        attributes: impl FnOnce(&mut Writer<'_>),
    ) -> Self {
        let mut usual = Vec::new();
        let mut span = Writer::new(&mut usual);
        span.text(5, name);
        span.uint(6, span_kind as u64);
        attributes(&mut span);
        let bare = usual.len();
        for key in OPERATION.into_iter().filter(|_| has_operation(kind)) {
            Writer::new(&mut usual).text_pair(9, key, kind.as_str());
        }
        let whole = [&[0; SPAN_START][..], &usual, &place::usual(9)].concat();
        Self { usual: usual.into(), bare, whole: whole.into() }
    }

    /// Encodes the constant fields of a `LogRecord` that is a ledger event (opentelemetry-proto,
    /// `logs.proto`).
    fn event(kind: HopKind, name: &str, attributes: impl FnOnce(&mut Writer<'_>)) -> Self {
        let mut usual = Vec::new();
        let mut event = Writer::new(&mut usual);
        event.uint(2, 9);
        event.text(3, "INFO");
        event.text(12, "tracebaton.hop");
        event.text_pair(6, "tracebaton.hop.kind", kind.as_str());
        if !name.is_empty() {
            event.text_pair(6, "tracebaton.hop.name", name);
        }
        attributes(&mut event);
        let bare = usual.len();
        Fates::one(Some(Fate::Passed)).write(&mut Writer::new(&mut usual), 0);
        let mut whole = [&[0; EVENT_START], &*usual].concat();
        Writer::new(&mut whole).int_pair(6, EMITTED, 1);
        whole.extend_from_slice(&place::usual(6));
        Self { usual: usual.into(), bare, whole: whole.into() }
    }
}

/// The attributes that say which operation a span is.
pub(super) const OPERATION: [&str; 2] = ["messaging.operation.type", "messaging.operation.name"];

/// Tells whether the spans of such hops are operations of the messaging conventions.
const fn has_operation(kind: HopKind) -> bool {
    matches!(kind, HopKind::Process | HopKind::Send)
}

/// What every span has, and none alike.
pub(super) struct SpanHead<'a> {
    pub(super) context: &'a TraceContext,
    pub(super) tracestate: &'a str,
    pub(super) parent: Option<SpanId>,
    pub(super) is_parent_remote: bool,
    pub(super) start: u64,
    pub(super) end: u64,
    /// Partition and offset, where there are any.
    pub(super) place: Option<(i32, i64)>,
    pub(super) link: Option<&'a Link>,
}

impl SpanHead<'_> {
    /// Fills in how a span with a parent begins.
    #[inline]
    fn fill(&self, parent: SpanId, bytes: &mut [u8; SPAN_START]) {
        bytes[..3].copy_from_slice(&START);
        bytes[3..5].copy_from_slice(&[0x22, 8]);
        bytes[5..13].copy_from_slice(&parent.to_bytes());
        if let Some(rest) = bytes.last_chunk_mut() {
            self.fill_rest(rest);
        }
    }

    /// Fills in ids, times and flags of a `Span`: fields 1, 2, 7, 8 and 16.
    #[inline]
    fn fill_rest(&self, head: &mut [u8; 52]) {
        let is_remote = self.is_parent_remote && self.parent.is_some();
        let remote = if is_remote { IS_REMOTE } else { 0 };
        let flags = u32::from(self.context.flags.bits()) | HAS_IS_REMOTE | remote;
        head[..2].copy_from_slice(&[0x0a, 16]);
        head[2..18].copy_from_slice(&self.context.trace_id.to_bytes());
        head[18..20].copy_from_slice(&[0x12, 8]);
        head[20..28].copy_from_slice(&bytes(self.context.span_id));
        head[28] = 0x39;
        head[29..37].copy_from_slice(&self.start.to_le_bytes());
        head[37] = 0x41;
        head[38..46].copy_from_slice(&self.end.max(self.start).to_le_bytes());
        head[46..48].copy_from_slice(&[0x85, 0x01]);
        head[48..].copy_from_slice(&flags.to_le_bytes());
    }

    /// Writes one after the other what is not as in most spans.
    #[inline(never)]
    fn write(&self, span: &mut Writer<'_>) {
        span.filled(&[0; 52], |bytes| self.fill_rest(bytes));
        if let Some(parent) = self.parent {
            span.bytes(4, &parent.to_bytes());
        }
        if let Some(place) = self.place {
            write_place::<9>(span, place);
        }
    }
}

/// What every ledger event has, and none alike.
pub(super) struct EventHead<'a> {
    pub(super) time: u64,
    pub(super) context: &'a TraceContext,
    pub(super) fates: Fates,
    pub(super) emitted: u64,
    /// Partition and offset, where there are any.
    pub(super) place: Option<(i32, i64)>,
}

impl EventHead<'_> {
    #[inline]
    fn fill(&self, bytes: &mut [u8; EVENT_START]) {
        bytes[..3].copy_from_slice(&START);
        if let Some(rest) = bytes.last_chunk_mut() {
            fill_event_head(rest, self.time, self.context);
        }
    }

    /// Writes one after the other what is not as in most events.
    #[inline(never)]
    fn write(&self, has_passed: bool, event: &mut Writer<'_>) {
        event.filled(&[0; 51], |bytes| fill_event_head(bytes, self.time, self.context));
        if !has_passed {
            self.fates.write(event, self.emitted);
        } else if self.emitted > 0 {
            event.int_pair(6, EMITTED, self.emitted.cast_signed());
        }
        if let Some(place) = self.place {
            write_place::<6>(event, place);
        }
    }
}

/// Fills in ids, times and flags of a `LogRecord`: fields 1, 8, 9, 10 and 11.
#[inline]
pub(super) fn fill_event_head(head: &mut [u8; 51], time: u64, context: &TraceContext) {
    head[0] = 0x09;
    head[1..9].copy_from_slice(&time.to_le_bytes());
    head[9] = 0x45;
    head[10..14].copy_from_slice(&u32::from(context.flags.bits()).to_le_bytes());
    head[14..16].copy_from_slice(&[0x4a, 16]);
    head[16..32].copy_from_slice(&context.trace_id.to_bytes());
    head[32..34].copy_from_slice(&[0x52, 8]);
    head[34..42].copy_from_slice(&bytes(context.span_id));
    head[42] = 0x59;
    head[43..].copy_from_slice(&time.to_le_bytes());
}

/// A hop always has a span.
#[inline]
fn bytes(span_id: Option<SpanId>) -> [u8; 8] {
    span_id.map_or([0; 8], SpanId::to_bytes)
}
