//! Stretches of offsets: however many records an event claims, it costs as much as an event that claims one.

use super::inputs::Place;
use crate::model::HopEvent;

/// A partition, its first offset and its last.
pub(super) type Range = (i64, i64, i64);

/// Returns the range that an event tells of; one that ends before it starts is its first offset alone.
pub(super) fn of_event(event: &HopEvent) -> Option<Range> {
    let first = event.first?;
    Some((event.partition?, first, event.last.unwrap_or(first).max(first)))
}

/// Offsets of partitions, as stretches that are apart.
#[derive(Default)]
pub(super) struct Ranges {
    /// Ascending.
    ranges: Vec<Range>,
    /// How many offsets there are before each of them.
    before: Vec<i128>,
}

impl Ranges {
    pub(super) fn of(ranges: impl IntoIterator<Item = Range>) -> Self {
        let mut ranges: Vec<Range> =
            ranges.into_iter().filter(|(_, first, last)| first <= last).collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, kept| {
            let is_joined = kept.0 == next.0 && next.1 <= kept.2;
            if is_joined {
                kept.2 = kept.2.max(next.2);
            }
            is_joined
        });
        let mut sum = 0;
        let mut before = Vec::with_capacity(ranges.len());
        for range in &ranges {
            before.push(sum);
            sum += length(*range);
        }
        Self { ranges, before }
    }

    /// Tells whether an offset is among them.
    pub(super) fn has(&self, (partition, offset): Place) -> bool {
        self.count(partition, offset, offset) > 0
    }

    /// Counts those from one offset to another.
    pub(super) fn count(&self, partition: i64, first: i64, last: i64) -> i64 {
        if first > last {
            return 0;
        }
        let count = self.up_to((partition, last)) - self.up_to((partition, first - 1));
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    /// Returns those from one offset to another.
    pub(super) fn within(&self, (partition, from, to): Range) -> impl Iterator<Item = Range> {
        let start = self.ranges.partition_point(|range| (range.0, range.2) < (partition, from));
        let ranges = self.ranges.get(start..).unwrap_or_default().iter();
        let ranges = ranges.take_while(move |range| range.0 == partition && range.1 <= to);
        ranges.map(move |range| (partition, range.1.max(from), range.2.min(to)))
    }

    fn up_to(&self, (partition, offset): Place) -> i128 {
        let behind = self.ranges.partition_point(|range| (range.0, range.1) <= (partition, offset));
        let Some(at) = behind.checked_sub(1) else { return 0 };
        let (Some(range), Some(before)) = (self.ranges.get(at), self.before.get(at)) else {
            return 0;
        };
        let last = if range.0 == partition { range.2.min(offset) } else { range.2 };
        before + length((range.0, range.1, last))
    }
}

fn length((_, first, last): Range) -> i128 {
    i128::from(last) - i128::from(first) + 1
}

/// Records of which nobody knows more than a number and a stretch that they are in.
#[derive(Default)]
pub(super) struct Lumps {
    /// The partition and the first offset, and how many records begin there or before.
    first: Vec<(Place, i64)>,
    /// The partition and the last offset, and how many records end there or before.
    last: Vec<(Place, i64)>,
}

impl Lumps {
    pub(super) fn of(lumps: &[(Range, i64)]) -> Self {
        let sum = |place: fn(&Range) -> Place| {
            let mut ends: Vec<(Place, i64)> =
                lumps.iter().map(|(range, records)| (place(range), *records)).collect();
            ends.sort_unstable();
            let mut sum = 0;
            for (_, records) in &mut ends {
                sum += *records;
                *records = sum;
            }
            ends
        };
        Self { first: sum(|range| (range.0, range.1)), last: sum(|range| (range.0, range.2)) }
    }

    /// Counts the records that may be in a stretch.
    pub(super) fn over(&self, partition: i64, first: i64, last: i64) -> i64 {
        let up_to = |ends: &[(Place, i64)], place: Place| {
            let behind = ends.partition_point(|(end, _)| *end <= place);
            behind.checked_sub(1).and_then(|at| ends.get(at)).map_or(0, |(_, sum)| *sum)
        };
        up_to(&self.first, (partition, last)) - up_to(&self.last, (partition, first - 1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn ranges() -> impl Strategy<Value = Vec<Range>> {
        let range = (0..3_i64, 0..30_i64, 0..8_i64);
        vec(range.prop_map(|(partition, first, length)| (partition, first, first + length)), 0..12)
    }

    proptest! {
        #[test]
        fn what_is_counted_at_once_is_what_is_counted_one_by_one(
            ranges in ranges(), partition in 0..3_i64, first in 0..40_i64, length in -1..20_i64
        ) {
            let last = first + length;
            let is_in = |offset: i64| {
                let over = |range: &&Range| range.0 == partition && range.1 <= offset && offset <= range.2;
                ranges.iter().any(|range| over(&range))
            };
            let all = Ranges::of(ranges.clone());
            let expected = (first..=last).filter(|offset| is_in(*offset)).count() as i64;
            prop_assert_eq!(all.count(partition, first, last), expected);
            prop_assert_eq!(all.has((partition, first)), is_in(first));
            let lumps: Vec<(Range, i64)> = ranges.iter().copied().zip(1..).collect();
            let is_over = |range: &Range| range.0 == partition && range.1 <= last && first <= range.2;
            let expected: i64 =
                lumps.iter().filter(|(range, _)| is_over(range)).map(|(_, records)| records).sum();
            let found = Lumps::of(&lumps).over(partition, first, last);
            prop_assert!(last < first || found == expected, "{} for {}", found, expected);
        }
    }

    #[test]
    fn any_number_of_partitions_may_be_full() {
        let all = Ranges::of((0..100).map(|partition| (partition, 0, i64::MAX)));
        assert_eq!(all.count(99, 5, 7), 3);
    }
}
