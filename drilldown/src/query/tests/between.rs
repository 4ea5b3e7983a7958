//! What lies between those who sent and a group that reads, and which of its records are the trace's.

use std::collections::BTreeMap;

use super::{batches::*, *};
use crate::query::{
    inputs::{self, Inputs},
    others::NOWHERE,
};

/// What is waiting of `raw`, of which the group has read these offsets.
fn waiting(sends: &[(i64, i64, i64)], offsets: &[i64]) -> i64 {
    let send = |(at, (first, last, emitted)): (usize, &(i64, i64, i64))| HopEvent {
        emitted: *emitted,
        ..sent(&format!("send-{at}"), "raw", *first, *last)
    };
    let mut events: Vec<HopEvent> = sends.iter().enumerate().map(send).collect();
    let read = |at: &i64| read(&format!("read-{at}"), "raw", "totals", *at, Fate::Filtered);
    events.extend(offsets.iter().map(read));
    let diagnosis = diagnosis_of(events);
    let totals = branch(&diagnosis, "totals");
    totals.waiting + totals.unseen
}

#[test]
fn a_record_that_was_read_stands_in_for_one_that_was_sent() {
    assert_eq!(waiting(&[(0, 5, 2)], &[0, 3]), 0);
    // It is of the send that knows all its offsets, and of no other.
    assert_eq!(waiting(&[(0, 1, 2), (0, 5, 2)], &[0, 1]), 2);
    assert_eq!(waiting(&[(0, 1, 2), (0, 5, 2)], &[0, 1, 4, 5]), 0);
    // Nor is it of two sends that know none.
    assert_eq!(waiting(&[(0, 5, 1), (0, 5, 1)], &[3]), 1);
    // The one that ends first has the first choice.
    assert_eq!(waiting(&[(0, 9, 1), (0, 3, 1)], &[2, 8]), 0);
    assert_eq!(waiting(&[(0, 3, 1), (0, 9, 1)], &[2, 8]), 0);
}

#[test]
fn records_that_are_known_as_a_number_stand_in_for_those_that_were_sent() {
    let lump = |first: i64, last: i64, records: i64| HopEvent {
        records_in: records,
        filtered: records,
        last: Some(last),
        ..read("lump", "raw", "totals", first, Fate::Pending)
    };
    let missing = |sends: &[HopEvent], lump: HopEvent| {
        let diagnosis = diagnosis_of([sends, &[lump]].concat());
        let totals = branch(&diagnosis, "totals");
        totals.waiting + totals.unseen
    };
    let gaps = |emitted| HopEvent { emitted, ..sent("send", "raw", 0, 99_999) };
    assert_eq!(missing(&[gaps(20_000)], lump(0, 99_999, 20_000)), 0);
    assert_eq!(missing(&[gaps(20_005)], lump(0, 99_999, 20_000)), 5);
    assert_eq!(missing(&[gaps(20_000)], lump(100_000, 199_999, 20_000)), 20_000);
    assert_eq!(missing(&[sent("send", "raw", 0, 99_999)], lump(0, 49_999, 20_000)), 50_000);
}

#[test]
fn where_records_stand_that_are_left_out_helps_to_place_the_others() {
    let placed = |sends: &[HopEvent], others: &[i64], read: &[HopEvent]| {
        let read: Vec<&HopEvent> = read.iter().collect();
        let sends: Vec<&HopEvent> = sends.iter().collect();
        let others: BTreeMap<_, _> = others.iter().map(|at| ((0, *at), id(BATCH))).collect();
        let mut room = inputs::ROOM;
        let inputs = Inputs::gather(BATCH, &read, &sends, &others, &mut room);
        inputs.placed.keys().map(|(_, offset)| *offset).collect::<Vec<_>>()
    };
    // Two records of the batch are in the next one, which has gaps.
    let next = polled(AGAIN, "out", "next", &[BATCH, BATCH], 1);
    let next = HopEvent { first: Some(5), last: Some(9), ..next };
    let own = |at| [sent_by(BATCH, "out", at, at)];
    let events = [next.clone()];
    assert_eq!(placed(&own(9), &[6], &events), [9]);
    assert_eq!(placed(&own(7), &[6], &events), [7]);
    assert_eq!(placed(&own(6), &[7], &events), [6]);
    assert_eq!(placed(&own(9), &[], &events), [5, 9]);
    // At 6 stood one that left the batch.
    let left = read("left", "out", "next", 6, Fate::Filtered);
    assert_eq!(placed(&own(9), &[6, 7], &[next, left]), [9]);
}

#[test]
fn records_that_events_only_claim_are_listed_up_to_a_number() {
    let read = |at: i64, records: i64| HopEvent {
        records_in: records,
        passed: records,
        last: Some(at * 20_000 + records - 1),
        ..read(&format!("{at}"), "raw", "totals", at * 20_000, Fate::Passed)
    };
    let gathered = |events: &[HopEvent], mut room: i64| {
        let events: Vec<&HopEvent> = events.iter().collect();
        let inputs = Inputs::gather(TRACE, &events, &[], &NOWHERE, &mut room);
        (inputs.placed.len(), inputs.unplaced.len(), room)
    };
    assert_eq!(gathered(&[read(0, 10_000)], inputs::ROOM), (10_000, 0, inputs::ROOM - 10_000));
    assert_eq!(gathered(&[read(0, 10_001)], inputs::ROOM), (0, 1, inputs::ROOM));
    assert_eq!(gathered(&[read(0, 600), read(1, 600), read(2, 1)], 1_000), (601, 1, 400));
    // Who names every record is listed, whatever room there is.
    let named = polled(BATCH, "raw", "totals", &[TRACE; 3], 0);
    assert_eq!(gathered(&[named], 0), (3, 0, 0));
    let (store, _folder) = store((0..11).map(|at| read(at, 10_000)).collect(), Vec::new());
    let diagnosis = diagnose(&store, TRACE, || NOW).unwrap();
    assert_eq!(branch(&diagnosis, "totals").records_in, 110_000);
}

#[test]
fn of_many_records_in_one_event_those_are_missed_that_the_group_went_past() {
    let reached = |offset| HopEvent {
        trace_id: "00000000000000000000000000000001".into(),
        ..read("other", "raw", "transform", offset, Fate::Filtered)
    };
    let events = vec![request(20_000), sent("request", "raw", 0, 19_999), reached(14_999)];
    let diagnosis = diagnosis_of(events.clone());
    let transform = branch(&diagnosis, "transform");
    assert_eq!((transform.unseen, transform.waiting), (15_000, 5_000));
    // This group began after they were sent and above them; another one has them all.
    let late = HopEvent { time: NOW - 60 * SECOND, ..reached(24_999) };
    let lump = HopEvent {
        records_in: 20_000,
        passed: 20_000,
        last: Some(19_999),
        ..read("lump", "raw", "audit", 0, Fate::Passed)
    };
    let diagnosis = diagnosis_of([&events[..2], &[late, lump]].concat());
    let transform = branch(&diagnosis, "transform");
    assert_eq!((transform.before, transform.unseen, transform.waiting), (20_000, 0, 0));
    let audit = branch(&diagnosis, "audit");
    assert_eq!((audit.records_in, audit.unseen + audit.waiting), (20_000, 0));
}

#[test]
fn what_was_sent_a_moment_ago_is_waiting_however_far_the_group_is_said_to_be() {
    let far = HopEvent {
        trace_id: "00000000000000000000000000000001".into(),
        ..read("other", "raw", "transform", 9, Fate::Filtered)
    };
    let ago = |seconds| {
        let sent = HopEvent { time: NOW - seconds * SECOND, ..sent("request", "raw", 0, 0) };
        let diagnosis = diagnosis_of(vec![request(1), sent, far.clone()]);
        let transform = branch(&diagnosis, "transform");
        (transform.waiting, transform.unseen)
    };
    assert_eq!((ago(4), ago(6)), ((1, 0), (0, 1)));
}

#[test]
fn a_group_that_listened_before_a_record_was_sent_owes_it() {
    let other = |group: &str, partition: i64, ago: i64| HopEvent {
        trace_id: "00000000000000000000000000000001".into(),
        partition: Some(partition),
        time: NOW - ago * SECOND,
        ..read("other", "raw", group, 9, Fate::Filtered)
    };
    let audit = read("audit", "raw", "audit", 0, Fate::Filtered);
    let of = |first_heard: i64| {
        let mut events = vec![request(1), sent("request", "raw", 0, 0), audit.clone()];
        // It has read nothing of the record's partition but what came later.
        events.extend([other("totals", 1, first_heard), other("totals", 0, 60)]);
        let diagnosis = diagnosis_of(events);
        let totals = branch(&diagnosis, "totals");
        (totals.before, totals.unseen)
    };
    assert_eq!((of(7200), of(600)), ((0, 1), (1, 0)));
}
