//! The ledger event: an OTel log record named `tracebaton.hop` that is never sampled.

use super::{
    fate::{Coordinates, Fates, HopKind},
    proto::Writer,
    value::{Digits, Value, encode_pair},
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
            self.attributes(|key, value| encode_pair(log, 6, key, value));
            log.fixed32(8, u32::from(self.flags.bits()));
            log.bytes(9, &self.trace_id.to_bytes());
            log.bytes(10, &self.span_id.to_bytes());
            log.fixed64(11, self.time);
            log.text(12, "tracebaton.hop");
        });
    }

    fn attributes(&self, mut each: impl FnMut(&str, &Value<'_>)) {
        let mut put = |key: &str, value: Value<'_>| each(key, &value);
        put("tracebaton.hop.kind", self.kind.as_str().into());
        put("tracebaton.hop.name", self.name.into());
        let counts = [
            ("tracebaton.records.in", self.fates.records_in),
            ("tracebaton.records.passed", self.fates.passed),
            ("tracebaton.records.filtered", self.fates.filtered),
            ("tracebaton.records.failed", self.fates.failed),
            ("tracebaton.records.dead_lettered", self.fates.dead_lettered),
            ("tracebaton.records.emitted", self.emitted),
        ];
        for (key, count) in counts {
            if count > 0 {
                put(key, Value::Int(count.cast_signed()));
            }
        }
        if let Some(range) = &self.range {
            put("messaging.system", "kafka".into());
            put("messaging.destination.name", range.topic.into());
            if let Some(partition) = range.partition {
                let digits = Digits::of(partition);
                put("messaging.destination.partition.id", digits.as_str().into());
            }
            if let Some(first) = range.first {
                put("messaging.kafka.offset", first.into());
            }
            if let Some(last) = range.last.filter(|last| Some(*last) != range.first) {
                put("tracebaton.offset.last", last.into());
            }
            if let Some(group) = range.group {
                put("messaging.consumer.group.name", group.into());
            }
        }
        if let Some(reason) = self.reason {
            put("tracebaton.reason", reason.into());
        }
        if let Some(error_type) = self.error_type {
            put("error.type", error_type.into());
        }
        if self.attempt > 1 {
            put("tracebaton.attempt", i64::from(self.attempt).into());
        }
        for (key, value) in self.extra {
            each(key, value);
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
