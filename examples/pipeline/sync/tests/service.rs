//! The sink as Kafka and ClickHouse see it: a process between a broker in this process and a
//! stand-in for ClickHouse's HTTP interface that can be told to fail.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod clickhouse;

use std::{
    collections::BTreeMap,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{OwnedHeaders, OwnedMessage},
    mocking::MockCluster,
    producer::{DefaultProducerContext, FutureProducer, FutureRecord},
};
use tracebaton::{
    Propagation, TraceContext,
    kafka::{HasHeaders, OwnedBaton, ReadHeaders, extract},
    propagate::Baton,
};

use clickhouse::{Answer, ClickHouse};

const TOPIC: &str = "enriched_events";
const DEAD_LETTERS: &str = "enriched_events.dlq";

fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + Duration::from_secs(40);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < give_up, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

struct Kafka(MockCluster<'static, DefaultProducerContext>);

impl Kafka {
    fn start() -> Self {
        let kafka = MockCluster::new(1).unwrap();
        kafka.create_topic(TOPIC, 1, 1).unwrap();
        kafka.create_topic(DEAD_LETTERS, 1, 1).unwrap();
        Self(kafka)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.0.bootstrap_servers());
        config
    }

    /// Sends payloads, each in a trace that is named after its place.
    async fn send(&self, payloads: &[String]) {
        let producer: FutureProducer = self.config().set("linger.ms", "1").create().unwrap();
        for (index, payload) in payloads.iter().enumerate() {
            let mut headers = OwnedBaton(OwnedHeaders::new());
            let context = Some(TraceContext::parse(&traceparent(index)).unwrap());
            let baton = Baton { context, ..Baton::default() };
            Propagation::default().inject(&baton, &mut headers);
            let record = FutureRecord::<[u8], str>::to(TOPIC).payload(payload).headers(headers.0);
            producer.send(record, Duration::from_secs(10)).await.unwrap();
        }
    }

    /// Reads the first `count` dead letters.
    fn dead_letters(&self, count: usize) -> Vec<OwnedMessage> {
        let consumer: BaseConsumer = self.config().set("group.id", "test").create().unwrap();
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(DEAD_LETTERS, 0, Offset::Beginning).unwrap();
        consumer.assign(&offsets).unwrap();
        let next = || consumer.poll(Duration::from_millis(50)).and_then(Result::ok);
        (0..count).map(|_| wait_for("a dead letter", || next().map(|m| m.detach()))).collect()
    }

    /// Returns the offset that the sink goes on from.
    fn committed(&self) -> Option<i64> {
        let consumer: BaseConsumer = self.config().set("group.id", "sync").create().unwrap();
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition(TOPIC, 0);
        let offsets = consumer.committed_offsets(offsets, Duration::from_secs(10)).unwrap();
        offsets.find_partition(TOPIC, 0).unwrap().offset().to_raw().filter(|offset| *offset >= 0)
    }
}

fn traceparent(index: usize) -> String {
    format!("00-{:032x}-b7ad6b7169203331-01", index + 1)
}

/// The sink; it is ended with the test.
struct Sync(Child);

impl Sync {
    fn start(kafka: &Kafka, clickhouse: &ClickHouse) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_sync"))
            .env("KAFKA_BROKERS", kafka.0.bootstrap_servers())
            .env("CLICKHOUSE_URL", clickhouse.url())
            .env("BATCH_MS", "200")
            .env("OTEL_SDK_DISABLED", "true")
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Sync {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn event(id: &str) -> String {
    format!(
        r#"{{"event_id":"{id}","user_id":"u","kind":"k","occurred_at":"2026-01-09T10:30:00.123Z",
        "amount":"1.00","country":"DE","segment":"new"}}"#
    )
}

fn headers(message: &OwnedMessage) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let all = ReadHeaders(message.read_headers());
    all.iter().map(|(name, value)| (text(name), text(value.unwrap()))).collect()
}

#[tokio::test]
async fn poison_is_isolated_and_everything_else_gets_in() {
    let (kafka, clickhouse) = (Kafka::start(), ClickHouse::start());
    clickhouse.answer(|_, lines| {
        let is_poisoned = lines.iter().any(|line| line.contains("poison"));
        if is_poisoned { Answer::Exception(27, "Cannot parse input") } else { Answer::Take }
    });
    let mut payloads: Vec<_> = (0..20).map(|index| event(&format!("e{index}"))).collect();
    payloads[3] = "{".to_owned();
    payloads[13] = event("poison");
    kafka.send(&payloads).await;
    let _sync = Sync::start(&kafka, &clickhouse);
    wait_for("the commit", || kafka.committed().filter(|offset| *offset == 20));
    let mut inserted = clickhouse.inserted();
    inserted.sort_unstable();
    let mut expected: Vec<_> =
        (0..20).filter(|index| ![3, 13].contains(index)).map(|i| format!("e{i}")).collect();
    expected.sort_unstable();
    assert_eq!(inserted, expected, "each once");
    let letters = kafka.dead_letters(2);
    for (letter, index, error_type) in
        [(&letters[0], 3, "mapping"), (&letters[1], 13, "refused_by_clickhouse")]
    {
        assert_eq!(letter.payload(), Some(payloads[index].as_bytes()), "as it came");
        let baton = extract(&Propagation::default(), letter).baton;
        let trace_id = TraceContext::parse(&traceparent(index)).unwrap().trace_id;
        assert_eq!(baton.context.unwrap().trace_id, trace_id);
        let headers = headers(letter);
        assert_eq!(headers["tracebaton-error-type"], error_type);
        assert!(!headers["tracebaton-error-message"].is_empty());
    }
}

#[tokio::test]
async fn a_dead_letter_that_is_too_large_goes_without_its_payload_and_nothing_waits_for_it() {
    let (kafka, clickhouse) = (Kafka::start(), ClickHouse::start());
    // The dead letter has more headers than the record: it is larger than what Kafka takes.
    let payloads = ["x".repeat(999_830), event("e1")];
    kafka.send(&payloads).await;
    let _sync = Sync::start(&kafka, &clickhouse);
    wait_for("the commit", || kafka.committed().filter(|offset| *offset == 2));
    assert_eq!(clickhouse.inserted(), ["e1"]);
    let letters = kafka.dead_letters(1);
    assert_eq!(letters[0].payload().unwrap_or_default(), b"");
    let headers = headers(&letters[0]);
    assert_eq!(headers["tracebaton-error-type"], "mapping");
    assert_eq!(headers["tracebaton-left-out"], "enriched_events/0/0");
    assert_eq!(headers["traceparent"].get(3..35), traceparent(0).get(3..35));
}

#[test]
fn an_argument_is_answered_instead_of_starting() {
    let run = |argument| Command::new(env!("CARGO_BIN_EXE_sync")).arg(argument).output().unwrap();
    let help = run("--help");
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("BATCH_SIZE"));
    let unknown = run("--batch");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("\"--batch\""));
}

#[test]
fn what_stops_it_is_a_log_line() {
    let run = Command::new(env!("CARGO_BIN_EXE_sync"))
        .env("BATCH_SIZE", "many")
        .env("OTEL_SDK_DISABLED", "true")
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(1));
    let lines = String::from_utf8(run.stdout).unwrap();
    let line = lines.lines().find(|line| line.contains("gives up")).unwrap();
    assert!(line.contains("BATCH_SIZE is not a number"), "{line}");
}

#[tokio::test]
async fn a_server_that_is_not_well_is_asked_again_under_the_same_name() {
    let (kafka, clickhouse) = (Kafka::start(), ClickHouse::start());
    clickhouse.answer(|attempt, _| match attempt {
        0 => Answer::Exception(241, "Memory limit exceeded"),
        1 => Answer::Status(502),
        _ => Answer::Take,
    });
    kafka.send(&[event("e0"), event("e1")]).await;
    let _sync = Sync::start(&kafka, &clickhouse);
    wait_for("the commit", || kafka.committed().filter(|offset| *offset == 2));
    assert_eq!(clickhouse.inserted(), ["e0", "e1"]);
    let names = clickhouse.query_ids();
    assert_eq!(names.len(), 3);
    assert!(names.iter().all(|name| *name == names[0] && name.len() == 32), "{names:?}");
}

#[tokio::test]
async fn what_is_not_in_the_table_comes_again_after_a_crash() {
    let (kafka, clickhouse) = (Kafka::start(), ClickHouse::start());
    clickhouse.answer(|_, _| Answer::Status(503));
    kafka.send(&[event("e0"), event("e1")]).await;
    let first = Sync::start(&kafka, &clickhouse);
    wait_for("an attempt", || (!clickhouse.query_ids().is_empty()).then_some(()));
    // Killed, not asked to stop.
    drop(first);
    assert_eq!(kafka.committed(), None, "nothing is committed that is not in the table");
    clickhouse.answer(|_, _| Answer::Take);
    let _second = Sync::start(&kafka, &clickhouse);
    wait_for("the commit", || kafka.committed().filter(|offset| *offset == 2));
    assert_eq!(clickhouse.inserted(), ["e0", "e1"]);
}
