//! The ledger event: an OTel log record named `tracebaton.hop` that is never sampled.

use super::{
    fate::{Coordinates, Fates, HopKind},
    proto::{Writer, key},
    value::{Value, encode_pair},
};
use crate::wire::{Flags, SpanId, TraceId};

/// Where the records of an event stood in Kafka: one offset, or a range.
#[derive(Clone, Copy, Debug, Default)]
pub struct Range<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; unknown for a send that failed.
    pub partition: Option<i32>,
    /// The first offset.
    pub first: Option<i64>,
    /// The last offset, where it differs from the first.
    pub last: Option<i64>,
    /// The consumer group, for an input.
    pub group: Option<&'a str>,
}

/// What became of some records at one hop.
///
/// Its counts and its range speak of the same records.
#[derive(Clone, Debug)]
pub struct LedgerEvent<'a> {
    /// When it was settled, in nanoseconds since 1970.
    pub time: u64,
    /// The record's trace, or the batch's own.
    pub trace_id: TraceId,
    /// The hop's span.
    pub span_id: SpanId,
    /// The trace's flags.
    pub flags: Flags,
    /// The kind of hop.
    pub kind: HopKind,
    /// The route, topic, transform or table.
    pub name: &'a str,
    /// How many records met which fate.
    pub fates: Fates,
    /// How many records came out.
    pub emitted: u64,
    /// Where they stood in Kafka.
    pub range: Option<Range<'a>>,
    /// Why they were filtered, failed or dead-lettered.
    pub reason: Option<&'a str>,
    /// The class of the error.
    pub error_type: Option<&'a str>,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Whatever else belongs to it.
    pub extra: &'a [(&'a str, Value<'a>)],
}

impl LedgerEvent<'_> {
    /// Appends this as field `log_records` of a `ScopeLogs` (opentelemetry-proto, `logs.proto`).
    pub(crate) fn encode(&self, buffer: &mut Vec<u8>) {
        Writer::new(buffer).long_message(2, |log| {
            log.fixed64(1, self.time);
            log.uint(2, 9);
            log.text(3, "INFO");
            log.text_pair(6, "tracebaton.hop.kind", self.kind.as_str());
            log.text_pair(6, "tracebaton.hop.name", self.name);
            self.fates.write(log, self.emitted);
            self.attributes(log);
            log.fixed32(8, u32::from(self.flags.bits()));
            log.bytes(9, &self.trace_id.to_bytes());
            log.bytes(10, &self.span_id.to_bytes());
            log.fixed64(11, self.time);
            log.text(12, "tracebaton.hop");
        });
    }

    fn attributes(&self, log: &mut Writer<'_>) {
        if let Some(range) = &self.range {
            log.text_pair(6, "messaging.destination.name", range.topic);
            if let Some(partition) = range.partition {
                log.partition(key!(6, "messaging.destination.partition.id"), partition);
            }
            if let Some(first) = range.first {
                log.int_pair(6, "messaging.kafka.offset", first);
            }
            if let Some(last) = range.last.filter(|last| Some(*last) != range.first) {
                log.int_pair(6, "tracebaton.offset.last", last);
            }
            if let Some(group) = range.group {
                log.text_pair(6, "messaging.consumer.group.name", group);
            }
        }
        if let Some(reason) = self.reason {
            log.text_pair(6, "tracebaton.reason", reason);
        }
        if let Some(error_type) = self.error_type {
            log.text_pair(6, "error.type", error_type);
        }
        if self.attempt > 1 {
            log.int_pair(6, "tracebaton.attempt", i64::from(self.attempt));
        }
        for (key, value) in self.extra {
            encode_pair(log, 6, key, value);
        }
    }
}

impl Fates {
    /// Writes the counts that are not zero.
    pub(super) fn write(&self, event: &mut Writer<'_>, emitted: u64) {
        for (key, count) in [
            ("tracebaton.records.in", self.records_in),
            ("tracebaton.records.passed", self.passed),
            ("tracebaton.records.filtered", self.filtered),
            ("tracebaton.records.failed", self.failed),
            ("tracebaton.records.dead_lettered", self.dead_lettered),
            ("tracebaton.records.emitted", emitted),
        ] {
            if count > 0 {
                event.int_pair(6, key, count.cast_signed());
            }
        }
    }
}

impl<'a> Range<'a> {
    /// Returns the range of one record that was read.
    #[must_use]
    pub fn of(input: &'a Coordinates) -> Self {
        Self {
            topic: &input.topic,
            partition: Some(input.partition),
            first: Some(input.offset),
            last: None,
            group: input.group.as_deref(),
        }
    }
}
