//! Finished spans, read back from the bytes a recorder keeps.
//!
//! Hops write their spans as OTLP at once. Whoever wants them as values, to hand them to another SDK,
//! reads them here, where nobody waits.

use std::borrow::Cow;

use super::{span::SpanKind, value::Value};
use crate::wire::{Flags, SpanId, TraceId};

/// A span that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedSpan {
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
    pub tracestate: String,
    /// The name.
    pub name: String,
    /// The part it plays.
    pub kind: SpanKind,
    /// Start, in nanoseconds since 1970.
    pub start: u64,
    /// End, in nanoseconds since 1970.
    pub end: u64,
    /// What is known about it.
    pub attributes: Vec<(String, Value<'static>)>,
    /// Spans it has to do with.
    pub links: Vec<FinishedLink>,
    /// What went wrong, if anything did; the text may be empty.
    pub error: Option<String>,
    /// Type and message of the exception that ended it.
    pub exception: Option<(String, String)>,
}

/// Another span that one that has ended has to do with.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedLink {
    /// The other span's trace.
    pub trace_id: TraceId,
    /// The other span.
    pub span_id: SpanId,
    /// The other span's flags.
    pub flags: Flags,
    /// What is known about the record that came with it, where that is one of many.
    pub attributes: Vec<(String, Value<'static>)>,
}

impl FinishedSpan {
    /// Reads `ScopeSpans.spans` fields, one after the other.
    pub(crate) fn read_all(bytes: &[u8]) -> Vec<Self> {
        let spans = Fields(bytes).filter(|(field, _)| *field == 2);
        spans.filter_map(|(_, span)| Self::read(span.bytes())).collect()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (mut trace_id, mut span_id) = (None, None);
        let (mut kind, mut start, mut end) = (SpanKind::Internal, 0, 0);
        let (mut parent, mut flags) = (None, 0);
        let (mut tracestate, mut name) = (String::new(), String::new());
        let (mut attributes, mut links) = (Vec::new(), Vec::new());
        let (mut error, mut exception) = (None, None);
        for (field, value) in Fields(bytes) {
            match field {
                1 => trace_id = trace(value),
                2 => span_id = span(value),
                3 => tracestate = value.text(),
                4 => parent = span(value),
                5 => name = value.text(),
                6 => kind = kind_of(value.number()),
                7 => start = value.number(),
                8 => end = value.number(),
                9 => attributes.extend(pair(value.bytes())),
                11 => exception = read_exception(value.bytes()),
                13 => links.extend(link(value.bytes())),
                15 => error = read_error(value.bytes()),
                16 => flags = value.number(),
                _ => {}
            }
        }
        Some(Self {
            trace_id: trace_id?,
            span_id: span_id?,
            parent,
            parent_is_remote: flags & 0x200 != 0,
            flags: flags_of(flags),
            tracestate,
            name,
            kind,
            start,
            end,
            attributes,
            links,
            error,
            exception,
        })
    }
}

fn trace(value: Field<'_>) -> Option<TraceId> {
    TraceId::from_bytes(value.bytes().try_into().ok()?)
}

fn span(value: Field<'_>) -> Option<SpanId> {
    SpanId::from_bytes(value.bytes().try_into().ok()?)
}

fn flags_of(flags: u64) -> Flags {
    Flags::from_bits((flags & 0xff) as u8)
}

fn kind_of(number: u64) -> SpanKind {
    let kinds = [SpanKind::Server, SpanKind::Client, SpanKind::Producer, SpanKind::Consumer];
    kinds.into_iter().find(|kind| *kind as u64 == number).unwrap_or(SpanKind::Internal)
}

fn link(bytes: &[u8]) -> Option<FinishedLink> {
    let (mut trace_id, mut span_id, mut flags) = (None, None, 0);
    let mut attributes = Vec::new();
    for (field, value) in Fields(bytes) {
        match field {
            1 => trace_id = trace(value),
            2 => span_id = span(value),
            4 => attributes.extend(pair(value.bytes())),
            6 => flags = value.number(),
            _ => {}
        }
    }
    Some(FinishedLink {
        trace_id: trace_id?,
        span_id: span_id?,
        flags: flags_of(flags),
        attributes,
    })
}

fn read_error(bytes: &[u8]) -> Option<String> {
    let is_error = Fields(bytes).any(|(field, value)| field == 3 && value.number() == 2);
    let message = Fields(bytes).find(|(field, _)| *field == 2);
    is_error.then(|| message.map_or(String::new(), |(_, message)| message.text()))
}

fn read_exception(bytes: &[u8]) -> Option<(String, String)> {
    let pairs: Vec<_> = Fields(bytes)
        .filter(|(field, _)| *field == 3)
        .filter_map(|(_, at)| pair(at.bytes()))
        .collect();
    let text = |wanted: &str| match pairs.iter().find(|(key, _)| key == wanted) {
        Some((_, Value::Text(text))) => Some(text.clone().into_owned()),
        _ => None,
    };
    Some((text("exception.type")?, text("exception.message").unwrap_or_default()))
}

fn pair(bytes: &[u8]) -> Option<(String, Value<'static>)> {
    let (mut key, mut value) = (String::new(), None);
    for (field, found) in Fields(bytes) {
        match field {
            1 => key = found.text(),
            2 => value = any_value(found.bytes()),
            _ => {}
        }
    }
    Some((key, value?))
}

fn any_value(bytes: &[u8]) -> Option<Value<'static>> {
    let (field, value) = Fields(bytes).next()?;
    Some(match field {
        1 => Value::Text(value.text().into()),
        2 => Value::Bool(value.number() != 0),
        3 => Value::Int(value.number().cast_signed()),
        4 => Value::Double(f64::from_bits(value.number())),
        7 => Value::Bytes(Cow::Owned(value.bytes().to_vec())),
        _ => return None,
    })
}

/// A field's value: a number, or bytes.
#[derive(Clone, Copy)]
enum Field<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

impl<'b> Field<'b> {
    fn number(self) -> u64 {
        match self {
            Self::Number(number) => number,
            Self::Bytes(_) => 0,
        }
    }

    fn bytes(self) -> &'b [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(_) => &[],
        }
    }

    fn text(self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

/// The fields of a message (Protocol Buffers, "Encoding"); it ends where it cannot be read.
struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte, rest @ ..] = self.0 else { return None };
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'b> Iterator for Fields<'b> {
    type Item = (u32, Field<'b>);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => Field::Number(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Number(u32::from_le_bytes(self.take(4)?.try_into().ok()?).into()),
            _ => return None,
        };
        Some((u32::try_from(tag >> 3).ok()?, value))
    }
}
