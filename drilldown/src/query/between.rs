//! The second law: what lies between a `send` and the group that reads the topic.

use std::collections::BTreeSet;

use super::{
    inputs::{Inputs, Place},
    ranges::{self, Lumps, Range, Ranges},
};
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
fn range(sent: &HopEvent) -> Option<(Range, bool)> {
    let (partition, first, last) = ranges::of_event(sent)?;
    Some(((partition, first, last), last - first + 1 == sent.emitted))
}

/// How far a group has come in a topic, and what time it is.
pub(super) struct Progress<'r> {
    pub(super) readers: Vec<&'r Reader>,
    /// Nanoseconds since 1970.
    pub(super) now: i64,
}

/// Finds what is missing of the records sent, given the group's inputs and how far it has come.
pub(super) fn missing(sent: &[&HopEvent], inputs: &Inputs<'_>, progress: &Progress<'_>) -> Missing {
    let mut missing = Missing::default();
    let placed = inputs.placed.keys().map(|(partition, offset)| (*partition, *offset, *offset));
    let lumped = inputs.lumped();
    let known = Ranges::of(placed.chain(lumped.iter().map(|(range, _)| *range)));
    // Sends without gaps know their offsets; what is left may belong to the others.
    let ranges = || sent.iter().filter_map(|event| Some((event, range(event)?)));
    let whole = || ranges().filter(|(_, (_, is_dense))| *is_dense);
    for (event, ((partition, first, last), _)) in whole() {
        for (place, from, to) in progress.parts(event.time, (partition, first, last)) {
            *place.of(&mut missing) += to - from + 1 - known.count(partition, from, to);
        }
    }
    let claimed = Ranges::of(whole().map(|(_, (range, _))| range));
    let mut free: BTreeSet<Place> =
        inputs.placed.keys().filter(|place| !claimed.has(**place)).copied().collect();
    let lumps = Lumps::of(&lumped);
    let mut gapped: Vec<_> = ranges().filter(|(_, (_, is_dense))| !is_dense).collect();
    gapped.sort_by_key(|(_, ((_, _, last), _))| *last);
    for (event, ((partition, first, last), _)) in gapped {
        let here = free.range((partition, first)..=(partition, last)).copied();
        let own: Vec<Place> = here.take(usize::try_from(event.emitted).unwrap_or(0)).collect();
        let absent = event.emitted - own.len() as i64 - lumps.over(partition, first, last);
        for place in own {
            free.remove(&place);
        }
        for (place, ..) in progress.parts(event.time, (partition, last, last)) {
            *place.of(&mut missing) += absent.max(0);
        }
    }
    // Where nobody told the place, on either side, only the numbers can be compared.
    let unplaced = sent.iter().filter(|event| range(event).is_none());
    let unplaced: i64 = unplaced.map(|event| event.emitted).sum();
    missing.waiting += (unplaced - free.len() as i64).max(0);
    missing.take_off(inputs.without_place());
    missing
}

/// Where a record that is missing stands, seen from the group.
#[derive(Clone, Copy)]
enum Side {
    Ahead,
    Passed,
    Before,
}

impl Side {
    fn of(self, missing: &mut Missing) -> &mut i64 {
        match self {
            Self::Ahead => &mut missing.waiting,
            Self::Passed => &mut missing.unseen,
            Self::Before => &mut missing.before,
        }
    }
}

impl Progress<'_> {
    /// Parts offsets by what it means that one of them is missing.
    fn parts(&self, sent_at: i64, range: Range) -> impl Iterator<Item = (Side, i64, i64)> {
        let (partition, first, last) = range;
        let reader = self.readers.iter().find(|reader| reader.partition == partition);
        let reader = reader.filter(|_| sent_at < self.now - SETTLING);
        let (began, past) = reader.map_or((0, -1), |reader| (reader.first, reader.past(self.now)));
        // Who listened before the record was sent cannot have begun above it.
        let since = self.readers.iter().map(|reader| reader.since).min();
        let began = if since.is_some_and(|since| since > sent_at) { began } else { 0 };
        let parts = [
            (Side::Before, first, last.min(past).min(began - 1)),
            (Side::Passed, first.max(began), last.min(past)),
            (Side::Ahead, first.max(past + 1), last),
        ];
        parts.into_iter().filter(|(_, from, to)| from <= to)
    }
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
}
