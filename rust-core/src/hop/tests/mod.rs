//! What hops leave behind, read back as an OTLP endpoint reads it.

mod alike;
mod batch;
mod threads;

use std::{borrow::Cow, collections::HashMap};

use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value::Value as Any},
    logs::v1::{LogRecord, ScopeLogs},
    trace::v1::{ScopeSpans, Span, span::SpanKind as Kind},
};
use prost::Message;

use super::{
    template::{Form, SpanHead, Template},
    *,
};
use crate::{
    propagate::Baton,
    wire::{Flags, SpanId, TraceContext, TraceId},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn recorder() -> Recorder {
    let recorder = Recorder::new();
    recorder.switch(true);
    recorder
}

fn baton() -> Baton {
    let context = TraceContext::parse(&format!("00-{TRACE}-b7ad6b7169203331-01")).unwrap();
    Baton { context: Some(context), ..Baton::default() }
}

fn at(offset: i64) -> Coordinates {
    Coordinates { topic: "raw".into(), partition: 3, offset, group: Some("users".into()) }
}

fn read(recorder: &Recorder) -> (Vec<Span>, Vec<LogRecord>) {
    let taken = recorder.take();
    let spans = ScopeSpans::decode(taken.spans.as_slice()).unwrap().spans;
    let logs = ScopeLogs::decode(taken.logs.as_slice()).unwrap().log_records;
    assert_eq!(spans.len() as u64, taken.counts.spans);
    assert_eq!(logs.len() as u64, taken.counts.logs + taken.counts.ledger);
    (spans, logs)
}

fn map(attributes: &[KeyValue]) -> HashMap<&str, String> {
    let text = |pair: &KeyValue| match pair.value.as_ref().unwrap().value.as_ref().unwrap() {
        Any::StringValue(text) => text.clone(),
        Any::IntValue(number) => number.to_string(),
        Any::BoolValue(flag) => flag.to_string(),
        Any::BytesValue(bytes) => format!("{} bytes", bytes.len()),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|pair| (pair.key.as_str(), text(pair))).collect()
}

#[test]
fn a_message_hop_is_one_span_and_one_event() {
    let recorder = recorder();
    Hop::process(&recorder, &at(7), &baton()).end();
    let (spans, logs) = read(&recorder);
    let [span] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(span.name, "process raw");
    assert_eq!(span.kind(), Kind::Consumer);
    assert_eq!(span.trace_id, TraceId::parse(TRACE).unwrap().to_bytes());
    assert_eq!(span.parent_span_id, SpanId::parse("b7ad6b7169203331").unwrap().to_bytes());
    assert_eq!(span.links.len(), 1);
    let attributes = map(&span.attributes);
    assert_eq!(attributes["messaging.destination.partition.id"], "3");
    assert_eq!(attributes["messaging.kafka.offset"], "7");
    let [event] = &logs[..] else { panic!("{logs:?}") };
    assert_eq!(event.event_name, "tracebaton.hop");
    assert_eq!(event.span_id, span.span_id);
    let attributes = map(&event.attributes);
    assert_eq!(attributes["tracebaton.hop.kind"], "process");
    assert_eq!(attributes["tracebaton.records.in"], "1");
    assert_eq!(attributes["tracebaton.records.passed"], "1");
    assert_eq!(attributes["messaging.consumer.group.name"], "users");
    assert!(!attributes.contains_key("tracebaton.records.emitted"));
}

#[test]
fn a_hop_settles_only_when_its_outputs_have() {
    let recorder = recorder();
    let hop = Hop::process(&recorder, &at(7), &baton());
    let (first, second) = (hop.output("users"), hop.output("users"));
    assert_ne!(first.baton().context, second.baton().context);
    hop.end();
    first.delivered(0, 10);
    assert_eq!(recorder.held().ledger, 0);
    second.delivered(0, 12);
    let (spans, logs) = read(&recorder);
    assert_eq!(spans.len(), 3);
    let [process, send] = &logs[..] else { panic!("{logs:?}") };
    assert_eq!(map(&process.attributes)["tracebaton.records.emitted"], "2");
    let send = map(&send.attributes);
    assert_eq!(send["tracebaton.hop.kind"], "send");
    assert_eq!(send["tracebaton.records.emitted"], "2");
    assert_eq!((&*send["messaging.kafka.offset"], &*send["tracebaton.offset.last"]), ("10", "12"));
}

#[test]
fn a_refused_output_fails_the_record() {
    let recorder = recorder();
    let hop = Hop::process(&recorder, &at(7), &baton());
    let output = hop.output("users");
    hop.end();
    output.undelivered("MessageSizeTooLarge", "too large");
    let (spans, logs) = read(&recorder);
    assert_eq!(spans.iter().filter(|span| span.status.is_some()).count(), 2);
    let process = map(&logs[0].attributes);
    assert_eq!(process["tracebaton.records.failed"], "1");
    assert_eq!(process["error.type"], "MessageSizeTooLarge");
    assert_eq!(map(&logs[1].attributes)["tracebaton.records.failed"], "1");
}

#[test]
fn an_output_may_be_acknowledged_without_a_place() {
    let recorder = recorder();
    let hop = Hop::process(&recorder, &at(7), &baton());
    let (placed, one, two) = (hop.output("users"), hop.output("users"), hop.output("users"));
    hop.end();
    placed.delivered(0, 12);
    one.acknowledged();
    two.acknowledged();
    let (spans, logs) = read(&recorder);
    assert_eq!(spans.len(), 4);
    let [process, placed, unplaced] = &logs[..] else { panic!("{logs:?}") };
    let process = map(&process.attributes);
    assert_eq!(process["tracebaton.records.passed"], "1");
    assert_eq!(process["tracebaton.records.emitted"], "3");
    assert!(!process.contains_key("tracebaton.outputs.unconfirmed"));
    assert_eq!(map(&placed.attributes)["messaging.kafka.offset"], "12");
    let unplaced = map(&unplaced.attributes);
    assert_eq!(unplaced["tracebaton.records.emitted"], "2");
    assert_eq!(unplaced["messaging.destination.name"], "users");
    for key in ["messaging.destination.partition.id", "messaging.kafka.offset"] {
        assert!(!unplaced.contains_key(key), "{unplaced:?}");
    }
}

#[test]
fn a_forgotten_output_is_told_as_unconfirmed() {
    let recorder = recorder();
    let hop = Hop::process(&recorder, &at(7), &baton());
    drop(hop.output("users"));
    drop(hop);
    let (spans, logs) = read(&recorder);
    assert_eq!((spans.len(), logs.len()), (2, 1));
    let process = map(&logs[0].attributes);
    assert_eq!(process["tracebaton.outputs.unconfirmed"], "1");
    assert_eq!(process["tracebaton.records.emitted"], "1");
}

#[test]
fn an_output_told_after_its_hop_was_closed_has_an_event_of_its_own() {
    let recorder = recorder();
    let hop = Hop::process(&recorder, &at(7), &baton());
    let (known, late, refused) = (hop.output("users"), hop.output("users"), hop.output("users"));
    known.delivered(0, 1);
    hop.failed("TypeError", "no");
    hop.close();
    let (spans, logs) = read(&recorder);
    assert_eq!(spans.len(), 2);
    let [process, _] = &logs[..] else { panic!("{logs:?}") };
    let process = map(&process.attributes);
    assert_eq!(process["tracebaton.records.failed"], "1");
    assert_eq!(process["tracebaton.records.emitted"], "3");
    assert_eq!(process["tracebaton.outputs.unconfirmed"], "2");
    late.delivered(0, 2);
    refused.undelivered("MessageSizeTooLarge", "too large");
    hop.end();
    drop(hop);
    let (spans, logs) = read(&recorder);
    let [delivered, failed] = &logs[..] else { panic!("{logs:?}") };
    assert_eq!(map(&delivered.attributes)["messaging.kafka.offset"], "2");
    assert_eq!(map(&failed.attributes)["tracebaton.records.failed"], "1");
    assert_eq!(spans.len(), 2, "the two sends");
}

#[test]
fn outputs_that_are_refused_in_the_same_way_are_one_event() {
    let recorder = recorder();
    let hop = Hop::process(&recorder, &at(7), &baton());
    let outputs: Vec<_> = (0..4).map(|_| hop.output("users")).collect();
    for (output, reason) in outputs.into_iter().zip(["too large", "away", "too large", "away"]) {
        output.undelivered("KafkaError", reason);
    }
    hop.output("audit").undelivered("KafkaError", "away");
    hop.end();
    let (_, logs) = read(&recorder);
    let refused: Vec<_> = logs.iter().map(|log| map(&log.attributes)).skip(1).collect();
    let told = refused.iter().map(|event| {
        let topic = event["messaging.destination.name"].as_str();
        (topic, event["tracebaton.reason"].as_str(), event["tracebaton.records.failed"].as_str())
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told, [("users", "too large", "2"), ("users", "away", "2"), ("audit", "away", "1")]);
    assert_eq!(refused[0]["tracebaton.records.in"], "2");
}

#[test]
fn a_dead_letter_says_so() {
    let recorder = recorder();
    let hop = Hop::process(&recorder, &at(7), &baton());
    hop.dead_lettered("ValueError", "unknown currency\r\nX: y");
    assert!(
        hop.error_headers()
            .contains(&("tracebaton-error-message", "unknown currency  X: y".into()))
    );
    hop.output("raw.dlq").delivered(0, 1);
    hop.end();
    let (spans, logs) = read(&recorder);
    let process = spans.iter().find(|span| span.name == "process raw").unwrap();
    assert_eq!(process.status.as_ref().unwrap().code, 2);
    assert_eq!(process.events[0].name, "exception");
    assert_eq!(map(&logs[0].attributes)["tracebaton.records.dead_lettered"], "1");
    assert_eq!(map(&logs[1].attributes)["tracebaton.dead_letter"], "true");
}

#[test]
fn a_dead_letter_that_is_refused_is_a_failure() {
    let recorder = recorder();
    let hop = Hop::process(&recorder, &at(7), &baton());
    hop.dead_lettered("ValueError", "no");
    let output = hop.output("raw.dlq");
    hop.end();
    output.undelivered("QueueFull", "no room");
    assert_eq!(map(&read(&recorder).1[0].attributes)["tracebaton.records.failed"], "1");
}

#[test]
fn what_is_sent_after_a_dead_letter_was_refused_is_none_unless_that_is_said_again() {
    let recorder = recorder();
    let hop = Hop::process(&recorder, &at(7), &baton());
    hop.dead_lettered("ValueError", "no");
    hop.output("raw.dlq").undelivered("QueueFull", "no room");
    assert!(!hop.output("audit").is_dead_letter());
    hop.dead_lettered("ValueError", "no");
    let again = hop.output("raw.dlq");
    assert!(again.is_dead_letter());
    again.delivered(0, 1);
    hop.end();
    assert_eq!(map(&read(&recorder).1[0].attributes)["tracebaton.records.dead_lettered"], "1");
}

#[test]
fn unsampled_traces_leave_events_but_no_spans() {
    let recorder = recorder();
    let mut baton = baton();
    baton.context = baton.context.map(|cx| TraceContext { flags: Flags::default(), ..cx });
    Hop::process(&recorder, &at(7), &baton).end();
    let (spans, logs) = read(&recorder);
    assert_eq!((spans.len(), logs.len()), (0, 1));
    assert_eq!(logs[0].flags, 0);
}

#[test]
fn a_trace_id_without_a_span_starts_a_root() {
    let recorder = recorder();
    let trace_id = TraceId::parse(TRACE).unwrap();
    let context = TraceContext { trace_id, span_id: None, flags: Flags::default() };
    Hop::receive(
        &recorder,
        "POST",
        "/ingest",
        &Baton { context: Some(context), ..Baton::default() },
    )
    .end();
    let (spans, logs) = read(&recorder);
    assert_eq!(spans[0].trace_id, trace_id.to_bytes());
    assert!(spans[0].parent_span_id.is_empty());
    assert_eq!(spans[0].flags & 3, 1, "sampled, and not said to be random");
    assert!(logs.is_empty(), "a request without records has no ledger event");
}

#[test]
fn a_share_of_new_traces_is_kept_and_all_of_the_ledger() {
    let recorder = recorder();
    recorder.set_sample_rate(0.5);
    let mut sampled = 0;
    for n in 0..400 {
        let hop = Hop::process(&recorder, &at(n), &Baton::default());
        let is_sampled = hop.baton().context.unwrap().flags.is_sampled();
        let state = hop.baton().tracestate.as_str();
        assert_eq!(state, if is_sampled { "ot=th:8" } else { "" });
        let next = Hop::process(&recorder, &at(n), hop.baton());
        assert_eq!(next.baton().context.unwrap().flags.is_sampled(), is_sampled);
        sampled += usize::from(is_sampled);
        hop.end();
        next.end();
    }
    assert!((120..280).contains(&sampled), "{sampled}");
    let (spans, logs) = read(&recorder);
    assert_eq!((spans.len(), logs.len()), (2 * sampled, 800));
    assert!(spans.iter().all(|span| span.trace_state == "ot=th:8"));
}

#[test]
fn a_refused_request_is_one_failed_record() {
    let recorder = recorder();
    let hop = Hop::receive(&recorder, "POST", "/ingest/{topic}", &Baton::default());
    hop.set("http.response.status_code", 415);
    hop.failed("unsupported_media_type", "send application/json");
    hop.end();
    let (spans, logs) = read(&recorder);
    assert!(spans[0].status.is_none(), "a 4xx is not the server's fault");
    let event = map(&logs[0].attributes);
    assert_eq!(event["tracebaton.records.failed"], "1");
    assert_eq!(event["http.response.status_code"], "415");
    assert_eq!(event["error.type"], "unsupported_media_type");
}

#[test]
fn a_batch_costs_one_event_a_partition() {
    let recorder = recorder();
    let mut insert = Insert::start(&recorder, "shop.users");
    for offset in 0..500 {
        insert.add(&at(offset), &baton());
    }
    insert.add(&Coordinates { partition: 4, ..at(9) }, &Baton::default());
    insert.take_out(&at(500), &baton()).failed("mapping", "not a date");
    let batch_id = insert.batch_id().to_owned();
    insert.passed();
    let (spans, logs) = read(&recorder);
    let batch = spans.iter().find(|span| span.name == "INSERT shop.users").unwrap();
    assert_eq!((batch.links.len(), batch.dropped_links_count), (128, 372));
    assert_eq!(logs.len(), 3);
    let taken_out = map(&logs[0].attributes);
    assert_eq!(taken_out["tracebaton.batch.id"], batch_id);
    assert_eq!(taken_out["tracebaton.records.failed"], "1");
    let third = map(&logs[1].attributes);
    assert_eq!(third["tracebaton.records.passed"], "500");
    assert_eq!(third["tracebaton.offset.last"], "499");
    assert_eq!(third["tracebaton.batch.traces"], "8000 bytes");
    assert_eq!(map(&logs[2].attributes)["tracebaton.batch.traces"], "16 bytes");
}

#[test]
fn a_blocked_batch_is_pending_and_then_passes() {
    let recorder = recorder();
    let mut insert = Insert::start(&recorder, "shop.users");
    insert.add(&at(1), &baton());
    insert.blocked("ConnectionRefused", "no server");
    insert.passed();
    let (_, logs) = read(&recorder);
    let pending = map(&logs[0].attributes);
    assert_eq!(pending["tracebaton.records.in"], "1");
    assert!(!pending.contains_key("tracebaton.records.passed"));
    let passed = map(&logs[1].attributes);
    assert_eq!(passed["tracebaton.attempt"], "2");
    assert_eq!(passed["tracebaton.records.passed"], "1");
}

#[test]
fn a_record_that_is_taken_out_of_an_insert_is_no_longer_in_it() {
    let recorder = recorder();
    let mut insert = Insert::start(&recorder, "shop.users");
    insert.add(&at(1), &baton());
    insert.add(&at(2), &baton());
    insert.take_out(&at(2), &baton()).filtered("a test order");
    assert_eq!(insert.len(), 1);
    insert.passed();
    let (_, logs) = read(&recorder);
    assert_eq!(map(&logs[0].attributes)["tracebaton.records.filtered"], "1");
    assert_eq!(map(&logs[1].attributes)["tracebaton.records.passed"], "1");
}

#[test]
fn what_is_taken_out_without_a_word_is_not_in_the_table() {
    let recorder = recorder();
    let mut insert = Insert::start(&recorder, "shop.users");
    insert.add(&at(1), &baton());
    insert.take_out(&at(2), &baton()).end();
    insert.take_out(&at(3), &baton()).leave_pending();
    insert.passed();
    let (spans, logs) = read(&recorder);
    let event = map(&logs[0].attributes);
    assert_eq!((&*event["tracebaton.records.failed"], &*event["error.type"]), ("1", "untold"));
    let pending = map(&logs[1].attributes);
    assert!(!pending.contains_key("tracebaton.records.failed"));
    assert!(!pending.contains_key("tracebaton.records.passed"));
    let batch = spans.iter().find(|span| span.name == "INSERT shop.users").unwrap();
    // One record is no batch (database semantic conventions).
    assert!(!map(&batch.attributes).contains_key("db.operation.batch.size"));
}

#[test]
fn each_attempt_of_an_insert_has_a_span_that_can_be_known_while_it_goes_on() {
    let recorder = recorder();
    let mut insert = Insert::start(&recorder, "shop.users");
    insert.add(&at(1), &baton());
    let first = insert.baton().context.unwrap();
    insert.blocked("ConnectionRefused", "no server");
    let second = insert.baton().context.unwrap();
    insert.leave_pending();
    let (spans, logs) = read(&recorder);
    assert_eq!(first.trace_id, second.trace_id);
    assert_ne!(first.span_id, second.span_id);
    for (context, (span, log)) in [first, second].into_iter().zip(spans.iter().zip(&logs)) {
        assert_eq!(span.trace_id, context.trace_id.to_bytes());
        let span_id = context.span_id.unwrap().to_bytes();
        assert_eq!((&span.span_id[..], &log.span_id[..]), (&span_id[..], &span_id[..]));
    }
    let pending = map(&logs[1].attributes);
    assert_eq!(pending["tracebaton.records.in"], "1");
    assert!(!pending.contains_key("tracebaton.records.passed"));
    assert!(!pending.contains_key("error.type"));
}

#[test]
fn what_is_left_in_the_middle_is_pending_with_its_outputs_unconfirmed() {
    let recorder = recorder();
    let hop = Hop::process(&recorder, &at(1), &baton());
    let output = hop.output("out");
    hop.leave_pending();
    hop.end();
    let (spans, logs) = read(&recorder);
    assert_eq!((spans.len(), logs.len()), (1, 1));
    let pending = map(&logs[0].attributes);
    assert_eq!(pending["tracebaton.records.in"], "1");
    assert_eq!(pending["tracebaton.outputs.unconfirmed"], "1");
    assert!(!pending.contains_key("tracebaton.records.passed"));
    drop(output);
}

#[test]
fn what_the_export_stops_in_the_middle_of_is_pending_and_its_sends_are_told() {
    let recorder = recorder();
    let hop = Hop::process(&recorder, &at(1), &baton());
    hop.output("out").delivered(2, 7);
    let _open = hop.output("out");
    let mut batch = Batch::poll(&recorder);
    batch.add(&at(5), &baton());
    batch.output("totals").delivered(0, 3);
    recorder.settle_open();
    let (spans, logs) = read(&recorder);
    let mut names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["poll raw", "process", "process raw", "send out", "send totals"]);
    let events: Vec<_> = logs.iter().map(|log| map(&log.attributes)).collect();
    let of = |kind: &str| {
        let of_kind = events.iter().filter(|event| event["tracebaton.hop.kind"] == kind);
        of_kind.collect::<Vec<_>>()
    };
    let [pending] = of("process")[..] else { panic!("{events:#?}") };
    assert_eq!(pending["tracebaton.records.in"], "1");
    assert_eq!(pending["tracebaton.records.emitted"], "2");
    assert_eq!(pending["tracebaton.outputs.unconfirmed"], "1");
    assert!(!pending.contains_key("tracebaton.records.passed"));
    let mut offsets: Vec<_> =
        of("send").iter().map(|event| event["messaging.kafka.offset"].to_owned()).collect();
    offsets.sort_unstable();
    assert_eq!(offsets, ["3", "7"]);
    batch.leave_pending();
}

#[test]
fn what_had_failed_when_it_was_left_has_failed() {
    let recorder = recorder();
    let hop = Hop::process(&recorder, &at(1), &baton());
    hop.failed("ValueError", "no");
    hop.leave_pending();
    let (_, logs) = read(&recorder);
    assert_eq!(map(&logs[0].attributes)["tracebaton.records.failed"], "1");
}

#[test]
fn a_batch_that_is_left_in_the_middle_is_pending() {
    let recorder = recorder();
    let mut batch = Batch::poll(&recorder);
    (1..4).for_each(|offset| batch.add(&at(offset), &baton()));
    let _output = batch.output("out");
    batch.leave_pending();
    let (_, logs) = read(&recorder);
    assert_eq!(logs.len(), 1);
    let pending = map(&logs[0].attributes);
    assert_eq!(pending["tracebaton.records.in"], "3");
    assert!(!pending.contains_key("tracebaton.records.passed"));
    assert!(!pending.contains_key("tracebaton.records.failed"));
}

#[test]
fn a_span_that_ends_before_it_starts_ends_when_it_starts() {
    let recorder = recorder();
    let context = baton().context.unwrap();
    let head = SpanHead {
        context: &context,
        tracestate: "",
        parent: context.span_id,
        is_parent_remote: false,
        start: 9,
        end: 5,
        place: Some((3, 7)),
        link: None,
    };
    let rootless = SpanHead { parent: None, ..head };
    let template = Template::of_output("out");
    let mut written = Vec::new();
    for head in [&head, &rootless] {
        template.write_span(Form::Usual, head, &mut written, |_| ());
    }
    recorder.span(&SpanRecord {
        trace_id: context.trace_id,
        span_id: context.span_id.unwrap(),
        parent: None,
        parent_is_remote: false,
        flags: context.flags,
        tracestate: "",
        name: "work",
        kind: SpanKind::Internal,
        start: 9,
        end: 5,
        attributes: &[],
        dropped_attributes: 0,
        links: &[],
        dropped_links: 0,
        status: &Status::Unset,
        exception: None,
    });
    let mut spans = ScopeSpans::decode(written.as_slice()).unwrap().spans;
    spans.extend(read(&recorder).0);
    assert_eq!(spans.len(), 3);
    for span in spans {
        assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (9, 9));
    }
}

#[test]
fn log_lines_carry_the_hops_ids() {
    let recorder = recorder();
    let hop = Hop::process(&recorder, &at(7), &baton());
    let fields = [("count", Value::Int(3))];
    let log = Log { level: Level::Info, message: "made 3", fields: &fields };
    recorder.log(&log, Some(hop.baton()));
    let (_, logs) = read(&recorder);
    assert_eq!(logs[0].trace_id, hop.trace_id().to_bytes());
    assert_eq!(logs[0].span_id, hop.span_id().to_bytes());
    assert_eq!(map(&logs[0].attributes)["count"], "3");
    let mut line = String::new();
    log.write_json("users", Some(hop.baton()), &mut line);
    assert!(line.contains(&format!("\"trace_id\":\"{TRACE}\"")), "{line}");
}
