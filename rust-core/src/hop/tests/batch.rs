//! Messages that were polled together.

use std::time::{Duration, Instant};

use super::*;

/// A message of another partition, or of another topic.
fn placed(topic: &str, partition: i32, offset: i64) -> Coordinates {
    Coordinates { topic: topic.into(), partition, offset, group: Some("users".into()) }
}

fn named<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    let [only] = found[..] else { panic!("{} are named {name}", found.len()) };
    only
}

#[test]
fn a_polled_batch_costs_two_spans_and_one_event_a_partition() {
    let recorder = recorder();
    let mut batch = Batch::poll(&recorder);
    for offset in (0..300).rev() {
        let partition = i32::try_from(offset % 2).unwrap();
        batch.add(&placed("raw", partition, offset), &baton());
    }
    batch.polled();
    let output = batch.output("totals");
    let trace_id = batch.hop().trace_id();
    batch.passed();
    assert_eq!(recorder.held().ledger, 0, "it passes once its output is acknowledged");
    output.delivered(2, 9);

    let (spans, logs) = read(&recorder);
    assert_eq!(spans.len(), 3);
    let (poll, process) = (named(&spans, "poll raw"), named(&spans, "process raw"));
    let send = named(&spans, "send totals");
    assert_eq!((poll.kind(), process.kind()), (Kind::Client, Kind::Consumer));
    assert_eq!(process.parent_span_id, poll.span_id);
    for span in [process, send] {
        assert_eq!(span.flags & 0x300, 0x100, "what is above it is in this process");
    }
    assert_eq!(send.parent_span_id, process.span_id);
    for span in [poll, process, send] {
        assert_eq!(span.trace_id, trace_id.to_bytes(), "the batch has a trace of its own");
    }
    for span in [poll, process] {
        assert_eq!((span.links.len(), span.dropped_links_count), (128, 172));
        assert_eq!(span.links[0].trace_id, TraceId::parse(TRACE).unwrap().to_bytes());
        let attributes = map(&span.attributes);
        assert_eq!(attributes["messaging.batch.message_count"], "300");
        assert_eq!(attributes["messaging.destination.name"], "raw");
        assert!(!attributes.contains_key("messaging.destination.partition.id"));
        for (link, offset) in span.links.iter().zip((0..300).rev()) {
            let own = map(&link.attributes);
            assert_eq!(own["messaging.kafka.offset"], offset.to_string());
            assert_eq!(own["messaging.destination.partition.id"], (offset % 2).to_string());
            assert_eq!(own.len(), 2, "the topic is equal for all");
        }
    }
    assert_eq!(map(&poll.attributes)["messaging.operation.type"], "receive");
    assert_eq!(map(&process.attributes)["messaging.operation.type"], "process");

    let [even, odd, send] = &logs[..] else { panic!("{logs:?}") };
    let (even, odd, send) = (map(&even.attributes), map(&odd.attributes), map(&send.attributes));
    for (event, first, last) in [(&even, "0", "298"), (&odd, "1", "299")] {
        assert_eq!(event["tracebaton.hop.kind"], "process");
        assert_eq!(event["tracebaton.hop.name"], "raw");
        assert_eq!(event["tracebaton.records.in"], "150");
        assert_eq!(event["tracebaton.records.passed"], "150");
        assert_eq!(event["tracebaton.batch.traces"], "2400 bytes");
        assert_eq!(event["messaging.kafka.offset"], first);
        assert_eq!(event["tracebaton.offset.last"], last);
    }
    assert_eq!(even["tracebaton.records.emitted"], "1");
    assert!(!odd.contains_key("tracebaton.records.emitted"), "it is counted once");
    assert_eq!(send["messaging.destination.partition.id"], "2");
}

#[test]
fn messages_taken_out_of_a_batch_have_events_of_their_own() {
    let recorder = recorder();
    let mut batch = Batch::poll(&recorder);
    for offset in 0..5 {
        batch.add(&at(offset), &baton());
    }
    let hop = batch.take_out(&at(0), &baton());
    hop.filtered("a test user");
    hop.end();
    let hop = batch.take_out(&at(4), &baton());
    hop.dead_lettered("ValueError", "no such currency");
    hop.output("raw.dlq").delivered(0, 3);
    hop.end();
    batch.passed();
    let (spans, logs) = read(&recorder);
    let own: Vec<_> = spans.iter().filter(|span| span.name == "process raw").collect();
    assert_eq!(own.len(), 3, "two messages and the batch");
    let events: Vec<_> = logs.iter().map(|log| map(&log.attributes)).collect();
    let of = |fate: &str| {
        let key = format!("tracebaton.records.{fate}");
        let found: Vec<_> = events
            .iter()
            .filter(|event| event["tracebaton.hop.kind"] == "process")
            .filter(|event| event.contains_key(key.as_str()))
            .collect();
        let [only] = found[..] else { panic!("{events:#?}") };
        only
    };
    assert_eq!(of("filtered")["messaging.kafka.offset"], "0");
    assert_eq!(of("dead_lettered")["messaging.kafka.offset"], "4");
    let rest = of("passed");
    assert_eq!(rest["tracebaton.records.in"], "3");
    assert_eq!((&*rest["messaging.kafka.offset"], &*rest["tracebaton.offset.last"]), ("1", "3"));
    assert_eq!(rest["tracebaton.batch.traces"], "48 bytes");
}

#[test]
fn a_message_that_is_in_a_batch_twice_is_one_input() {
    let recorder = recorder();
    let mut batch = Batch::poll(&recorder);
    // Read again from 1 on, before anything was handled.
    for offset in [0, 1, 2, 1, 2, 3] {
        batch.add(&at(offset), &baton());
    }
    assert_eq!(batch.len(), 4);
    batch.take_out(&at(2), &baton()).filtered("a test user");
    assert_eq!(batch.len(), 3);
    batch.add(&at(2), &baton());
    assert_eq!(batch.len(), 4, "it is in again");
    batch.take_out(&at(1), &baton()).filtered("a test user");
    batch.passed();
    let mut insert = Insert::start(&recorder, "shop.users");
    [9, 8, 9, 8].iter().for_each(|offset| insert.add(&at(*offset), &baton()));
    assert_eq!(insert.len(), 2);
    insert.passed();
    let (spans, logs) = read(&recorder);
    let events = logs.iter().map(|log| map(&log.attributes));
    let told: Vec<_> = events
        .filter(|event| event.contains_key("tracebaton.batch.traces"))
        .map(|event| {
            let keys =
                ["tracebaton.records.in", "tracebaton.batch.traces", "messaging.kafka.offset"];
            keys.map(|key| event[key].to_owned())
        })
        .collect();
    assert_eq!(told, [["3", "48 bytes", "0"], ["2", "32 bytes", "8"]]);
    let links = |name: &str| named(&spans, name).links.len();
    assert_eq!((links("poll raw"), links("INSERT shop.users")), (4, 2), "each is linked once");
}

#[test]
fn a_batch_fails_when_told_when_an_output_is_refused_and_when_it_is_dropped() {
    let recorder = recorder();
    let polled = || {
        let mut batch = Batch::poll(&recorder);
        batch.add(&at(7), &baton());
        batch.add(&placed("other", 0, 1), &Baton::default());
        batch
    };
    polled().failed("TypeError", "no");
    let mut batch = polled();
    let output = batch.output("totals");
    batch.passed();
    output.undelivered("MessageSizeTooLarge", "too large");
    drop(polled());
    drop(Batch::poll(&recorder));
    let (spans, logs) = read(&recorder);
    let processed: Vec<_> = spans.iter().filter(|span| span.name == "process").collect();
    assert_eq!(processed.len(), 3, "a batch of several topics is named after none");
    assert!(processed.iter().all(|span| span.status.as_ref().unwrap().code == 2));
    let events = logs.iter().map(|log| map(&log.attributes));
    let reasons: Vec<_> = events
        .filter(|event| event["tracebaton.hop.kind"] == "process")
        .map(|event| {
            assert_eq!(event["tracebaton.records.failed"], "1");
            (event["tracebaton.hop.name"].clone(), event["error.type"].clone())
        })
        .collect();
    let of = |topic: &str| {
        reasons
            .iter()
            .filter(|(name, _)| name == topic)
            .map(|(_, kind)| &**kind)
            .collect::<Vec<_>>()
    };
    for topic in ["raw", "other"] {
        assert_eq!(of(topic), ["TypeError", "MessageSizeTooLarge", "Dropped"]);
    }
}

#[test]
fn a_child_of_a_fork_lets_go_of_its_parents_batch_in_silence() {
    for is_forked in [false, true] {
        let recorder = recorder();
        let mut batch = Batch::poll(&recorder);
        batch.add(&at(7), &baton());
        if is_forked {
            recorder.pause().forget();
        }
        drop(batch);
        assert_eq!(recorder.held().ledger, u64::from(!is_forked));
    }
}

#[test]
fn an_unconfirmed_output_of_a_batch_is_counted_once() {
    let recorder = recorder();
    let mut batch = Batch::poll(&recorder);
    batch.add(&at(7), &baton());
    batch.add(&placed("raw", 4, 1), &baton());
    drop(batch.output("totals"));
    batch.passed();
    let (_, logs) = read(&recorder);
    let events: Vec<_> = logs.iter().map(|log| map(&log.attributes)).collect();
    let counted = |key: &str| events.iter().filter(|event| event.contains_key(key)).count();
    assert_eq!(events.len(), 2);
    assert_eq!(counted("tracebaton.outputs.unconfirmed"), 1);
    assert_eq!(counted("tracebaton.records.emitted"), 1);
}

#[test]
fn what_is_made_of_one_message_is_linked_to_it_and_lost_alone() {
    let recorder = recorder();
    let mut batch = Batch::poll(&recorder);
    for offset in 0..4 {
        batch.add(&at(offset), &baton());
    }
    let outputs = [0, 1, 1, 2].map(|offset| batch.output_of("out", &at(offset), &baton()));
    let of_all = batch.output("totals");
    let trace_id = batch.hop().trace_id();
    batch.passed();
    let [first, one, other, third] = outputs;
    first.delivered(0, 5);
    one.undelivered("MessageSizeTooLarge", "too large");
    other.undelivered("MessageSizeTooLarge", "too large");
    of_all.delivered(0, 6);
    assert_eq!(recorder.held().ledger, 0, "one is still on its way");
    third.delivered(0, 7);

    let (spans, logs) = read(&recorder);
    let sends: Vec<_> = spans.iter().filter(|span| span.name == "send out").collect();
    assert_eq!(sends.len(), 4);
    for send in sends {
        assert_eq!(send.trace_id, trace_id.to_bytes());
        assert_eq!(send.links[0].trace_id, TraceId::parse(TRACE).unwrap().to_bytes());
    }
    assert!(named(&spans, "send totals").links.is_empty());
    let events: Vec<_> = logs.iter().map(|log| map(&log.attributes)).collect();
    let processed: Vec<_> =
        events.iter().filter(|event| event["tracebaton.hop.kind"] == "process").collect();
    let [rest, lost] = processed[..] else { panic!("{events:#?}") };
    assert_eq!((&*rest["tracebaton.records.in"], &*rest["tracebaton.records.passed"]), ("3", "3"));
    assert_eq!(rest["tracebaton.batch.traces"], "48 bytes");
    assert_eq!((&*lost["tracebaton.records.in"], &*lost["tracebaton.records.failed"]), ("1", "1"));
    assert_eq!(lost["messaging.kafka.offset"], "1");
    assert_eq!(lost["error.type"], "MessageSizeTooLarge");
}

#[test]
fn what_is_made_of_one_message_is_known_before_the_batch_ends() {
    let recorder = recorder();
    let mut batch = Batch::poll(&recorder);
    [1, 2].iter().for_each(|offset| batch.add(&placed("raw", 0, *offset), &baton()));
    batch.polled();
    let outputs = [1, 2].map(|offset| batch.output_of("out", &placed("raw", 0, offset), &baton()));
    for (output, offset) in outputs.into_iter().zip([8, 9]) {
        output.delivered(0, offset);
    }
    let (spans, _) = read(&recorder);
    let sends: Vec<_> = spans.iter().filter(|span| span.name == "send out").collect();
    assert_eq!(sends.len(), 2, "who kills it now loses neither");
    assert!(sends.iter().all(|span| span.links.len() == 1));
    batch.passed();
    let (spans, logs) = read(&recorder);
    assert!(spans.iter().all(|span| span.name == "process raw"), "each span once: {spans:?}");
    assert_eq!(map(&logs[1].attributes)["tracebaton.records.passed"], "2");
}

#[test]
fn a_message_that_is_lost_in_a_batch_that_failed_is_counted_once() {
    let recorder = recorder();
    let mut batch = Batch::poll(&recorder);
    batch.add(&at(0), &baton());
    batch.add(&at(1), &baton());
    let output = batch.output_of("out", &at(0), &baton());
    output.undelivered("MessageSizeTooLarge", "too large");
    batch.failed("OSError", "down");
    let (_, logs) = read(&recorder);
    let events = logs.iter().map(|log| map(&log.attributes));
    let failed: Vec<_> = events
        .filter(|event| event["tracebaton.hop.kind"] == "process")
        .map(|event| (event["tracebaton.records.in"].clone(), event["error.type"].clone()))
        .collect();
    assert_eq!(failed, [("2".to_owned(), "OSError".to_owned())]);
}

#[test]
fn a_large_batch_that_is_refused_or_taken_out_one_by_one_holds_up_nobody() {
    const COUNT: i64 = 40_000;
    let recorder = recorder();
    let polled = || {
        let mut batch = Batch::poll(&recorder);
        (0..COUNT).for_each(|offset| batch.add(&placed("raw", 0, offset), &baton()));
        batch
    };
    let start = Instant::now();
    let mut batch = polled();
    for offset in (0..COUNT).rev() {
        let _ = batch.take_out(&placed("raw", 0, offset), &baton());
    }
    assert!(batch.is_empty());
    batch.add(&placed("raw", 0, 7), &baton());
    assert_eq!(batch.len(), 1, "it is in again");
    let mut batch = polled();
    let output = |offset| batch.output_of("users", &placed("raw", 0, offset), &baton());
    let outputs: Vec<_> = (0..COUNT).map(output).collect();
    batch.passed();
    outputs.into_iter().for_each(|output| output.undelivered("NetworkException", "away"));
    let took = start.elapsed();
    // Where each of them is searched for among all, it is a minute.
    assert!(took < Duration::from_secs(15), "{took:?}");
}

#[test]
fn a_link_says_only_what_is_not_equal_for_the_whole_batch() {
    for (other, expected) in [
        (placed("raw", 0, 8), &["messaging.kafka.offset"][..]),
        (
            placed("late", 0, 8),
            &[
                "messaging.destination.name",
                "messaging.destination.partition.id",
                "messaging.kafka.offset",
            ],
        ),
    ] {
        let recorder = recorder();
        let mut batch = Batch::poll(&recorder);
        batch.add(&placed("raw", 0, 7), &Baton::default());
        batch.add(&other, &baton());
        // A message without a context has no link; one that is linked besides stood nowhere.
        batch.hop().link(baton().context.unwrap());
        batch.passed();
        let (spans, _) = read(&recorder);
        let process = spans.iter().find(|span| span.name.starts_with("process")).unwrap();
        let [own, told] = &process.links[..] else { panic!("{:?}", process.links) };
        let attributes = map(&own.attributes);
        let mut keys: Vec<_> = attributes.keys().copied().collect();
        keys.sort_unstable();
        assert_eq!(keys, expected);
        assert_eq!(attributes["messaging.kafka.offset"], "8");
        assert!(told.attributes.is_empty());
    }
}
