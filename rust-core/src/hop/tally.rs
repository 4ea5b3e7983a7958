//! The records of a batch: where they stood, whose traces they are of, and the events that say so.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    counts::Signal,
    fate::{Coordinates, Fate, Fates},
    ledger::{LedgerEvent, Range},
    proto::{Writer, key},
    recorder::Recorder,
    shard::Room,
    span::{Link, MAX_LINKS, SpanRecord, write_link, write_link_with},
    state::UNCONFIRMED,
    value::Value,
};
use crate::propagate::Baton;

/// The records that share a batch's fate.
#[derive(Default)]
pub(super) struct Tally {
    parts: BTreeMap<(String, i32), Part>,
    links: Vec<Link>,
    /// Where the record of each link stood: its part, and its offset.
    places: Vec<(usize, i64)>,
    with_parent: u64,
}

#[derive(Default)]
struct Part {
    /// How many parts there were before it.
    number: usize,
    group: Option<String>,
    /// Offset and trace of each record, ascending, as brokers give them; zero where there was no trace.
    traces: Vec<(i64, [u8; 16])>,
    /// Those that came after a later one.
    late: BTreeMap<i64, [u8; 16]>,
    /// Those of them that were taken out again.
    gone: BTreeSet<i64>,
}

impl Part {
    /// Adds a record, and tells whether it is new: a redelivery is the same input.
    fn add(&mut self, offset: i64, trace_id: [u8; 16]) -> bool {
        if self.traces.last().is_none_or(|(last, _)| *last < offset) {
            self.traces.push((offset, trace_id));
            return true;
        }
        self.gone.remove(&offset);
        let is_new = !self.has(offset);
        if is_new {
            self.late.insert(offset, trace_id);
        }
        is_new
    }

    fn len(&self) -> usize {
        self.traces.len() + self.late.len() - self.gone.len()
    }

    fn left(&self) -> impl Iterator<Item = (i64, [u8; 16])> {
        let late = self.late.iter().map(|(offset, trace_id)| (*offset, *trace_id));
        let all = self.traces.iter().copied().chain(late);
        all.filter(|(offset, _)| self.gone.is_empty() || !self.gone.contains(offset))
    }

    fn has(&self, offset: i64) -> bool {
        let is_found = self.traces.binary_search_by_key(&offset, |(offset, _)| *offset).is_ok();
        is_found || self.late.contains_key(&offset)
    }
}

impl Tally {
    /// Adds a record, unless it is in: the first law counts input coordinates.
    pub(super) fn add(&mut self, input: &Coordinates, baton: &Baton) {
        let trace_id = baton.context.map_or([0; 16], |context| context.trace_id.to_bytes());
        let number = self.parts.len();
        let part = self
            .parts
            .entry((input.topic.clone(), input.partition))
            .or_insert_with(|| Part { number, group: input.group.clone(), ..Part::default() });
        if !part.add(input.offset, trace_id) {
            return;
        }
        let linked = baton.context.and_then(|context| {
            let span_id = context.span_id?;
            Some(Link { trace_id: context.trace_id, span_id, flags: context.flags })
        });
        if let Some(link) = linked {
            self.with_parent += 1;
            if self.links.len() < MAX_LINKS {
                self.links.push(link);
                self.places.push((part.number, input.offset));
            }
        }
    }

    /// Takes a record out again, if it is in, and tells whether it was; its link stays.
    pub(super) fn remove(&mut self, input: &Coordinates) -> bool {
        let Some(part) = self.parts.get_mut(&(input.topic.clone(), input.partition)) else {
            return false;
        };
        part.has(input.offset) && part.gone.insert(input.offset)
    }

    /// Returns how many records are in.
    pub(super) fn len(&self) -> u64 {
        self.parts.values().map(|part| part.len() as u64).sum()
    }

    /// Returns the spans that the records came with.
    pub(super) fn links(&self) -> &[Link] {
        &self.links
    }

    /// Writes links, of which the records' come first: what is not equal for all records stands on the
    /// links (messaging conventions, "Batch"), what is equal on the span.
    pub(super) fn write_links(&self, links: &[Link], span: &mut Writer<'_>) {
        let (has_topics, has_partitions) = match self.place() {
            Some((_, partition)) => (false, partition.is_none()),
            None => (true, true),
        };
        for (at, link) in links.iter().enumerate() {
            let Some((number, offset)) = self.places.get(at) else {
                write_link(span, link);
                continue;
            };
            write_link_with(span, link, |out| {
                let part = self.parts.iter().find(|(_, part)| part.number == *number);
                if let Some(((topic, partition), _)) = part.filter(|_| has_partitions) {
                    if has_topics {
                        out.text_pair(4, "messaging.destination.name", topic);
                    }
                    out.partition(key!(4, "messaging.destination.partition.id"), *partition);
                }
                out.int(key!(4, "messaging.kafka.offset"), *offset);
            });
        }
    }

    /// Keeps a span of the whole batch, linked to its records'.
    pub(super) fn keep_span(&self, recorder: &Recorder, span: &SpanRecord<'_>) {
        let encode = |out: &mut Vec<u8>| {
            span.encode_linked(out, |span| self.write_links(&self.links, span));
        };
        if span.flags.is_sampled() {
            recorder.write(|room| room.push(Signal::Spans, encode));
        }
    }

    /// Returns how many spans are more than a span may be linked to.
    pub(super) fn dropped_links(&self) -> u32 {
        u32::try_from(self.with_parent - self.links.len() as u64).unwrap_or(u32::MAX)
    }

    /// Returns the topic, where there is only one, with its partition, where there is only one.
    pub(super) fn place(&self) -> Option<(&str, Option<i32>)> {
        let mut places = self.parts.keys();
        let (topic, partition) = places.next()?;
        let (mut is_alone, mut has_one_topic) = (true, true);
        for (other, _) in places {
            is_alone = false;
            has_one_topic &= other == topic;
        }
        has_one_topic.then(|| (topic.as_str(), is_alone.then_some(*partition)))
    }

    /// Returns the consumer group.
    pub(super) fn group(&self) -> Option<&str> {
        self.parts.values().find_map(|part| part.group.as_deref())
    }

    /// Writes an event for each partition: `whole` with its own records and their fate, by the name
    /// of its topic where `whole` has none. What came out of all of them together stands in the first.
    pub(super) fn write(&self, room: &mut Room<'_>, whole: &LedgerEvent<'_>, fate: Option<Fate>) {
        let mut emitted = whole.emitted;
        let mut is_first = true;
        for ((topic, partition), part) in &self.parts {
            let mut traces: Vec<_> = part.left().collect();
            traces.sort_unstable_by_key(|(offset, _)| *offset);
            let (Some((first, _)), Some((last, _))) = (traces.first(), traces.last()) else {
                continue;
            };
            let bytes: Vec<u8> = traces.iter().flat_map(|(_, trace_id)| *trace_id).collect();
            let told = whole.extra.iter().filter(|(key, _)| is_first || *key != UNCONFIRMED);
            let mut extra: Vec<_> = told.cloned().collect();
            is_first = false;
            extra.push(("tracebaton.batch.traces", Value::Bytes(bytes.into())));
            let event = LedgerEvent {
                name: if whole.name.is_empty() { topic } else { whole.name },
                fates: Fates::all(traces.len() as u64, fate),
                emitted: std::mem::take(&mut emitted),
                range: Some(Range {
                    topic,
                    partition: Some(*partition),
                    first: Some(*first),
                    last: Some(*last),
                    group: part.group.as_deref(),
                }),
                extra: &extra,
                ..whole.clone()
            };
            room.push(Signal::Ledger, |out| event.encode(out));
        }
    }
}
