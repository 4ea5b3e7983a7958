//! Records that were handled together: what `trace` and `logs` show of a batch, and whose outputs count
//! for a record's verdict.

use serde_json::json;

use super::{super::verdict::Verdict::*, *};
use crate::{
    model::{Id, Link, LogLine, Span},
    query::{logs, trace},
};

pub(super) const OTHER: &str = "00000000000000000000000000000001";
pub(super) const BATCH: &str = "00000000000000000000000000000002";
pub(super) const AGAIN: &str = "00000000000000000000000000000003";

pub(super) fn id(trace_id: &str) -> Id {
    Id::parse(trace_id).unwrap()
}

pub(super) fn link(trace_id: &str, span_id: &str) -> Link {
    Link { trace_id: trace_id.into(), span_id: span_id.into() }
}

/// A poll batch that read a topic from offset 0 on and made as many records as it says.
pub(super) fn polled(
    trace_id: &str,
    topic: &str,
    group: &str,
    members: &[&str],
    emitted: i64,
) -> HopEvent {
    HopEvent {
        kind: "process".into(),
        name: topic.into(),
        group: Some(group.into()),
        service: group.into(),
        span_id: format!("{trace_id}-process"),
        emitted,
        batch_id: None,
        ..batch(trace_id, topic, 0, members, Fate::Passed)
    }
}

/// What a batch sent to offsets of partition 0.
pub(super) fn sent_by(trace_id: &str, topic: &str, first: i64, last: i64) -> HopEvent {
    let event = sent(&format!("{trace_id}-process"), topic, first, last);
    HopEvent { trace_id: trace_id.into(), ..event }
}

pub(super) fn span(
    trace_id: &str,
    span_id: &str,
    parent: Option<&str>,
    kind: &str,
    start: i64,
) -> Span {
    Span {
        trace_id: trace_id.into(),
        span_id: span_id.into(),
        parent_span_id: parent.map(str::to_owned),
        name: span_id.into(),
        kind: kind.into(),
        start: NOW + start,
        end: NOW + start + 1,
        ..Span::default()
    }
}

/// The spans of a batch itself.
pub(super) fn spans_of(trace_id: &str, links: &[Link]) -> Vec<Span> {
    let (poll, process) = (format!("{trace_id}-poll"), format!("{trace_id}-process"));
    let mut spans = vec![
        span(trace_id, &poll, None, "client", 10),
        span(trace_id, &process, Some(&poll), "consumer", 20),
    ];
    spans.iter_mut().for_each(|span| span.links = links.to_vec());
    spans
}

/// The span of a `send` out of a batch, linked to the record it was made of.
pub(super) fn span_of_send(trace_id: &str, span_id: &str, offset: i64, of: Option<Link>) -> Span {
    let mut span =
        span(trace_id, span_id, Some(&format!("{trace_id}-process")), "producer", 30 + offset);
    span.attributes.insert("messaging.destination.name".into(), json!("out"));
    span.attributes.insert("messaging.destination.partition.id".into(), json!("0"));
    span.attributes.insert("messaging.kafka.offset".into(), json!(offset));
    span.links.extend(of);
    span
}

pub(super) fn add_spans(store: &Sqlite, spans: Vec<Span>) {
    store.keep(cut::traces(&encode::spans(spans)).unwrap()).unwrap();
}

/// Two records that were handled together; of each one message was made, and `fates` are those of
/// these two.
pub(super) fn together(fates: [Fate; 2]) -> Vec<HopEvent> {
    let mut events = vec![
        request(1),
        sent("request", "raw", 0, 0),
        polled(BATCH, "raw", "totals", &[TRACE, OTHER], 2),
        sent_by(BATCH, "out", 5, 6),
    ];
    for (offset, fate) in (5..).zip(fates) {
        let end = read(&format!("end-{offset}"), "out", "end", offset, fate);
        events.push(HopEvent { trace_id: BATCH.into(), ..end });
    }
    events
}

pub(super) fn linked_sends() -> Vec<Span> {
    let links = [link(TRACE, "send"), link(OTHER, "send-of-other")];
    let mut spans = spans_of(BATCH, &links);
    let [own, other] = links;
    spans.push(span_of_send(BATCH, "own", 5, Some(own)));
    spans.push(span_of_send(BATCH, "other", 6, Some(other)));
    spans.push(span(BATCH, "end-5", Some("own"), "consumer", 50));
    spans.push(span(BATCH, "end-6", Some("other"), "consumer", 60));
    spans
}

fn verdict_of(store: &Sqlite, trace_id: &str) -> (Verdict, String) {
    let diagnosis = diagnose(store, trace_id, || NOW).unwrap();
    (diagnosis.verdict, diagnosis.summary)
}

#[test]
fn an_output_that_is_linked_to_a_record_counts_for_that_record_alone() {
    let (store, _folder) = store(together([Fate::Filtered, Fate::Failed]), Vec::new());
    add_spans(&store, linked_sends());
    let text = "totals (process raw): went on in a batch of 2, trace \
        00000000000000000000000000000002, in 1 linked to it: end (process out): 1 ";
    let own = "left out on purpose: Filtered by end";
    assert_eq!(verdict_of(&store, TRACE), (Filtered, format!("{text}{own}")));
    let others = "failed and nothing else took them: Failed by end";
    assert_eq!(verdict_of(&store, OTHER), (TransformFailedLost, format!("{text}{others}")));
    // The batch itself is all of it.
    assert_eq!(verdict_of(&store, BATCH).0, TransformFailedLost);
}

#[test]
fn without_links_the_outputs_of_a_batch_count_for_every_record_and_that_is_said() {
    let (store, _folder) = store(together([Fate::Filtered, Fate::Failed]), Vec::new());
    let (verdict, summary) = verdict_of(&store, TRACE);
    assert_eq!(verdict, TransformFailedLost);
    assert!(summary.contains("batch of 2"), "{summary}");
    assert!(summary.contains("whose outputs no link ties to one record: "), "{summary}");
}

#[test]
fn what_was_made_of_the_whole_batch_counts_beside_what_is_linked() {
    let mut events = together([Fate::Filtered, Fate::Filtered]);
    events[3] = sent_by(BATCH, "out", 5, 7);
    let end = read("end-7", "out", "end", 7, Fate::Failed);
    events.push(HopEvent { trace_id: BATCH.into(), ..end });
    let (store, _folder) = store(events, Vec::new());
    add_spans(&store, linked_sends());
    add_spans(&store, vec![span_of_send(BATCH, "whole", 7, None)]);
    let (verdict, summary) = verdict_of(&store, TRACE);
    assert_eq!(verdict, TransformFailedLost);
    let text = "in 1 linked to it and 1 that no link ties to one record: ";
    assert!(summary.contains(text), "{summary}");
}

#[test]
fn outputs_among_those_of_others_are_told_apart_by_their_offsets() {
    // Somebody else sends to the topic too: offset 6 is none of the batch's, and its own is 8.
    let mut events = together([Fate::Failed, Fate::Filtered]);
    events[3] = HopEvent { records_in: 2, passed: 2, emitted: 2, ..sent_by(BATCH, "out", 5, 8) };
    for event in &mut events {
        if event.span_id == "end-6" {
            event.first = Some(8);
        }
    }
    let (store, _folder) = store(events, Vec::new());
    let links = [link(TRACE, "send"), link(OTHER, "send-of-other")];
    let sends = [(8, "own", links[0].clone()), (5, "other", links[1].clone())];
    let sends = sends.map(|(offset, name, of)| span_of_send(BATCH, name, offset, Some(of)));
    add_spans(&store, [spans_of(BATCH, &links), sends.into()].concat());
    assert_eq!(verdict_of(&store, TRACE).0, Filtered);
    assert_eq!(verdict_of(&store, OTHER).0, TransformFailedLost);
}

#[test]
fn what_comes_of_an_output_is_told_apart_from_what_comes_of_others() {
    // The hops after the batch send to the same topic by turns.
    let mut events = together([Fate::Passed; 2]);
    for event in events.iter_mut().filter(|event| event.span_id == "end-5") {
        event.emitted = 2;
    }
    let own = HopEvent { records_in: 2, passed: 2, emitted: 2, ..sent("end-5", "next", 10, 12) };
    for event in [own, sent("end-6", "next", 11, 11)] {
        events.push(HopEvent { trace_id: BATCH.into(), ..event });
    }
    for (offset, fate) in [(10, Fate::Filtered), (11, Fate::Failed), (12, Fate::Filtered)] {
        let last = read(&format!("last-{offset}"), "next", "last", offset, fate);
        events.push(HopEvent { trace_id: BATCH.into(), ..last });
    }
    let (store, _folder) = store(events, Vec::new());
    add_spans(&store, linked_sends());
    let (verdict, summary) = verdict_of(&store, TRACE);
    assert_eq!(verdict, Filtered);
    assert!(summary.contains("last (process next): 2 left out on purpose"), "{summary}");
    let (verdict, summary) = verdict_of(&store, OTHER);
    assert_eq!(verdict, TransformFailedLost);
    assert!(summary.contains("last (process next): 1 failed"), "{summary}");
}

#[test]
fn links_lead_through_one_batch_into_the_next() {
    let mut events = together([Fate::Pending; 2]);
    events.truncate(4);
    let next = polled(AGAIN, "out", "again", &[BATCH, BATCH], 2);
    events.push(HopEvent { first: Some(5), last: Some(6), ..next });
    events.push(sent_by(AGAIN, "out2", 0, 1));
    for (offset, fate) in [(0, Fate::Failed), (1, Fate::Filtered)] {
        let end = read(&format!("end-{offset}"), "out2", "end", offset, fate);
        events.push(HopEvent { trace_id: AGAIN.into(), ..end });
    }
    let (store, _folder) = store(events, Vec::new());
    let mut spans = linked_sends();
    spans.truncate(4);
    let links = [link(BATCH, "own"), link(BATCH, "other")];
    spans.extend(spans_of(AGAIN, &links));
    let [own, other] = links;
    for (name, offset, of) in [("other-again", 0, other), ("own-again", 1, own)] {
        let mut sent = span_of_send(AGAIN, name, offset, Some(of));
        sent.attributes.insert("messaging.destination.name".into(), json!("out2"));
        spans.push(sent);
    }
    add_spans(&store, spans);
    assert_eq!(verdict_of(&store, TRACE).0, Filtered);
    assert_eq!(verdict_of(&store, OTHER).0, TransformFailedLost);
    let shown = trace::read(&store, id(TRACE)).unwrap();
    assert_eq!(shown.len(), 6, "{shown:#?}");
}

#[test]
fn a_batch_that_handled_none_of_a_records_outputs_is_not_its() {
    let mut events = together([Fate::Pending; 2]);
    events.truncate(4);
    for (trace_id, offset, fate) in
        [(AGAIN, 5, Fate::Passed), ("4".repeat(32).as_str(), 6, Fate::Failed)]
    {
        let insert = batch(trace_id, "out", offset, &[BATCH], fate);
        events.push(HopEvent { group: Some("sink".into()), ..insert });
    }
    let (store, _folder) = store(events, Vec::new());
    add_spans(&store, linked_sends().into_iter().take(4).collect());
    assert_eq!(verdict_of(&store, TRACE).0, Inserted);
    assert_eq!(verdict_of(&store, OTHER).0, DroppedAtMapping);
    let inserted = span(AGAIN, "insert", None, "client", 70);
    let failed = span(&"4".repeat(32), "insert-of-other", None, "client", 70);
    add_spans(&store, vec![inserted, failed]);
    let shown = trace::read(&store, id(TRACE)).unwrap();
    assert_eq!(shown.len(), 4, "{shown:#?}");
    assert_eq!(shown[3].batch_records, Some(1));
}

#[test]
fn every_branch_that_leads_to_a_batch_has_its_verdict() {
    // One poll brought records of two topics.
    let mut events = together([Fate::Filtered, Fate::Failed]);
    events.push(sent("request", "more", 0, 0));
    let more = polled(BATCH, "more", "totals", &[TRACE], 0);
    events.push(more);
    let diagnosis = diagnosis_of(events);
    let verdicts = diagnosis.ledger.branches.iter().map(|branch| branch.verdict);
    assert_eq!(verdicts.collect::<Vec<_>>(), [Some(TransformFailedLost); 2]);
    assert_eq!(diagnosis.findings.len(), 2, "{diagnosis:#?}");
    assert!(diagnosis.summary.contains("a batch of 3, trace"), "{}", diagnosis.summary);
}

#[test]
fn batches_that_are_too_many_to_go_through_are_counted() {
    let mut events = vec![request(1)];
    for number in 0..40 {
        let trace_id = format!("{:032x}", 0xb000 + number);
        let polled = polled(&trace_id, "raw", "totals", &[TRACE], 1);
        events.push(HopEvent { first: Some(number), last: Some(number), ..polled });
        events.push(sent_by(&trace_id, "out", number, number));
    }
    let diagnosis = diagnosis_of(events);
    let beyond = "went on in 9 more batches, which were not gone through";
    assert!(diagnosis.findings.iter().any(|found| found.evidence == beyond), "{diagnosis:#?}");
}

/// The name of each span, how deep it stands, and of how many records its batch is.
pub(super) fn shape(nodes: &[trace::Node]) -> Vec<(&str, usize, Option<i64>)> {
    let of = |node: &trace::Node| node.batch_records;
    nodes.iter().map(|node| (node.span.name.as_str(), node.depth, of(node))).collect()
}

pub(super) fn line(trace_id: &str, span_id: &str, time: i64, message: &str) -> LogLine {
    LogLine {
        trace_id: Some(trace_id.into()),
        span_id: Some(span_id.into()),
        time: NOW + time,
        message: message.into(),
        ..LogLine::default()
    }
}

pub(super) fn add_lines(store: &Sqlite, lines: Vec<LogLine>) {
    store.keep(cut::logs(&encode::lines(lines)).unwrap()).unwrap();
}

#[test]
fn a_record_that_came_with_a_legacy_id_alone_is_found_in_its_batch() {
    // It has no span, so nothing can be linked to it: the ledger alone knows.
    let events =
        vec![polled(BATCH, "raw", "totals", &[TRACE, OTHER], 1), sent_by(BATCH, "out", 5, 5)];
    let (store, _folder) = store(events, Vec::new());
    let mut spans = spans_of(BATCH, &[]);
    spans.push(span_of_send(BATCH, "total", 5, None));
    spans.push(span(BATCH, "next hop", Some("total"), "consumer", 40));
    add_spans(&store, spans);
    add_lines(&store, vec![line(BATCH, &format!("{BATCH}-process"), 25, "summed up")]);
    let nodes = trace::read(&store, id(TRACE)).unwrap();
    let [poll, process] = ["poll", "process"].map(|what| format!("{BATCH}-{what}"));
    let of_two = Some(2);
    let expected = [
        (&*poll, 0, of_two),
        (&*process, 1, of_two),
        ("total", 2, of_two),
        ("next hop", 3, of_two),
    ];
    assert_eq!(shape(&nodes), expected);
    assert_eq!(nodes[3].queued, Some(4), "the next hop's record waited in the batch's trace");
    let said = logs::read(&store, id(TRACE)).unwrap();
    assert_eq!((said.len(), said[0].line.message.as_str()), (1, "summed up"));
    assert_eq!(said[0].batch_records, of_two);
    // The batch's own trace is none that others took part in.
    let said = logs::read(&store, id(BATCH)).unwrap();
    assert_eq!((said.len(), said[0].batch_records), (1, None));
}

#[test]
fn a_batch_stands_below_the_send_to_its_topic_and_no_other() {
    let events = vec![polled(BATCH, "raw", "totals", &[TRACE, OTHER], 1)];
    for (topic, depth) in [("raw", 1), ("elsewhere", 0)] {
        let (store, _folder) = store(events.clone(), Vec::new());
        let mut sent = span(TRACE, "sent", None, "producer", 10);
        sent.attributes.insert("messaging.destination.name".into(), json!(topic));
        add_spans(&store, spans_of(BATCH, &[]));
        add_spans(&store, vec![sent]);
        let nodes = trace::read(&store, id(TRACE)).unwrap();
        let poll = nodes.iter().find(|node| node.span.name.ends_with("poll")).unwrap();
        assert_eq!(poll.depth, depth, "{topic}");
        // That is where it is shown; what it links to is what it said.
        assert!(poll.span.links.is_empty());
    }
}

#[test]
fn what_a_batch_made_of_others_is_not_shown() {
    let (store, _folder) = store(together([Fate::Filtered, Fate::Failed]), Vec::new());
    add_spans(&store, vec![span(TRACE, "send", None, "producer", 0)]);
    add_spans(&store, linked_sends());
    let said = ["send", "own", "end-5", "other", "end-6"];
    let of = |span: &&str| if *span == "send" { TRACE } else { BATCH };
    let lines = said.iter().map(|span| line(of(span), span, 70, span)).collect();
    add_lines(&store, lines);
    let process = format!("{BATCH}-process");
    add_lines(&store, vec![line(BATCH, &process, 80, "of all")]);
    let nodes = trace::read(&store, id(TRACE)).unwrap();
    let of_two = Some(2);
    let poll = format!("{BATCH}-poll");
    let expected = [
        ("send", 0, None),
        (&*poll, 1, of_two),
        (&*process, 2, of_two),
        ("own", 3, of_two),
        ("end-5", 4, of_two),
    ];
    assert_eq!(shape(&nodes), expected);
    assert_eq!(nodes[2].queued, Some(19));
    let said = logs::read(&store, id(TRACE)).unwrap();
    let said: Vec<(&str, Option<i64>)> =
        said.iter().map(|said| (said.line.message.as_str(), said.batch_records)).collect();
    assert_eq!(said, [("send", None), ("own", of_two), ("end-5", of_two), ("of all", of_two)]);
}

#[test]
fn a_record_that_left_a_poll_batch_is_not_taken_for_one_that_stayed() {
    let mut events = vec![request(3), sent("request", "raw", 0, 2)];
    let stayed = polled(BATCH, "raw", "totals", &[TRACE, TRACE], 1);
    events.push(HopEvent { last: Some(2), ..stayed });
    events.push(read("left", "raw", "totals", 1, Fate::Filtered));
    let diagnosis = diagnosis_of(events);
    let totals = branch(&diagnosis, "totals");
    assert_eq!((totals.passed, totals.filtered, totals.unseen), (2, 1, 0), "{totals:#?}");
}

#[test]
fn a_large_batch_is_gone_through_at_once() {
    const COUNT: i64 = 2_000;
    let members: Vec<String> =
        (0..COUNT).map(|number| format!("{:032x}", number + 0x1000)).collect();
    let others: Vec<&str> = members.iter().map(String::as_str).collect();
    let mut events = vec![polled(BATCH, "raw", "totals", &others, COUNT)];
    events.push(sent_by(BATCH, "out", 0, COUNT - 1));
    let mut spans = spans_of(BATCH, &[]);
    for (offset, member) in (0..).zip(&others) {
        let name = format!("send-{offset}");
        spans.push(span_of_send(BATCH, &name, offset, Some(link(member, "send-of-it"))));
        let fate = if offset == 7 { Fate::Filtered } else { Fate::Failed };
        let end = read(&format!("end-{offset}"), "out", "end", offset, fate);
        events.push(HopEvent { trace_id: BATCH.into(), ..end });
    }
    let (store, _folder) = store(events, Vec::new());
    add_spans(&store, spans);
    let start = std::time::Instant::now();
    assert_eq!(verdict_of(&store, others[7]).0, Filtered);
    assert_eq!(trace::read(&store, id(others[7])).unwrap().len(), 3);
    let took = start.elapsed();
    assert!(took.as_secs() < 15, "{took:?}");
}
