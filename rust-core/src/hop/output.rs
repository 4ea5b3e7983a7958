//! A message on its way out of a hop, until the broker has it or is known not to.

use super::{
    fate::{Fate, Fates, HopKind},
    ledger::{LedgerEvent, Range},
    record::{Hop, Unacknowledged, cut},
    recorder::Recorder,
    span::{SpanKind, SpanRecord, Status, now},
    value::{Digits, Value},
};
use crate::{
    propagate::Baton,
    wire::{SpanId, TraceContext},
};

/// A message on its way to a topic.
///
/// Inject [`Output::baton`] into its headers, then tell what became of it. An output that is
/// dropped without a word counts as unconfirmed.
pub struct Output {
    hop: Hop,
    topic: String,
    baton: Baton,
    context: TraceContext,
    span_id: SpanId,
    start: u64,
    is_dead_letter: bool,
    is_closed: bool,
}

impl Output {
    pub(super) fn start(hop: Hop, topic: &str, is_dead_letter: bool) -> Self {
        let span_id = SpanId::generate();
        let mut baton = hop.baton().clone();
        let context = TraceContext { span_id: Some(span_id), ..hop.context() };
        baton.context = Some(context);
        Self {
            hop,
            topic: topic.to_owned(),
            baton,
            context,
            span_id,
            start: now(),
            is_dead_letter,
            is_closed: false,
        }
    }

    /// Returns what the message carries: the hop's baton with the span of this `send` in it.
    #[must_use]
    pub fn baton(&self) -> &Baton {
        &self.baton
    }

    /// Returns the topic it goes to.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns the hop it came out of.
    #[must_use]
    pub fn hop(&self) -> &Hop {
        &self.hop
    }

    /// Tells whether it is a dead letter.
    #[must_use]
    pub fn is_dead_letter(&self) -> bool {
        self.is_dead_letter
    }

    /// Says where the broker put it.
    pub fn delivered(mut self, partition: i32, offset: i64) {
        self.is_closed = true;
        self.write_span(Some((partition, offset)), None);
        let (topic, is_dead_letter) = (std::mem::take(&mut self.topic), self.is_dead_letter);
        self.hop.close_output(|sends| {
            sends.deliver(topic, partition, offset, is_dead_letter);
            Ok(())
        });
    }

    /// Says that the broker or the client refused it. The hop's record has then failed.
    pub fn undelivered(mut self, error_type: &str, message: &str) {
        self.is_closed = true;
        let (error_type, message) = (cut(error_type), cut(message));
        self.write_span(None, Some((error_type, message)));
        let (topic, is_dead_letter) = (std::mem::take(&mut self.topic), self.is_dead_letter);
        let (error_type, reason) = (error_type.to_owned(), message.to_owned());
        self.hop.close_output(|sends| {
            sends.refuse(topic, &error_type, &reason, is_dead_letter);
            Err(Unacknowledged::Failed { error_type, reason })
        });
    }

    fn write_span(&self, place: Option<(i32, i64)>, error: Option<(&str, &str)>) {
        let mut attributes: Vec<(&str, Value<'_>)> = Vec::with_capacity(7);
        attributes.extend([
            ("messaging.system", "kafka".into()),
            ("messaging.operation.type", "send".into()),
            ("messaging.operation.name", "send".into()),
            ("messaging.destination.name", self.topic.as_str().into()),
        ]);
        let digits;
        if let Some((partition, offset)) = place {
            digits = Digits::of(partition);
            attributes.push(("messaging.destination.partition.id", digits.as_str().into()));
            attributes.push(("messaging.kafka.offset", offset.into()));
        }
        if let Some((error_type, _)) = error {
            attributes.push(("error.type", error_type.into()));
        }
        self.hop.recorder().span(&SpanRecord {
            trace_id: self.context.trace_id,
            span_id: self.span_id,
            parent: Some(self.hop.span_id()),
            parent_is_remote: false,
            flags: self.context.flags,
            tracestate: self.baton.tracestate.as_str(),
            name: &format!("send {}", self.topic),
            kind: SpanKind::Producer,
            start: self.start,
            end: now(),
            attributes: &attributes,
            dropped_attributes: 0,
            links: &[],
            dropped_links: 0,
            status: &error.map_or(Status::Unset, |(_, text)| Status::Error(text.to_owned())),
            exception: error,
        });
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.is_closed {
            self.write_span(None, None);
            self.hop.close_output(|_| Err(Unacknowledged::Unknown));
        }
    }
}

/// What the outputs of one hop came to, by topic and partition.
#[derive(Default)]
pub(super) struct Sends {
    /// A hop sends to few places: a list is searched faster than anything else.
    delivered: Vec<Delivered>,
    refused: Vec<Refused>,
}

struct Delivered {
    topic: String,
    partition: i32,
    is_dead_letter: bool,
    count: u64,
    first: i64,
    last: i64,
}

struct Refused {
    topic: String,
    error_type: String,
    reason: String,
    is_dead_letter: bool,
}

impl Sends {
    fn deliver(&mut self, topic: String, partition: i32, offset: i64, is_dead_letter: bool) {
        let known = self.delivered.iter_mut().find(|known| {
            (known.partition, known.is_dead_letter) == (partition, is_dead_letter)
                && known.topic == topic
        });
        if let Some(range) = known {
            range.count += 1;
            range.first = range.first.min(offset);
            range.last = range.last.max(offset);
        } else {
            let (first, last) = (offset, offset);
            let range = Delivered { topic, partition, is_dead_letter, count: 1, first, last };
            self.delivered.push(range);
        }
    }

    fn refuse(&mut self, topic: String, error_type: &str, reason: &str, is_dead_letter: bool) {
        let (error_type, reason) = (error_type.to_owned(), reason.to_owned());
        self.refused.push(Refused { topic, error_type, reason, is_dead_letter });
    }

    /// Returns how many messages the broker has acknowledged.
    pub(super) fn emitted(&self) -> u64 {
        self.delivered.iter().map(|range| range.count).sum()
    }

    /// Writes the `send` events: one per topic and partition, and one per refused message.
    pub(super) fn write(
        &self,
        recorder: &Recorder,
        time: u64,
        context: TraceContext,
        legacy: Option<&str>,
    ) {
        let Some(span_id) = context.span_id else { return };
        let write = |is_dead_letter: bool, range, fates, emitted, error: Option<&Refused>| {
            let mut extra: Vec<(&str, Value<'_>)> = Vec::new();
            if is_dead_letter {
                extra.push(("tracebaton.dead_letter", true.into()));
            }
            extra.extend(legacy.map(|text| ("tracebaton.legacy_id", Value::from(text))));
            let topic: Range<'_> = range;
            recorder.ledger(&LedgerEvent {
                time,
                trace_id: context.trace_id,
                span_id,
                flags: context.flags,
                kind: HopKind::Send,
                name: topic.topic,
                fates,
                emitted,
                range: Some(topic),
                reason: error.map(|error| error.reason.as_str()),
                error_type: error.map(|error| error.error_type.as_str()),
                attempt: 1,
                extra: &extra,
            });
        };
        for sent in &self.delivered {
            let range = Range {
                topic: &sent.topic,
                partition: Some(sent.partition),
                first: Some(sent.first),
                last: Some(sent.last),
                group: None,
            };
            let fates = Fates::all(sent.count, Some(Fate::Passed));
            write(sent.is_dead_letter, range, fates, sent.count, None);
        }
        for refused in &self.refused {
            let range = Range { topic: &refused.topic, ..Range::default() };
            let fates = Fates::one(Some(Fate::Failed));
            write(refused.is_dead_letter, range, fates, 0, Some(refused));
        }
    }
}
