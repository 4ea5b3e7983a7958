//! The inputs of one consumer group, told apart by where they stood in Kafka.
//!
//! The first law holds per input: a redelivery is the same input with one more attempt, whatever
//! batches the attempts came in.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ranges::{self, Range, Ranges};
use crate::model::{HopEvent, Id};

/// What became of a record at a hop.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    Passed,
    Filtered,
    Failed,
    DeadLettered,
    Pending,
}

/// Partition and offset of a record.
pub(super) type Place = (i64, i64);

/// An event may speak of any number of records in a few bytes; beyond this many they are counted as
/// one lump instead of one by one.
const MAX_LISTED: i64 = 10_000;

/// So may any number of events: how many records those of one trace may list that name none of them.
pub(super) const ROOM: i64 = 100_000;

/// What is known of one input.
pub(super) struct Input<'e> {
    /// The attempt that counts: the last one, or the last that passed.
    pub(super) event: &'e HopEvent,
    pub(super) fate: Fate,
    /// How many records it stands for: one, unless its event says no more than a number.
    pub(super) records: i64,
    /// Every time it passed: by batch, or by span where there is no batch.
    pub(super) passes: BTreeSet<&'e str>,
    /// The spans of all attempts.
    pub(super) spans: BTreeSet<&'e str>,
}

/// All inputs of a group on a topic.
#[derive(Default)]
pub(super) struct Inputs<'e> {
    pub(super) placed: BTreeMap<Place, Input<'e>>,
    /// Those of which nobody told where they stood.
    pub(super) unplaced: Vec<Input<'e>>,
}

impl<'e> Inputs<'e> {
    /// Gathers the trace's inputs out of what the group read; `sent` and the places of `others`, which
    /// are left out, help to place them. `room` is how many records more may be listed.
    pub(super) fn gather(
        trace_id: &str,
        read: &[&'e HopEvent],
        sent: &[&HopEvent],
        others: &BTreeMap<Place, Id>,
        room: &mut i64,
    ) -> Self {
        let mut inputs = Self::default();
        if read.is_empty() {
            return inputs;
        }
        let places = Places::of(read, sent, others);
        for event in read {
            inputs.add(own_records(trace_id, event, room), event, &places);
        }
        inputs.placed.retain(|place, _| !others.contains_key(place));
        inputs
    }

    pub(super) fn is_empty(&self) -> bool {
        self.placed.is_empty() && self.unplaced.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Input<'e>> {
        self.placed.values().chain(&self.unplaced)
    }

    /// Returns the records that are known as a number and a range only.
    pub(super) fn lumped(&self) -> Vec<(Range, i64)> {
        let of = |input: &Input<'_>| Some((ranges::of_event(input.event)?, input.records));
        self.unplaced.iter().filter_map(of).collect()
    }

    /// Returns how many records were read of which nobody told where.
    pub(super) fn without_place(&self) -> i64 {
        let is_without = |event: &HopEvent| event.partition.is_none() || event.first.is_none();
        let inputs = self.unplaced.iter().filter(|input| is_without(input.event));
        inputs.map(|input| input.records).sum()
    }

    fn add(&mut self, own: Own, event: &'e HopEvent, places: &Places<'_>) {
        let (Some(partition), Some(first), Own::Listed(indices)) =
            (event.partition, event.first, &own)
        else {
            for (fate, records) in own.lumps(event) {
                self.unplaced.push(Input::new(event, fate, records));
            }
            return;
        };
        let all = event.records();
        let last = event.last.unwrap_or(first);
        let mut low = first;
        for index in indices {
            let (from, to) = (first + index, last - (all - 1 - index));
            let offset = places.find(event, partition, low.max(from), to);
            low = offset + 1;
            let input = Input::new(event, fate_of(event, *index), 1);
            match self.placed.get_mut(&(partition, offset)) {
                Some(known) => known.attempt(input),
                None => {
                    self.placed.insert((partition, offset), input);
                }
            }
        }
    }
}

impl<'e> Input<'e> {
    fn new(event: &'e HopEvent, fate: Fate, records: i64) -> Self {
        let mut passes = BTreeSet::new();
        // A transform that made nothing of a record cannot have doubled anything.
        if fate == Fate::Passed && (event.kind == "insert" || event.emitted > 0) {
            passes.insert(event.batch_id.as_deref().unwrap_or(&event.span_id));
        }
        Self { event, fate, records, passes, spans: BTreeSet::from([event.span_id.as_str()]) }
    }

    /// Takes in a further attempt. Passed once is passed: a later attempt that failed cannot undo it.
    fn attempt(&mut self, other: Self) {
        if self.fate != Fate::Passed || other.fate == Fate::Passed {
            (self.event, self.fate) = (other.event, other.fate);
        }
        self.passes.extend(other.passes);
        self.spans.extend(other.spans);
    }
}

/// Which of an event's records are the trace's.
enum Own {
    /// Their positions in the event, ascending.
    Listed(Vec<i64>),
    /// All of them, and too many to list.
    Lump,
}

impl Own {
    fn lumps(&self, event: &HopEvent) -> Vec<(Fate, i64)> {
        let fates = match self {
            Self::Lump => counts(event).to_vec(),
            Self::Listed(indices) => {
                indices.iter().map(|index| (fate_of(event, *index), 1)).collect()
            }
        };
        fates.into_iter().filter(|(_, records)| *records > 0).collect()
    }
}

fn own_records(trace_id: &str, event: &HopEvent, room: &mut i64) -> Own {
    // Who names the records, or has one, takes as many bytes to say so.
    if event.members.is_empty() && event.records() > 1 {
        if event.records() > MAX_LISTED.min(*room) {
            return Own::Lump;
        }
        *room -= event.records();
    }
    // A batch has a trace of its own; asked for by that, all of its records are meant.
    if event.members.is_empty() || event.trace_id == trace_id {
        Own::Listed((0..event.records()).collect())
    } else {
        let members = (0..).zip(&event.members);
        let own = members.filter(|(_, member)| *member == trace_id).map(|(index, _)| index);
        Own::Listed(own.collect())
    }
}

fn counts(event: &HopEvent) -> [(Fate, i64); 5] {
    [
        (Fate::Passed, event.passed),
        (Fate::Filtered, event.filtered),
        (Fate::Failed, event.failed),
        (Fate::DeadLettered, event.dead_lettered),
        (Fate::Pending, event.pending()),
    ]
}

/// Returns the fate of the record at a position. The records of an event have one fate in common:
/// who leaves a batch has an event of its own. Where a sender mixes them, the sums still hold.
fn fate_of(event: &HopEvent, index: i64) -> Fate {
    let mut below = 0;
    for (fate, records) in counts(event) {
        below += records.max(0);
        if index < below {
            return fate;
        }
    }
    Fate::Pending
}

/// What helps to find the offset of a batch's n-th record where the batch has gaps.
struct Places<'e> {
    /// What holds records of the trace.
    sent: Ranges,
    /// Where records stand that are left out.
    others: &'e BTreeMap<Place, Id>,
    /// Records that left a batch on their own; a poll batch has no name.
    taken_out: BTreeSet<(&'e str, Place)>,
}

impl<'e> Places<'e> {
    fn of(read: &[&'e HopEvent], sent: &[&HopEvent], others: &'e BTreeMap<Place, Id>) -> Self {
        let sent = sent.iter().filter_map(|event| {
            let first = event.first?;
            Some((event.partition?, first, event.last.unwrap_or(first)))
        });
        let alone = read.iter().filter(|event| event.members.is_empty());
        let taken_out = alone
            .filter_map(|event| {
                let batch = event.batch_id.as_deref().unwrap_or_default();
                Some((batch, (event.partition?, event.first?)))
            })
            .collect();
        Self { sent: Ranges::of(sent), others, taken_out }
    }

    /// Returns the first offset from `from` to `to` at which a record of the trace may stand, or
    /// `from` where there is none: without gaps both are the same, and so is the answer.
    fn find(&self, event: &HopEvent, partition: i64, from: i64, to: i64) -> i64 {
        if to <= from {
            return from;
        }
        let batch = event.batch_id.as_deref().unwrap_or_default();
        let is_free = |offset: &i64| !self.taken_out.contains(&(batch, (partition, *offset)));
        let mut sent = self.sent.within((partition, from, to));
        let sent = sent.find_map(|(_, first, last)| (first..=last).find(is_free));
        let others = self.others.range((partition, from)..=(partition, to));
        let others = others.map(|((_, offset), _)| *offset).find(is_free);
        sent.into_iter().chain(others).min().unwrap_or(from)
    }
}
