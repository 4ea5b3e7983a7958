//! Kafka → ClickHouse: batches by size and time, at least once, nothing swallowed.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `KAFKA_BROKERS` | the brokers | `127.0.0.1:9092` |
//! | `CLICKHOUSE_URL` | the database's HTTP interface | `http://127.0.0.1:8123` |
//! | `BATCH_SIZE` | how many records a batch has at most | `500` |
//! | `BATCH_MS` | how long a batch waits for more, in milliseconds | `500` |
//! | `OTEL_*` | where telemetry goes, as OpenTelemetry says | `http://localhost:4318` |

mod batch;
mod row;
mod table;

use std::{env, io::Write, process::ExitCode, time::Duration};

use anyhow::Context;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{CommitMode, Consumer, StreamConsumer},
    message::{Message, OwnedMessage},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::{Instant, sleep_until},
};
use tracebaton::otlp::Exporter;

use batch::Sink;

const TOPIC: &str = "enriched_events";
const DEAD_LETTERS: &str = "enriched_events.dlq";
const GROUP: &str = "sync";
/// How long a batch waits at most for its ledger events to arrive before it is committed.
const TOLD_WITHIN: Duration = Duration::from_millis(250);

const USAGE: &str = "\
Inserts the records of a Kafka topic into ClickHouse in batches, traced.

Usage: sync    (it has no arguments, only variables)

  KAFKA_BROKERS   the brokers (127.0.0.1:9092)
  CLICKHOUSE_URL  the database's HTTP interface (http://127.0.0.1:8123)
  BATCH_SIZE      how many records a batch has at most (500)
  BATCH_MS        how long a batch waits for more, in milliseconds (500)
  OTEL_*          where telemetry goes, as OpenTelemetry says (http://localhost:4318)
";

/// Answers an argument instead of starting: `--help` with the usage, anything else with an error.
fn answer_argument() -> Option<ExitCode> {
    let argument = env::args_os().nth(1)?;
    // Nobody reads what cannot be written.
    if argument == "--help" || argument == "-h" {
        drop(std::io::stdout().write_all(USAGE.as_bytes()));
        return Some(ExitCode::SUCCESS);
    }
    let error = format!("sync: there is no argument {argument:?}\n\n{USAGE}");
    drop(std::io::stderr().write_all(error.as_bytes()));
    Some(ExitCode::from(2))
}

fn var(key: &str, default: &str) -> String {
    env::var(key).unwrap_or_else(|_| default.to_owned())
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    if let Some(exit_code) = answer_argument() {
        return Ok(exit_code);
    }
    let exporter = Exporter::from_env("sync")?;
    tracebaton::log::init()?;
    let ran = run(&exporter).await;
    if let Err(error) = &ran {
        tracing::error!(reason = format!("{error:#}"), "gives up");
    }
    let report = exporter.shutdown(Duration::from_secs(5));
    tracing::info!(%report, "stopped");
    Ok(if ran.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run(exporter: &Exporter) -> anyhow::Result<()> {
    let size: usize = var("BATCH_SIZE", "500").parse().context("BATCH_SIZE is not a number")?;
    let wait: u64 = var("BATCH_MS", "500").parse().context("BATCH_MS is not a number")?;
    let (size, wait) = (size.max(1), Duration::from_millis(wait));
    let stop = on_stop()?;
    let mut kafka = ClientConfig::new();
    kafka.set("bootstrap.servers", var("KAFKA_BROKERS", "127.0.0.1:9092"));
    create_topics(&kafka).await;
    let producer = kafka.clone().set("enable.idempotence", "true").create()?;
    let sink = Sink::new(producer, &var("CLICKHOUSE_URL", "http://127.0.0.1:8123"), stop.clone());
    if !sink.create_table().await {
        return Ok(());
    }
    let consumer: StreamConsumer = kafka
        .set("group.id", GROUP)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        // The records of a sink that crashed are taken over within ten seconds.
        .set("session.timeout.ms", "10000")
        // For so long a batch may wait for ClickHouse before Kafka takes this sink for stuck.
        .set("max.poll.interval.ms", "86400000")
        .create()?;
    consumer.subscribe(&[TOPIC])?;
    tracing::info!(topic = TOPIC, table = table::NAME, "ready");
    consume(&consumer, &sink, exporter, size, wait, stop).await
}

async fn consume(
    consumer: &StreamConsumer,
    sink: &Sink,
    exporter: &Exporter,
    size: usize,
    wait: Duration,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut batch: Vec<OwnedMessage> = Vec::new();
    let mut due = Instant::now();
    loop {
        let is_stopping = tokio::select! {
            received = consumer.recv() => {
                match received {
                    Ok(message) => {
                        if batch.is_empty() {
                            due = Instant::now() + wait;
                        }
                        batch.push(message.detach());
                    }
                    // librdkafka goes on by itself: a broker that is away, a topic not there yet.
                    Err(error) => tracing::warn!(%error, "cannot read from Kafka"),
                }
                false
            }
            () = sleep_until(due), if !batch.is_empty() => false,
            _ = stop.changed() => true,
        };
        let is_due = batch.len() >= size || Instant::now() >= due;
        if !batch.is_empty() && (is_due || is_stopping) {
            // Offsets are committed only once every record of the batch is in the table or in the
            // dead-letter topic: what is not comes again.
            if sink.insert(&batch).await {
                // Told before it is committed: a crash in between brings the records again, one
                // after it would leave nobody who knows what became of them.
                tokio::task::block_in_place(|| exporter.flush(TOLD_WITHIN));
                if let Err(error) = consumer.commit(&after(&batch)?, CommitMode::Sync) {
                    // Somebody else has the partitions now, or no broker answers: they come again.
                    tracing::warn!(%error, "cannot commit what is inserted");
                }
            }
            batch.clear();
        }
        if is_stopping {
            return Ok(());
        }
    }
}

/// Returns the offsets to go on from after a batch.
fn after(batch: &[OwnedMessage]) -> anyhow::Result<TopicPartitionList> {
    let mut offsets = TopicPartitionList::new();
    for message in batch {
        let (topic, partition) = (message.topic(), message.partition());
        let next = Offset::Offset(message.offset() + 1);
        match offsets.find_partition(topic, partition) {
            Some(mut known) => known.set_offset(next)?,
            None => offsets.add_partition_offset(topic, partition, next)?,
        }
    }
    Ok(offsets)
}

/// Turns true once the process is asked to stop.
fn on_stop() -> anyhow::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        sender.send_replace(true);
        // The receivers go on looking at this channel until the process ends.
        sender.closed().await;
    });
    Ok(receiver)
}

/// Creates the topics that are missing; a broker that is out of reach now may be there later.
async fn create_topics(kafka: &ClientConfig) {
    let admin: Result<AdminClient<DefaultClientContext>, _> = kafka.create();
    let Ok(admin) = admin else { return };
    let new =
        [TOPIC, DEAD_LETTERS].map(|topic| NewTopic::new(topic, 4, TopicReplication::Fixed(1)));
    let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(5)));
    if let Err(error) = admin.create_topics(&new, &options).await {
        tracing::warn!(%error, "could not create topics");
    }
}
