//! A runner of functions from values to values, before and after: few lines of it change, and every
//! outcome is its own input's.

use std::{collections::BTreeMap, process::Command as Blocking, time::Duration};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{process::Command, time::Instant};
use tracebaton_embedded::{Child, Layout, Part, Ports, Stack};
use tracebaton_tests::{Message, read_topic};

const MOST_CHANGED: usize = 10;
/// More than one poll, or one batch, takes.
const READINGS: usize = 1_200;
const WITHIN: Duration = Duration::from_secs(60);

/// What a reading is to become, by the last digit of its number: each tenth of them differs.
fn reading(number: usize) -> Value {
    let celsius = match number % 10 {
        0 | 1 => json!(20),
        2 => json!("hot"),
        3 => json!(90),
        _ => json!(70),
    };
    json!({ "id": format!("r-{number}"), "celsius": celsius })
}

fn trace_id(number: usize) -> String {
    format!("{:032x}", number + 1)
}

/// How many lines of a file are changed, added or removed to make another of it.
fn changed(before: &str, after: &str) -> usize {
    let layout = Layout::find().unwrap();
    let ran = Blocking::new("diff").args([layout.path(before), layout.path(after)]).output();
    let text = String::from_utf8(ran.unwrap().stdout).unwrap();
    let mut hunks: Vec<(usize, usize)> = Vec::new();
    for line in text.lines() {
        match (line.as_bytes().first(), hunks.last_mut()) {
            (Some(b'<'), Some((removed, _))) => *removed += 1,
            (Some(b'>'), Some((_, added))) => *added += 1,
            (Some(b'-'), _) => {}
            _ => hunks.push((0, 0)),
        }
    }
    hunks.into_iter().map(|(removed, added)| removed.max(added)).sum()
}

#[test]
fn tracing_a_runner_takes_ten_lines_at_most() {
    for (before, after) in [
        ("python/runner_plain.py", "python/runner_traced.py"),
        ("node/src/runner_plain.ts", "node/src/runner_traced.ts"),
    ] {
        let file = |name: &str| format!("examples/runner/{name}");
        let changed = changed(&file(before), &file(after));
        println!("{after}: {changed} lines changed");
        assert!((1..=MOST_CHANGED).contains(&changed), "{after}: {changed} lines changed");
    }
}

fn python(name: &str) -> Command {
    let layout = Layout::find().unwrap();
    let mut command = Command::new(layout.built(".venv/bin/python").unwrap());
    command.arg(layout.path(&format!("examples/runner/python/runner_{name}.py")));
    command
}

fn node(name: &str) -> Command {
    let built = format!("examples/runner/node/dist/runner_{name}.js");
    let mut command = Command::new("node");
    command.arg(Layout::find().unwrap().built(&built).unwrap());
    command
}

async fn create_topics(brokers: &str, source: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let names =
        [(source.to_owned(), 2), (format!("{source}.alerts"), 3), (format!("{source}.dlq"), 1)];
    let topics = names
        .each_ref()
        .map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(1)));
    for made in admin.create_topics(&topics, &AdminOptions::new()).await.unwrap() {
        made.unwrap();
    }
}

async fn produce(brokers: &str, topic: &str) {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let sends = (0..READINGS).map(|number| {
        let traceparent = format!("00-{}-{:016x}-03", trace_id(number), number + 1);
        let header = Header { key: "traceparent", value: Some(&traceparent) };
        let (key, payload) = (format!("k-{number}"), reading(number).to_string());
        let record = FutureRecord::to(topic).key(&key).payload(&payload);
        let record = record.headers(OwnedHeaders::new().insert(header));
        producer.send_result(record).map_err(|(error, _)| error).unwrap()
    });
    for sent in sends.collect::<Vec<_>>() {
        sent.await.unwrap().unwrap();
    }
}

/// Runs a runner until it has sent all it is to send; returns that, by topic.
async fn outcome(stack: &Stack, source: &str, command: Command) -> [Vec<Message>; 2] {
    let mut command = command;
    command.env("SOURCE", source);
    let mut runner: Child = stack.run(source, command).unwrap();
    let wanted = [READINGS / 10 * 8, READINGS / 10];
    let deadline = Instant::now() + WITHIN;
    let found = loop {
        runner.check().unwrap();
        let read = |topic: String| read_topic(stack.kafka(), &topic).unwrap();
        let found = [read(format!("{source}.alerts")), read(format!("{source}.dlq"))];
        if found.each_ref().map(Vec::len) == wanted {
            break found;
        }
        let lens = found.each_ref().map(Vec::len);
        assert!(Instant::now() < deadline, "{lens:?} of {wanted:?}: {:?}", runner.lines());
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let ended = runner.stop(WITHIN).await.unwrap();
    assert!(ended.success(), "{source}: {ended}");
    found
}

/// How many alerts came of each reading.
fn alerts(messages: &[Message]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for message in messages {
        let id = message.payload["reading"].as_str().unwrap().to_owned();
        *counts.entry(id).or_default() += 1;
    }
    counts
}

fn number_of(id: &Value) -> usize {
    id.as_str().unwrap().trim_start_matches("r-").parse().unwrap()
}

/// Asks the command line about a trace; returns its exit code and what it says.
async fn diagnose(stack: &Stack, id: &str) -> (i32, Value) {
    let mut command = Command::new(stack.layout().binary("tracebaton").unwrap());
    command.args(["diagnose", "--json", "--server", &stack.server(), id]);
    let ran = command.output().await.unwrap();
    (ran.status.code().unwrap(), serde_json::from_slice(&ran.stdout).unwrap())
}

async fn is_adopted(language: &str, command: fn(&str) -> Command) {
    let folder = TempDir::with_prefix("tracebaton tests ").unwrap();
    let parts = [Part::Broker, Part::Drilldown];
    let ports = Ports::free().unwrap();
    let mut stack = Stack::start_only(folder.path().into(), ports, &parts).await.unwrap();
    let (before, after) = (format!("{language}_plain"), format!("{language}_traced"));
    let brokers = stack.kafka().to_owned();
    for topic in [&before, &after] {
        create_topics(&brokers, topic).await;
        produce(&brokers, topic).await;
    }
    let (plain, traced) = tokio::join!(
        outcome(&stack, &before, command("plain")),
        outcome(&stack, &after, command("traced")),
    );

    // The same messages come out of both; only one hands on the traces.
    assert_eq!(alerts(&plain[0]), alerts(&traced[0]));
    assert!(plain.iter().flatten().all(|message| message.headers.is_empty()));
    for message in &traced[0] {
        let number = number_of(&message.payload["reading"]);
        assert_eq!(message.header("trace_id"), [trace_id(number)], "{message:?}");
        assert_eq!(message.header("traceparent")[0][3..35], trace_id(number), "{message:?}");
    }
    for message in &traced[1] {
        let number = number_of(&message.payload["id"]);
        assert_eq!(message.payload, reading(number));
        assert_eq!(message.header("trace_id"), [trace_id(number)], "{message:?}");
        assert_eq!(message.header("tracebaton-error-type"), ["TypeError"]);
        assert_eq!(message.header("tracebaton-error-message"), ["celsius is no number: hot"]);
    }

    // Drilldown says of each kind what became of it: at both ends, and where one poll follows another.
    for number in (0..10).chain(495..505).chain(READINGS - 10..READINGS) {
        let (code, found) = diagnose(&stack, &trace_id(number)).await;
        let (verdict, wanted_code, fate, emitted) = match number % 10 {
            0 | 1 => ("FILTERED", 0, "filtered", 0),
            2 => ("TRANSFORM_FAILED_DLQ", 11, "dead_lettered", 0),
            3 => ("PRODUCED_NOT_CONSUMED", 13, "passed", 2),
            _ => ("PRODUCED_NOT_CONSUMED", 13, "passed", 1),
        };
        assert_eq!((found["verdict"].as_str(), code), (Some(verdict), wanted_code), "{found:#}");
        let ledger = &found["ledger"];
        let branches = ledger["branches"].as_array().unwrap();
        let of = |topic: &str| branches.iter().find(|branch| branch["topic"] == topic);
        let hop = of(&after).unwrap();
        assert_eq!((&hop["records_in"], &hop[fate]), (&json!(1), &json!(1)), "{found:#}");
        assert_eq!(hop["unconfirmed"], 0, "{found:#}");
        let sent =
            of(&format!("{after}.alerts")).map_or(0, |next| next["emitted"].as_u64().unwrap());
        assert_eq!(sent, emitted, "{found:#}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_runner_attributes_each_outcome_to_its_input() {
    is_adopted("python", python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_runner_attributes_each_outcome_to_its_input() {
    is_adopted("node", node).await;
}
