//! The second law: what lies between a `send` and the group that reads the topic.

use std::collections::BTreeSet;

use super::inputs::{Inputs, Place};
use crate::model::{HopEvent, Reader, SETTLING};

/// Records that were sent and of which the group has told nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Missing {
    /// The group has not come to them yet.
    pub(super) waiting: i64,
    /// The group went past them.
    pub(super) unseen: i64,
    /// The group began to read later and further on.
    pub(super) before: i64,
}

/// The records of a `send`, and whether each offset of its range is one of them.
fn range(sent: &HopEvent) -> Option<(i64, i64, i64, bool)> {
    let (partition, first) = (sent.partition?, sent.first?);
    let last = sent.last.unwrap_or(first).max(first);
    let is_dense = last - first + 1 == sent.emitted && sent.emitted <= MAX_LISTED;
    Some((partition, first, last, is_dense))
}

/// A `send` may claim any number of records in a few bytes; more than these are not gone through.
const MAX_LISTED: i64 = 10_000;

/// How far a group has come in a topic, and what time it is.
pub(super) struct Progress<'r> {
    pub(super) readers: Vec<&'r Reader>,
    /// Nanoseconds since 1970.
    pub(super) now: i64,
}

/// Finds what is missing of the records sent, given the group's inputs and how far it has come.
pub(super) fn missing(sent: &[&HopEvent], inputs: &Inputs<'_>, progress: &Progress<'_>) -> Missing {
    let mut missing = Missing::default();
    let mut claimed: BTreeSet<Place> = BTreeSet::new();
    // Sends without gaps know their offsets; what is left may belong to the others.
    let ranges = || sent.iter().filter_map(|event| Some((event, range(event)?)));
    for (event, (partition, first, last, _)) in ranges().filter(|(_, range)| range.3) {
        for offset in first..=last {
            if inputs.placed.contains_key(&(partition, offset)) {
                claimed.insert((partition, offset));
            } else if inputs.lumped(partition, offset, offset) == 0 {
                missing.add(1, event.time, (partition, offset), progress);
            }
        }
    }
    let mut gapped: Vec<_> = ranges().filter(|(_, range)| !range.3).collect();
    gapped.sort_by_key(|(_, range)| range.2);
    for (event, (partition, first, last, _)) in gapped {
        let here = inputs.placed.range((partition, first)..=(partition, last));
        let free = here.map(|(place, _)| *place).filter(|place| !claimed.contains(place));
        let own: Vec<Place> = free.take(usize::try_from(event.emitted).unwrap_or(0)).collect();
        let absent = event.emitted - own.len() as i64 - inputs.lumped(partition, first, last);
        claimed.extend(own);
        missing.add(absent.max(0), event.time, (partition, last), progress);
    }
    // Where nobody told the place, on either side, only the numbers can be compared.
    let unplaced = sent.iter().filter(|event| range(event).is_none());
    let unplaced: i64 = unplaced.map(|event| event.emitted).sum();
    let free = inputs.placed.keys().filter(|place| !claimed.contains(place)).count();
    missing.waiting += (unplaced - free as i64).max(0);
    missing.take_off(inputs.without_place());
    missing
}

impl Missing {
    /// Takes off records that turned up without being known by their place.
    fn take_off(&mut self, mut records: i64) {
        for missing in [&mut self.unseen, &mut self.before, &mut self.waiting] {
            let found = records.clamp(0, *missing);
            *missing -= found;
            records -= found;
        }
    }

    fn add(&mut self, records: i64, sent_at: i64, place: Place, progress: &Progress<'_>) {
        let (partition, offset) = place;
        let readers = &progress.readers;
        let reader = readers.iter().find(|reader| reader.partition == partition);
        let since = readers.iter().map(|reader| reader.since).min();
        let is_past = |reader: &Reader| {
            sent_at < progress.now - SETTLING && reader.is_past(offset, progress.now)
        };
        match reader.filter(|reader| is_past(reader)) {
            // Who listened before the record was sent cannot have begun above it.
            Some(reader) if reader.first > offset && since.is_some_and(|since| since > sent_at) => {
                self.before += records;
            }
            Some(_) => self.unseen += records,
            None => self.waiting += records,
        }
    }
}
