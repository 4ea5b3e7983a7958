//! What batches made of other records, and what it costs to learn that and to count records.

use std::collections::BTreeMap;

use super::{batches::*, *};
use crate::{
    model::Span,
    query::{
        batches::{Batch, Batches},
        others::{Others, Share},
        trace,
    },
};

/// What the batch made of others, out of these events and spans.
fn others_of(events: Vec<HopEvent>, spans: Vec<Span>) -> (Others, Vec<HopEvent>) {
    let batch = Batch { trace_id: id(BATCH), records: 2, spans, is_told: true };
    let events = BTreeMap::from([(id(BATCH), events)]);
    let mut others = Others::than(id(TRACE));
    others.learn_on(&[batch], &events);
    (others, events.into_values().flatten().collect())
}

fn emitted(events: &[HopEvent]) -> i64 {
    events.iter().filter(|event| event.kind == "send").map(|event| event.emitted).sum()
}

#[test]
fn a_send_is_parted_only_where_it_has_records_of_others() {
    let mut events = vec![polled(BATCH, "raw", "totals", &[TRACE, OTHER], 2)];
    events.extend((0..300).map(|_| sent_by(BATCH, "out", 0, 9_999)));
    let (others, events) = others_of(events, linked_sends());
    let left = others.without(&events);
    assert_eq!(left.len(), 1 + 2 * 300);
    let runs = left[1..3].iter().map(|event| (event.first, event.last, event.emitted));
    assert!(runs.eq([(Some(0), Some(5), 6), (Some(7), Some(9_999), 9_993)]));
    assert_eq!(emitted(&left), 300 * 9_999);
}

#[test]
fn sends_that_claim_the_same_records_of_others_make_a_bounded_number_of_parts() {
    let mut events = vec![polled(BATCH, "raw", "totals", &[TRACE, OTHER], 2)];
    events.extend((0..300).map(|_| sent_by(BATCH, "out", 0, 9_999)));
    let of_other = |offset| {
        span_of_send(BATCH, &format!("other-{offset}"), offset, Some(link(OTHER, "send-of-other")))
    };
    let mut spans = linked_sends();
    spans.extend((10..2_010).step_by(2).map(of_other));
    let (others, events) = others_of(events, spans);
    let left = others.without(&events);
    assert!(left.len() <= 100_000 + 300, "{} parts", left.len());
    // What is left of each is the same, in parts or as a number.
    assert_eq!(emitted(&left), 300 * (9_999 - 1_000));
}

#[test]
fn a_bounded_number_of_places_is_listed_of_what_was_sent_below_a_record_of_others() {
    let mut events = vec![polled(BATCH, "raw", "totals", &[TRACE, OTHER], 2)];
    events.extend((0..300).map(|partition| HopEvent {
        partition: Some(partition),
        span_id: "other".into(),
        ..sent_by(BATCH, "on", 0, 9_999)
    }));
    let (others, _) = others_of(events, linked_sends());
    assert_eq!(others.places("on").len(), 300_000);
}

/// A batch that made something of a record of another trace, and much was made of that.
fn batch_of(foreign: &str) -> (Batch, Vec<HopEvent>) {
    let mut spans = spans_of(BATCH, &[]);
    spans.push(span_of_send(BATCH, "other", 6, Some(link(foreign, "send-of-other"))));
    let mut events = vec![polled(BATCH, "raw", "totals", &[TRACE, foreign], 1)];
    events.extend((0..30).map(|partition| HopEvent {
        partition: Some(partition),
        span_id: "other".into(),
        ..sent_by(BATCH, "on", 0, 9_999)
    }));
    (Batch { trace_id: id(BATCH), records: 2, spans, is_told: true }, events)
}

fn empty_batch(trace_id: &str) -> Batch {
    Batch { trace_id: id(trace_id), records: 1, spans: Vec::new(), is_told: true }
}

#[test]
fn what_is_anothers_is_not_once_that_one_is_found_to_be_of_the_question() {
    let (batch, events) = batch_of(AGAIN);
    let events = BTreeMap::from([(id(BATCH), events)]);
    let mut batches = vec![batch];
    let mut others = Others::than(id(TRACE));
    others.learn_on(&batches, &events);
    let is_others = |others: &Others| others.has(&link(BATCH, "other"));
    assert!(is_others(&others) && others.places("on").len() == 300_000);
    // Batches that no link leads to turn nothing.
    for number in 0..6 {
        batches.push(empty_batch(&format!("{:032x}", 0xc000 + number)));
        others.learn_on(&batches, &events);
        assert!(is_others(&others) && others.places("on").len() == 300_000);
    }
    batches.push(empty_batch(AGAIN));
    others.learn_on(&batches, &events);
    assert!(!is_others(&others) && others.places("on").is_empty());
    assert_eq!(others.share(id(BATCH)).own, 1);
}

#[test]
fn what_is_learnt_again_and_again_is_listed_a_few_times_only() {
    let (mut batch, mut events) = batch_of(OTHER);
    let turns: Vec<String> = (0..4).map(|turn| format!("{:032x}", 0xc000 + turn)).collect();
    for turn in &turns {
        batch.spans.push(span_of_send(BATCH, turn, 7, Some(link(turn, "x"))));
    }
    events.truncate(31);
    let events = BTreeMap::from([(id(BATCH), events)]);
    let mut batches = vec![batch];
    let mut others = Others::than(id(TRACE));
    let listed = turns.iter().map(|turn| {
        others.learn_on(&batches, &events);
        batches.push(empty_batch(turn));
        others.places("on").len()
    });
    assert_eq!(listed.collect::<Vec<_>>(), [300_000; 4]);
    others.learn_on(&batches, &events);
    assert_eq!(others.places("on").len(), 0);
}

/// How long it takes to diagnose the trace and to show it.
fn asked(events: Vec<HopEvent>, spans: Vec<Span>) -> std::time::Duration {
    let (store, _folder) = store(events, Vec::new());
    add_spans(&store, spans);
    let start = std::time::Instant::now();
    diagnose(&store, TRACE, || NOW).unwrap();
    trace::read(&store, id(TRACE)).unwrap();
    start.elapsed()
}

#[test]
fn a_chain_of_batches_is_gone_through_at_once() {
    let mut events = vec![request(1), sent("request", "raw", 0, 0)];
    let mut spans = Vec::new();
    let mut before = TRACE.to_owned();
    for number in 0..40 {
        let (trace_id, topic) = (format!("{:032x}", 0xb000 + number), format!("topic-{number}"));
        events.push(polled(&trace_id, &topic, "totals", &[&before, OTHER], 2));
        spans.push(span_of_send(&trace_id, &format!("other-{number}"), 6, Some(link(OTHER, "x"))));
        if number == 0 {
            // What was made of another's record is left out of all that follows.
            events.extend((0..30).map(|partition| HopEvent {
                partition: Some(partition),
                span_id: "other-0".into(),
                ..sent_by(&trace_id, "on", 0, 9_999)
            }));
        }
        before = trace_id;
    }
    let (store, _folder) = store(events.clone(), Vec::new());
    let batches = Batches::follow(&store, id(TRACE), |_| true).unwrap();
    assert_eq!(batches.all.len(), 31);
    let took = asked(events, spans);
    assert!(took.as_secs() < 12, "{took:?}");
}

#[test]
fn events_that_claim_many_records_cost_what_others_do() {
    let range = |event: HopEvent, at: i64, records: i64| HopEvent {
        last: event.first.map(|first| first + 9_999),
        records_in: records,
        passed: records,
        emitted: records,
        span_id: format!("{at}"),
        ..event
    };
    let sends = |records| (0..3_000).map(move |at| range(sent("", "raw", 0, 0), at, records));
    let reads = |number, records| {
        let read = |at| read("", "raw", "totals", at * 10_000, Fate::Passed);
        (0..number).map(move |at| range(read(at), at, records))
    };
    for (what, events) in [
        ("with gaps", sends(1_000_000_000).chain(reads(1, 10_000)).collect()),
        ("of a number only", sends(10_000).take(400).chain(reads(400, 1_000_000_000)).collect()),
        ("read", reads(400, 10_000).collect::<Vec<_>>()),
    ] {
        let took = asked(events, Vec::new());
        assert!(took.as_secs() < 8, "{what}: {took:?}");
    }
}

#[test]
fn an_output_that_was_refused_is_none_and_what_came_of_it_is_others_all_the_same() {
    let events =
        vec![polled(BATCH, "raw", "totals", &[TRACE, OTHER], 2), sent_by(BATCH, "out", 5, 6)];
    let mut spans = spans_of(BATCH, &[]);
    spans.push(span_of_send(BATCH, "own", 5, Some(link(TRACE, "send"))));
    for (name, of) in [("own-refused", TRACE), ("other-refused", OTHER)] {
        let refused = span_of_send(BATCH, name, 6, Some(link(of, "send")));
        spans.push(Span { is_error: true, ..refused });
    }
    let (others, _) = others_of(events, spans);
    assert_eq!(others.share(id(BATCH)), Share { own: 1, unlinked: 1, others: 0 });
    assert!(others.has(&link(BATCH, "other-refused")) && !others.has(&link(BATCH, "own-refused")));
    assert!(others.without(&[sent_by(BATCH, "out", 5, 6)]).len() == 1, "no place is taken by it");
    // Spans may tell of outputs before the ledger does.
    let events = vec![polled(BATCH, "raw", "totals", &[TRACE, OTHER], 2)];
    let (others, _) = others_of(events, linked_sends());
    assert_eq!(others.share(id(BATCH)), Share { own: 1, unlinked: 0, others: 1 });
}

#[test]
fn of_a_send_with_gaps_nothing_is_left_once_every_output_is_known() {
    let gaps = |emitted| HopEvent { emitted, ..sent_by(BATCH, "out", 5, 8) };
    let events = vec![polled(BATCH, "raw", "totals", &[TRACE, OTHER], 2)];
    let (others, _) = others_of(events, linked_sends());
    let left = |emitted| {
        let left = others.without(&[gaps(emitted)]).into_iter();
        left.map(|event| (event.first, event.last, event.emitted)).collect::<Vec<_>>()
    };
    let own = (Some(5), Some(5), 1);
    assert_eq!(left(2), [own]);
    assert_eq!(left(1), [own], "who claims less than is known takes nothing away");
    assert_eq!(left(3), [own, (Some(5), Some(8), 1)]);
}

#[test]
fn a_send_that_claims_too_many_records_is_not_listed() {
    for (last, listed) in [(9_999, 10_000), (10_000, 0)] {
        let mut events = vec![polled(BATCH, "raw", "totals", &[TRACE, OTHER], 2)];
        events.push(HopEvent { span_id: "other".into(), ..sent_by(BATCH, "on", 0, last) });
        let (others, _) = others_of(events, linked_sends());
        assert_eq!(others.places("on").len(), listed);
        // Listed or not, what the batch sent beside is left.
        let left = others.without(&[sent_by(BATCH, "out", 0, last)]);
        assert_eq!((emitted(&left), left.len()), (last, 2));
    }
}

#[test]
fn a_circle_of_what_was_made_of_others_ends() {
    let mut events = together([Fate::Passed; 2]);
    // The hop reads what it says it sent itself.
    events.push(HopEvent { trace_id: BATCH.into(), ..sent("end-6", "out", 6, 6) });
    events.push(HopEvent { trace_id: BATCH.into(), ..sent("earlier", "on", 0, 9) });
    let mut spans = linked_sends();
    spans.insert(0, span_of_send(BATCH, "earlier", 4, Some(link(OTHER, "send-of-other"))));
    let (others, events) = others_of(events, spans);
    assert_eq!(others.places("on").len(), 10, "the circle takes no room from others");
    assert!(others.has(&link(BATCH, "end-6")) && !others.has(&link(BATCH, "end-5")));
    assert!(others.without(&events).iter().all(|event| event.span_id != "end-6"));
}

#[test]
fn a_batch_is_anothers_only_by_records_of_the_trace_that_leads_to_it() {
    let events =
        vec![polled(BATCH, "raw", "totals", &[TRACE, OTHER], 2), sent_by(BATCH, "out", 5, 6)];
    let (others, _) = others_of(events, linked_sends());
    let next = |member: &str| HopEvent {
        first: Some(5),
        last: Some(8),
        ..polled(AGAIN, "out", "next", &[member], 1)
    };
    // At 6 stands a record of another, out of the first batch: none of the trace that is asked for.
    assert!(others.are_all_of(&next(BATCH), id(BATCH)));
    assert!(!others.are_all_of(&next(TRACE), id(TRACE)));
    assert!(!others.are_all_of(&next(BATCH), id(OTHER)));
    assert!(!others.are_all_of(&HopEvent { first: Some(7), ..next(BATCH) }, id(BATCH)));
    let of_two = polled(AGAIN, "out", "next", &[BATCH, BATCH], 1);
    assert!(!others.are_all_of(&HopEvent { last: Some(8), ..of_two }, id(BATCH)));
}

#[test]
fn a_batch_that_was_tried_again_has_no_more_records() {
    let mut events = vec![batch(BATCH, "users", 0, &[TRACE, OTHER], Fate::Pending)];
    events
        .push(HopEvent { partition: Some(1), ..batch(BATCH, "users", 7, &[OTHER], Fate::Pending) });
    for event in events.clone() {
        events.push(HopEvent { span_id: "again".into(), attempt: 2, ..event });
    }
    let (store, _folder) = store(events, Vec::new());
    let batches = Batches::follow(&store, id(TRACE), |_| true).unwrap();
    assert_eq!(batches.all.iter().map(|batch| batch.records).collect::<Vec<_>>(), [3]);
}
