//! What is written by templates says the same as what is written attribute by attribute.

use super::*;
use crate::wire::{LegacyId, TraceState};

/// A hop whose place, names and ids all have their say.
fn full_baton() -> Baton {
    let mut baton = baton();
    baton.tracestate = TraceState::parse("a=1,b=2").unwrap();
    baton.legacy = LegacyId::parse("order-1234").unwrap();
    baton
}

fn link() -> Link {
    let context = baton().context.unwrap();
    let (trace_id, flags) = (context.trace_id, context.flags);
    Link { trace_id, span_id: context.span_id.unwrap(), flags }
}

/// Returns what a record of the same span says, but for what is its own.
fn usual(span: &Span) -> SpanRecord<'static> {
    let id = |bytes: &[u8]| SpanId::from_bytes(bytes.try_into().ok()?);
    SpanRecord {
        trace_id: TraceId::parse(TRACE).unwrap(),
        span_id: id(&span.span_id).unwrap(),
        parent: id(&span.parent_span_id),
        parent_is_remote: true,
        flags: Flags::SAMPLED,
        tracestate: "a=1,b=2",
        name: "process raw",
        kind: SpanKind::Consumer,
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        attributes: &[],
        dropped_attributes: 0,
        links: &[],
        dropped_links: 0,
        status: &Status::Unset,
        exception: None,
    }
}

/// Returns what a record of the same event says, but for what is its own.
fn usual_event(event: &LogRecord) -> LedgerEvent<'static> {
    LedgerEvent {
        time: event.time_unix_nano,
        trace_id: TraceId::parse(TRACE).unwrap(),
        span_id: SpanId::from_bytes(event.span_id.as_slice().try_into().unwrap()).unwrap(),
        flags: Flags::SAMPLED,
        kind: HopKind::Process,
        name: "raw",
        fates: Fates::one(Some(Fate::Passed)),
        emitted: 0,
        range: None,
        reason: None,
        error_type: None,
        attempt: 1,
        extra: &[],
    }
}

fn assert_span(span: &Span, expected: &SpanRecord<'_>) {
    let recorder = recorder();
    recorder.span(expected);
    let (mut expected, mut span) = (read(&recorder).0.remove(0), span.clone());
    for span in [&mut expected, &mut span] {
        span.attributes.sort_by(|a, b| a.key.cmp(&b.key));
    }
    assert_eq!(span, expected);
}

fn assert_event(event: &LogRecord, expected: &LedgerEvent<'_>) {
    let recorder = recorder();
    recorder.ledger(expected);
    let (mut expected, mut event) = (read(&recorder).1.remove(0), event.clone());
    assert!(event.attributes.iter().all(|pair| pair.key != SYSTEM.0), "spans say so");
    for event in [&mut expected, &mut event] {
        event.attributes.sort_by(|a, b| a.key.cmp(&b.key));
    }
    assert_eq!(event, expected);
}

type Attribute = (&'static str, Value<'static>);

const SYSTEM: Attribute = ("messaging.system", Value::Text(Cow::Borrowed("kafka")));
const LEGACY: Attribute = ("tracebaton.legacy_id", Value::Text(Cow::Borrowed("order-1234")));

/// Returns the attributes of a `send` span.
fn sent(topic: &'static str, rest: &[Attribute]) -> Vec<Attribute> {
    let usual = [
        SYSTEM,
        ("messaging.operation.type", "send".into()),
        ("messaging.operation.name", "send".into()),
        ("messaging.destination.name", topic.into()),
    ];
    [&usual, rest].concat()
}

#[test]
fn a_hop_with_outputs_of_every_fortune() {
    let recorder = recorder();
    let input = Coordinates { partition: -12, ..at(70_000) };
    let hop = Hop::process(&recorder, &input, &full_baton());
    hop.set("retries", 3);
    hop.set("messaging.operation.name", "bill");
    hop.set_attempt(2);
    let (first, second) = (hop.output("users"), hop.output("users"));
    let (refused, unknown) = (hop.output("audit"), hop.output("raw.dlq"));
    first.delivered(1, 300);
    second.delivered(1, 299);
    refused.undelivered("QueueFull", "no room");
    drop(unknown);
    hop.end();
    let (spans, logs) = read(&recorder);
    // The first waits for its hop.
    let [_, refused, unknown, first, process] = &spans[..] else { panic!("{spans:?}") };
    let no_room = Status::Error("no room".to_owned());
    let process_record = SpanRecord {
        attributes: &[
            SYSTEM,
            ("messaging.destination.name", "raw".into()),
            ("messaging.destination.partition.id", "-12".into()),
            ("messaging.kafka.offset", 70_000.into()),
            ("messaging.consumer.group.name", "users".into()),
            ("messaging.operation.type", "process".into()),
            ("messaging.operation.name", "bill".into()),
            ("retries", 3.into()),
            ("error.type", "QueueFull".into()),
            LEGACY,
        ],
        links: &[link()],
        status: &no_room,
        exception: Some(("QueueFull", "no room")),
        ..usual(process)
    };
    assert_span(process, &process_record);
    let send =
        |span| SpanRecord { parent_is_remote: false, kind: SpanKind::Producer, ..usual(span) };
    let place: [Attribute; 2] = [
        ("messaging.destination.partition.id", "1".into()),
        ("messaging.kafka.offset", 300.into()),
    ];
    let attributes = &*sent("users", &place);
    assert_span(first, &SpanRecord { name: "send users", attributes, ..send(first) });
    let attributes = &*sent("raw.dlq", &[]);
    assert_span(unknown, &SpanRecord { name: "send raw.dlq", attributes, ..send(unknown) });
    let refused_record = SpanRecord {
        name: "send audit",
        attributes: &sent("audit", &[("error.type", "QueueFull".into())]),
        status: &no_room,
        exception: Some(("QueueFull", "no room")),
        ..send(refused)
    };
    assert_span(refused, &refused_record);

    let [process, users, audit] = &logs[..] else { panic!("{logs:?}") };
    let range = |topic, partition, first| Range {
        topic,
        partition: Some(partition),
        first: Some(first),
        ..Range::default()
    };
    let process_event = LedgerEvent {
        fates: Fates::one(Some(Fate::Failed)),
        emitted: 3,
        range: Some(Range { group: Some("users"), ..range("raw", -12, 70_000) }),
        reason: Some("no room"),
        error_type: Some("QueueFull"),
        attempt: 2,
        extra: &[("tracebaton.outputs.unconfirmed", 1.into()), LEGACY],
        ..usual_event(process)
    };
    assert_event(process, &process_event);
    let users_event = LedgerEvent {
        kind: HopKind::Send,
        name: "users",
        fates: Fates::all(2, Some(Fate::Passed)),
        emitted: 2,
        range: Some(Range { last: Some(300), ..range("users", 1, 299) }),
        extra: &[LEGACY],
        ..usual_event(users)
    };
    assert_event(users, &users_event);
    let audit_event = LedgerEvent {
        kind: HopKind::Send,
        name: "audit",
        fates: Fates::one(Some(Fate::Failed)),
        range: Some(Range { topic: "audit", ..Range::default() }),
        reason: Some("no room"),
        error_type: Some("QueueFull"),
        extra: &[LEGACY],
        ..usual_event(audit)
    };
    assert_event(audit, &audit_event);
}

#[test]
fn a_request() {
    let recorder = recorder();
    let hop = Hop::receive(&recorder, "BREW", "/ingest/1", &full_baton());
    hop.set_route("BREW", "/ingest/{n}");
    hop.answered(503, "busy");
    hop.link(baton().context.unwrap());
    hop.end();
    let (spans, logs) = read(&recorder);
    let span = SpanRecord {
        name: "HTTP /ingest/{n}",
        kind: SpanKind::Server,
        attributes: &[
            ("http.request.method", "_OTHER".into()),
            ("http.request.method_original", "BREW".into()),
            ("http.route", "/ingest/{n}".into()),
            ("http.response.status_code", 503.into()),
            ("error.type", "503".into()),
            LEGACY,
        ],
        links: &[link()],
        status: &Status::Error(String::new()),
        ..usual(&spans[0])
    };
    assert_span(&spans[0], &span);
    let event = LedgerEvent {
        kind: HopKind::Receive,
        name: "/ingest/{n}",
        fates: Fates::one(Some(Fate::Failed)),
        reason: Some("busy"),
        error_type: Some("503"),
        extra: &[("http.response.status_code", 503.into()), LEGACY],
        ..usual_event(&logs[0])
    };
    assert_event(&logs[0], &event);
}

#[test]
fn a_record_that_is_taken_out_of_a_batch() {
    let recorder = recorder();
    let mut insert = Insert::start(&recorder, "shop.users");
    insert.set_batch_id("batch-7");
    let input = at(5);
    insert.take_out(&input, &full_baton()).filtered("a test order");
    let (spans, logs) = read(&recorder);
    let batch: Attribute = ("tracebaton.batch.id", "batch-7".into());
    let span = SpanRecord {
        attributes: &[
            SYSTEM,
            ("messaging.destination.name", "raw".into()),
            ("messaging.destination.partition.id", "3".into()),
            ("messaging.kafka.offset", 5.into()),
            ("messaging.consumer.group.name", "users".into()),
            batch.clone(),
            LEGACY,
        ],
        links: &[link()],
        ..usual(&spans[0])
    };
    assert_span(&spans[0], &span);
    let event = LedgerEvent {
        kind: HopKind::Insert,
        name: "shop.users",
        fates: Fates::one(Some(Fate::Filtered)),
        range: Some(Range::of(&input)),
        reason: Some("a test order"),
        extra: &[LEGACY, batch],
        ..usual_event(&logs[0])
    };
    assert_event(&logs[0], &event);
}

#[test]
fn a_hop_without_a_past_whose_names_are_long() {
    let recorder = recorder();
    let topic = "t".repeat(249);
    let consumer = Consumer::new(&topic, None);
    let hop = consumer.process(&recorder, i32::MAX, i64::MAX, &Baton::default());
    hop.output(&topic).delivered(i32::MAX, i64::MAX);
    hop.set("text", "x".repeat(20_000));
    hop.end();
    let (spans, logs) = read(&recorder);
    let [send, process] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(process.name, format!("process {topic}"));
    assert_eq!(map(&process.attributes)["text"].len(), 20_000);
    assert!(process.links.is_empty() && process.parent_span_id.is_empty());
    assert_eq!(process.flags, 0x103, "no parent is remote where there is none");
    for attributes in
        [&send.attributes, &process.attributes, &logs[0].attributes, &logs[1].attributes]
    {
        let attributes = map(attributes);
        assert_eq!(attributes["messaging.destination.name"], topic);
        assert_eq!(attributes["messaging.destination.partition.id"], i32::MAX.to_string());
        assert_eq!(attributes["messaging.kafka.offset"], i64::MAX.to_string());
    }
}

#[test]
fn what_is_copied_whole_says_what_is_written_piece_by_piece() {
    let parents = [full_baton(), Baton { context: None, ..full_baton() }];
    let places = [(0, 0), (9, 127), (3, 128), (9, 1 << 56), (10, 5), (-2, 5), (7, -1)];
    for (baton, place) in parents.iter().flat_map(|baton| places.map(|place| (baton, place))) {
        for outputs in [0, 1, 2, 127, 128] {
            let recorder = recorder();
            let input = Coordinates { partition: place.0, ..at(place.1) };
            let hop = Hop::process(&recorder, &input, baton);
            (0..outputs).for_each(|_| hop.output("users").delivered(place.0, place.1));
            hop.end();
            let (spans, logs) = read(&recorder);
            assert_spans(&hop, &input, &spans);
            assert_events(&hop, &input, &logs, outputs);
        }
    }
}

/// The last span is the hop's own.
fn assert_spans(hop: &Hop, input: &Coordinates, spans: &[Span]) {
    let [sends @ .., process] = spans else { panic!("{spans:?}") };
    let place = [
        ("messaging.destination.partition.id", input.partition.to_string().into()),
        ("messaging.kafka.offset", input.offset.into()),
    ];
    let usual = [
        SYSTEM,
        ("messaging.operation.type", "process".into()),
        ("messaging.operation.name", "process".into()),
        ("messaging.destination.name", "raw".into()),
        ("messaging.consumer.group.name", "users".into()),
        LEGACY,
    ];
    let parent_is_remote = !process.parent_span_id.is_empty();
    let link = parent_is_remote.then(link);
    let attributes = [&usual[..], &place].concat();
    let record = SpanRecord {
        trace_id: hop.trace_id(),
        flags: hop.baton().context.unwrap().flags,
        tracestate: hop.baton().tracestate.as_str(),
        parent_is_remote,
        attributes: &attributes,
        links: link.as_slice(),
        ..self::usual(process)
    };
    assert_span(process, &record);
    let sent = sent("users", &place);
    for span in sends {
        let expected = SpanRecord {
            kind: SpanKind::Producer,
            name: "send users",
            parent_is_remote: false,
            attributes: &sent,
            links: &[],
            trace_id: record.trace_id,
            flags: record.flags,
            tracestate: record.tracestate,
            ..self::usual(span)
        };
        assert_eq!(span.parent_span_id, process.span_id);
        assert_span(span, &expected);
    }
}

fn assert_events(hop: &Hop, input: &Coordinates, logs: &[LogRecord], outputs: u64) {
    let (process, sent) = logs.split_first().unwrap();
    let event = LedgerEvent {
        trace_id: hop.trace_id(),
        flags: hop.baton().context.unwrap().flags,
        emitted: outputs,
        range: Some(Range::of(input)),
        extra: &[LEGACY],
        ..usual_event(process)
    };
    assert_event(process, &event);
    assert_eq!(sent.len(), usize::from(outputs > 0));
    let event = LedgerEvent {
        kind: HopKind::Send,
        name: "users",
        fates: Fates::all(outputs, Some(Fate::Passed)),
        range: Some(Range { topic: "users", group: None, ..Range::of(input) }),
        ..event
    };
    sent.iter().for_each(|sent| assert_event(sent, &event));
}
