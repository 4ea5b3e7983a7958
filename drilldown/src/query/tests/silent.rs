//! Batches that took records and told nothing of them, as their process was killed: there are spans and
//! log lines of them, and no ledger event.

use serde_json::json;

use super::{
    super::{
        batches::Batches,
        logs, trace,
        verdict::Verdict::{self, *},
    },
    batches::*,
    *,
};
use crate::model::Span;

/// The span of a poll, which links to the records.
fn poll(trace_id: &str, records: i64, links: &[(&str, &str)]) -> Span {
    let mut span = span(trace_id, &format!("{trace_id}-poll"), None, "client", 10);
    span.links = links.iter().map(|(trace_id, span_id)| link(trace_id, span_id)).collect();
    span.service = "totals-service".into();
    for (key, value) in [
        ("messaging.operation.type", json!("receive")),
        ("messaging.batch.message_count", json!(records)),
        ("messaging.destination.name", json!("raw")),
        ("messaging.consumer.group.name", json!("totals")),
    ] {
        span.attributes.insert(key.into(), value);
    }
    span
}

fn poll_of_two(trace_id: &str) -> Span {
    poll(trace_id, 2, &[(TRACE, "send"), (OTHER, "send-of-other")])
}

/// A record that was sent, and what is known of who read it beside.
fn sent_and(events: Vec<HopEvent>, spans: Vec<Span>) -> (Sqlite, tempfile::TempDir) {
    let events = [vec![request(1), sent("request", "raw", 0, 0)], events].concat();
    let (store, folder) = store(events, Vec::new());
    add_spans(&store, spans);
    (store, folder)
}

/// An event of the group, of another trace.
fn elsewhere(offset: i64) -> HopEvent {
    let read = read("elsewhere", "raw", "totals", offset, Fate::Filtered);
    HopEvent { trace_id: "9".repeat(32), time: NOW - 7200 * SECOND, ..read }
}

fn evidence(store: &Sqlite, trace_id: &str) -> Vec<(Verdict, String)> {
    let findings = diagnose(store, trace_id, || NOW + 60 * SECOND).unwrap().findings;
    findings.into_iter().map(|finding| (finding.verdict, finding.evidence)).collect()
}

fn messages(store: &Sqlite, trace_id: &str) -> Vec<(String, Option<i64>)> {
    let said = logs::read(store, id(trace_id)).unwrap().into_iter();
    said.map(|said| (said.line.message, said.batch_records)).collect()
}

#[test]
fn what_a_batch_said_before_it_was_killed_is_in_the_logs_of_its_records() {
    let (store, _folder) = sent_and(Vec::new(), vec![poll_of_two(BATCH)]);
    add_lines(&store, vec![line(BATCH, &format!("{BATCH}-process"), 20, "adding up")]);
    assert_eq!(messages(&store, TRACE), [("adding up".to_owned(), Some(2))]);
    assert_eq!(messages(&store, OTHER), [("adding up".to_owned(), Some(2))]);
    assert_eq!(messages(&store, AGAIN), []);
    // Once it tells, it is named and linked, and still one batch.
    let events = vec![polled(BATCH, "raw", "totals", &[TRACE, OTHER], 0)];
    store.keep(cut::logs(&encode::request(events)).unwrap()).unwrap();
    assert_eq!(messages(&store, TRACE), [("adding up".to_owned(), Some(2))]);
}

#[test]
fn a_batch_of_a_library_that_has_one_span_for_it_is_told_apart_as_well() {
    // It sends from within that span.
    let mut batch = poll_of_two(BATCH);
    batch.attributes.insert("messaging.operation.type".into(), json!("process"));
    let mut spans = vec![batch];
    for (name, offset, of) in [("own", 5, TRACE), ("other", 6, OTHER)] {
        let links = if of == TRACE { "send" } else { "send-of-other" };
        let mut sent = span_of_send(BATCH, name, offset, Some(link(of, links)));
        sent.parent_span_id = Some(format!("{BATCH}-poll"));
        spans.push(sent);
    }
    let (store, _folder) = sent_and(Vec::new(), spans);
    let nodes = trace::read(&store, id(TRACE)).unwrap();
    assert_eq!(nodes.iter().map(|node| &*node.span.name).skip(1).collect::<Vec<_>>(), ["own"]);
}

#[test]
fn what_comes_of_a_batch_that_was_killed_stands_below_its_poll() {
    let mut spans = vec![poll_of_two(BATCH), span(TRACE, "send", None, "producer", 0)];
    spans.push(span_of_send(BATCH, "of all", 5, None));
    spans.push(span_of_send(BATCH, "own", 6, Some(link(TRACE, "send"))));
    spans.push(span_of_send(BATCH, "other", 7, Some(link(OTHER, "send-of-other"))));
    spans.push(span(BATCH, "end", Some("own"), "consumer", 50));
    spans.push(span(BATCH, "end of other", Some("other"), "consumer", 50));
    let (store, _folder) = sent_and(Vec::new(), spans);
    let nodes = trace::read(&store, id(TRACE)).unwrap();
    let of_two = Some(2);
    let poll = format!("{BATCH}-poll");
    let expected = [
        ("send", 0, None),
        (&*poll, 1, of_two),
        ("of all", 2, of_two),
        ("own", 2, of_two),
        ("end", 3, of_two),
    ];
    assert_eq!(shape(&nodes), expected);
    assert_eq!(nodes[3].queued, None, "an output waits for nobody");
}

#[test]
fn a_record_that_a_batch_took_is_not_said_to_be_unread() {
    let (store, _folder) = sent_and(Vec::new(), vec![poll_of_two(BATCH)]);
    let text = "1 taken by totals in a batch of 2, trace 00000000000000000000000000000002, 59 s \
        ago, and nothing told since: it is at work, ended before it could tell, or keeps no ledger";
    assert_eq!(evidence(&store, TRACE), [(BatchPending, text.to_owned())]);
    // The latest of several is named.
    let mut later = poll_of_two(AGAIN);
    (later.start, later.end) = (NOW + 30 * SECOND, NOW + 30 * SECOND);
    add_spans(&store, vec![later]);
    let text = "1 taken by totals in 2 batches, the last a batch of 2, trace \
        00000000000000000000000000000003, 30 s ago, ";
    assert!(evidence(&store, TRACE)[0].1.starts_with(text), "{:?}", evidence(&store, TRACE));
}

#[test]
fn records_that_no_batch_took_are_unread_as_ever() {
    let events = vec![sent("request", "raw", 1, 2)];
    let (store, _folder) = sent_and(events, vec![poll_of_two(BATCH)]);
    let found = evidence(&store, TRACE);
    assert!(found[0].1.starts_with("1 taken by totals in a batch of 2"), "{found:?}");
    let text = "2 not read yet; no consumer group has told of this topic";
    assert_eq!(found[1..], [(ProducedNotConsumed, text.to_owned())]);
}

#[test]
fn only_the_group_that_polled_has_the_record() {
    let audit = |event: HopEvent| HopEvent { group: Some("audit".into()), ..event };
    let (store, _folder) = sent_and(vec![audit(elsewhere(-1))], vec![poll_of_two(BATCH)]);
    let found = evidence(&store, TRACE);
    assert_eq!((found.len(), found[0].0), (1, ProducedNotConsumed), "{found:?}");
    // A span may name no group; then it is the service that tells.
    let mut of_service = poll_of_two(BATCH);
    of_service.attributes.remove("messaging.consumer.group.name");
    for (service, verdict) in [("totals", BatchPending), ("audit", ProducedNotConsumed)] {
        let spans = vec![Span { service: service.into(), ..of_service.clone() }];
        let (store, _folder) = sent_and(vec![elsewhere(-1)], spans);
        assert_eq!(evidence(&store, TRACE)[0].0, verdict, "{service}");
    }
    let mut of_topic = poll_of_two(BATCH);
    of_topic.attributes.insert("messaging.destination.name".into(), json!("other topic"));
    let (store, _folder) = sent_and(vec![elsewhere(-1)], vec![of_topic]);
    assert_eq!(evidence(&store, TRACE)[0].0, ProducedNotConsumed);
}

#[test]
fn a_hole_that_a_batch_took_is_no_proof_of_a_loss_and_what_is_beyond_it_is() {
    let (store, _folder) = sent_and(vec![elsewhere(9)], vec![poll_of_two(BATCH)]);
    let text = "1 of 1 records were sent and the group went past them: taken by totals in a batch \
        of 2, trace 00000000000000000000000000000002, 59 s ago, which told nothing and ended before \
        it could, most likely";
    assert_eq!(evidence(&store, TRACE), [(Inconclusive, text.to_owned())]);
    let events = vec![sent("request", "raw", 1, 1), elsewhere(9)];
    let (store, _folder) = sent_and(events, vec![poll_of_two(BATCH)]);
    let found = evidence(&store, TRACE);
    let lost = "1 of 2 records were sent and the group went past them without a trace of them: ";
    assert!(found[0].0 == LostBetweenHops && found[0].1.starts_with(lost), "{found:?}");
    assert_eq!((found.len(), found[1].0), (2, Inconclusive), "{found:?}");
}

#[test]
fn a_batch_that_told_of_others_only_is_left_out() {
    // The record was in the poll, and left the batch before the rest was handled.
    let events = vec![
        polled(BATCH, "raw", "totals", &[OTHER, OTHER], 0),
        read("left", "raw", "totals", 0, Fate::Filtered),
    ];
    let events = [events, vec![HopEvent { trace_id: BATCH.into(), ..sent("x", "out", 0, 0) }]];
    let (store, _folder) = sent_and(events.concat(), vec![poll_of_two(BATCH)]);
    add_lines(&store, vec![line(BATCH, &format!("{BATCH}-process"), 20, "adding up")]);
    assert_eq!(messages(&store, TRACE), []);
    assert_eq!(evidence(&store, TRACE)[0].0, Filtered);
}

#[test]
fn a_link_of_any_other_span_leads_nowhere() {
    // Another trace may be linked for its own reasons, and be of anything else too.
    let with = |change: fn(&mut Span)| {
        let mut span = poll_of_two(BATCH);
        change(&mut span);
        span
    };
    for span in [
        with(|span| span.parent_span_id = Some("cron".into())),
        with(|span| drop(span.attributes.remove("messaging.batch.message_count"))),
        with(|span| drop(span.attributes.remove("messaging.operation.type"))),
        with(|span| drop(span.attributes.insert("messaging.operation.type".into(), json!("send")))),
    ] {
        let (store, _folder) = sent_and(Vec::new(), vec![span]);
        add_lines(&store, vec![line(BATCH, &format!("{BATCH}-process"), 20, "adding up")]);
        assert_eq!(messages(&store, TRACE), []);
        assert_eq!(evidence(&store, TRACE)[0].0, ProducedNotConsumed);
        assert_eq!(trace::read(&store, id(TRACE)).unwrap().len(), 1, "the span itself is shown");
    }
}

/// What came of a message that a batch had sent before it was killed.
fn came_of(offset: i64, fate: Fate) -> HopEvent {
    let end = read(&format!("end-{offset}"), "out", "end", offset, fate);
    HopEvent { trace_id: BATCH.into(), ..end }
}

#[test]
fn what_a_batch_had_sent_before_it_was_killed_is_followed() {
    let mut spans = vec![poll_of_two(BATCH)];
    spans.push(span_of_send(BATCH, "own", 5, Some(link(TRACE, "send"))));
    spans.push(span_of_send(BATCH, "other", 6, Some(link(OTHER, "send-of-other"))));
    let events = vec![came_of(5, Fate::Filtered), came_of(6, Fate::Failed)];
    let (store, _folder) = sent_and(events.clone(), spans.clone());
    let found = evidence(&store, TRACE);
    let went_on = "went on in a batch of 2, trace 00000000000000000000000000000002, in 1 linked to \
        it, beside any whose span is lost: end (process out): 1 left out on purpose: Filtered by end";
    assert_eq!(found[0].0, BatchPending);
    assert_eq!(found[1..], [(Filtered, went_on.to_owned())]);
    let diagnosis = diagnose(&store, TRACE, || NOW).unwrap();
    assert_eq!(branch(&diagnosis, "").continues_in, [BATCH]);
    // An output of all counts too, and one that was refused does not.
    spans.push(span_of_send(BATCH, "of all", 7, None));
    spans.push(Span { is_error: true, ..span_of_send(BATCH, "refused", 8, None) });
    let (store, _folder) = sent_and(events, spans);
    let text = "in 1 linked to it and 1 that no link ties to one record: ";
    assert!(evidence(&store, TRACE)[1].1.contains(text), "{:?}", evidence(&store, TRACE));
}

#[test]
fn a_record_that_was_handled_again_after_its_batch_had_sent_is_doubled() {
    let again = |fate| {
        let mut again = polled(AGAIN, "raw", "totals", &[TRACE, OTHER], 1);
        if fate == Fate::Filtered {
            (again.passed, again.filtered, again.emitted) = (0, 2, 0);
        }
        vec![again, HopEvent { trace_id: AGAIN.into(), ..sent_by(AGAIN, "out", 8, 8) }]
    };
    let doubled = "handled again, and a batch that told nothing, trace \
        00000000000000000000000000000002, had sent on what it made of it";
    let of = |fate, came: Vec<HopEvent>, sends: Vec<Span>| {
        let events = [again(fate), came].concat();
        let (store, _folder) = sent_and(events, [vec![poll_of_two(BATCH)], sends].concat());
        evidence(&store, TRACE)
    };
    let with = |fate, came| of(fate, came, Vec::new());
    let found = with(Fate::Passed, vec![came_of(5, Fate::Filtered)]);
    assert_eq!(found[0], (Duplicated, doubled.to_owned()), "{found:?}");
    assert!(found.iter().any(|(verdict, _)| *verdict == Filtered), "{found:?}");
    // Where nothing is known to have been sent, or the record did not pass again, nothing is doubled.
    for found in
        [with(Fate::Passed, Vec::new()), with(Fate::Filtered, vec![came_of(5, Fate::Filtered)])]
    {
        assert!(found.iter().all(|(verdict, _)| *verdict != Duplicated), "{found:?}");
    }
    // As long as a record of the trace is open, it may be that one which was sent on.
    let events = [again(Fate::Passed), vec![came_of(5, Fate::Filtered)]].concat();
    let events = [events, vec![sent("request", "raw", 1, 1)]].concat();
    let (store, _folder) = sent_and(events, vec![poll_of_two(BATCH)]);
    let found = evidence(&store, TRACE);
    assert!(found.iter().all(|(verdict, _)| *verdict != Duplicated), "{found:?}");
    // The span of the first output that was acknowledged is lost with the batch: where others are linked
    // to single records, so was that one, most likely to another.
    let sent = |name, of| span_of_send(BATCH, name, 6, Some(of));
    let came = || vec![came_of(5, Fate::Filtered), came_of(6, Fate::Filtered)];
    let of_other = sent("other", link(OTHER, "send-of-other"));
    let found = of(Fate::Passed, came(), vec![of_other]);
    assert!(found.iter().all(|(verdict, _)| *verdict != Duplicated), "{found:?}");
    let found = of(Fate::Passed, came(), vec![sent("own", link(TRACE, "send"))]);
    assert_eq!(found[0].0, Duplicated, "{found:?}");
}

#[test]
fn a_batch_of_what_another_one_had_sent_is_found_as_well() {
    let mut next = poll(AGAIN, 1, &[(BATCH, "own")]);
    next.attributes.insert("messaging.destination.name".into(), json!("out"));
    let mut of_other = poll(&"4".repeat(32), 1, &[(BATCH, "other")]);
    of_other.attributes.insert("messaging.destination.name".into(), json!("out"));
    let sends = [(5, "own", TRACE, "send"), (6, "other", OTHER, "send-of-other")];
    let sends = sends.map(|(offset, name, trace_id, span_id)| {
        span_of_send(BATCH, name, offset, Some(link(trace_id, span_id)))
    });
    let spans = [vec![poll_of_two(BATCH), next, of_other], sends.into()].concat();
    let (store, _folder) = sent_and(Vec::new(), spans);
    let lines = [(BATCH, "one"), (AGAIN, "two"), (&*"4".repeat(32), "of other")];
    add_lines(&store, lines.map(|(trace_id, said)| line(trace_id, "x", 20, said)).into());
    let said = messages(&store, TRACE).into_iter().map(|(message, _)| message);
    assert_eq!(said.collect::<Vec<_>>(), ["one", "two"]);
}

#[test]
fn of_what_another_batch_had_sent_only_the_records_own_counts_as_taken() {
    let told = polled(BATCH, "raw", "totals", &[TRACE, OTHER], 3);
    let events = vec![told, sent_by(BATCH, "out", 5, 7)];
    let mut next = poll(AGAIN, 2, &[(BATCH, "own"), (BATCH, "other")]);
    next.attributes.insert("messaging.destination.name".into(), json!("out"));
    let mut spans = vec![next];
    for (name, offset, of) in [("own", 5, TRACE), ("other", 6, OTHER), ("own too", 7, TRACE)] {
        spans.push(span_of_send(BATCH, name, offset, Some(link(of, &format!("send of {of}")))));
    }
    let (store, _folder) = sent_and(events, spans);
    let found = evidence(&store, TRACE);
    assert!(found[0].1.contains("out: 1 taken by totals in a batch of 2"), "{found:?}");
}

#[test]
fn a_bounded_number_of_silent_batches_is_gone_through_after_those_that_told() {
    let told = "f".repeat(32);
    let polls = (1..=40).map(|number| poll_of_two(&format!("{:032x}", 0xb000 + number)));
    let events = vec![polled(&told, "raw", "totals", &[TRACE], 0)];
    let (store, _folder) = sent_and(events, polls.collect());
    let batches = Batches::follow(&store, id(TRACE), |_| true).unwrap();
    assert_eq!(batches.all.len(), 31);
    assert!(batches.find(&told).is_some());
    // Those that told of others only count as well.
    let left = (1..=40)
        .map(|number| polled(&format!("{:032x}", 0xb000 + number), "raw", "totals", &[OTHER], 0));
    store.keep(cut::logs(&encode::request(left.collect())).unwrap()).unwrap();
    assert_eq!(Batches::follow(&store, id(TRACE), |_| true).unwrap().all.len(), 1);
}
