//! `POST /ingest/{topic}`: JSON records in, Kafka messages out, one trace from the first byte on.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `INGEST_ADDR` | where to listen | `127.0.0.1:4000` |
//! | `KAFKA_BROKERS` | the brokers | `127.0.0.1:9092` |
//! | `TOPICS` | the topics that may be written, separated by commas | `shop_events` |
//! | `MAX_BODY_BYTES` | the largest body that is taken | `1048576` |
//! | `ALLOWED_ORIGINS` | the origins whose pages may send records, separated by commas, or `*` | none |
//! | `OTEL_*` | where telemetry goes, as OpenTelemetry says | `http://localhost:4318` |

mod body;
mod cors;
mod handler;
mod media;
mod records;

use std::{env, io::Write, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown, service::TowerToHyperService};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tower::{Layer, service_fn};
use tracebaton::{otlp::Exporter, tower::TraceLayer};

use handler::Ingest;

const USAGE: &str = "\
Takes JSON records by POST /ingest/{topic} and sends them to Kafka, traced.

Usage: ingest    (it has no arguments, only variables)

  INGEST_ADDR     where to listen (127.0.0.1:4000)
  KAFKA_BROKERS   the brokers (127.0.0.1:9092)
  TOPICS          the topics that may be written, separated by commas (shop_events)
  MAX_BODY_BYTES  the largest body that is taken (1048576)
  ALLOWED_ORIGINS the origins whose pages may send records, separated by commas, or * (none)
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
    let error = format!("ingest: there is no argument {argument:?}\n\n{USAGE}");
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
    let exporter = Exporter::from_env("ingest")?;
    tracebaton::log::init()?;
    let served = serve().await;
    if let Err(error) = &served {
        tracing::error!(reason = format!("{error:#}"), "gives up");
    }
    let report = exporter.shutdown(Duration::from_secs(5));
    tracing::info!(%report, "stopped");
    Ok(if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn serve() -> anyhow::Result<()> {
    let address: SocketAddr =
        var("INGEST_ADDR", "127.0.0.1:4000").parse().context("INGEST_ADDR is not ip:port")?;
    let max_body_bytes =
        var("MAX_BODY_BYTES", "1048576").parse().context("MAX_BODY_BYTES is not a number")?;
    let topics: Vec<String> = var("TOPICS", "shop_events").split(',').map(str::to_owned).collect();
    let cors = cors::layer(&var("ALLOWED_ORIGINS", ""))?;
    let mut kafka = ClientConfig::new();
    kafka.set("bootstrap.servers", var("KAFKA_BROKERS", "127.0.0.1:9092"));
    create_topics(&kafka, &topics).await;
    kafka
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        // A request is answered with 503 when the brokers have not taken its records by then.
        .set("message.timeout.ms", "5000")
        // A broker that is back is found within a second, not within ten.
        .set("reconnect.backoff.max.ms", "1000")
        .set("queue.buffering.max.messages", "10000");
    let producer = kafka.create().context("the Kafka producer cannot be set up")?;
    let ingest = Arc::new(Ingest::new(producer, topics, max_body_bytes));
    let service = service_fn(move |request| {
        let ingest = ingest.clone();
        async move { Ok::<_, std::convert::Infallible>(ingest.answer(request).await) }
    });
    // The trace is the outermost: what CORS answers by itself has an id too.
    let service = TraceLayer::default().layer(cors.layer(service));

    let listener =
        TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    tracing::info!(address = %listener.local_addr()?, "ready");
    let connections = GracefulShutdown::new();
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    // Out of file descriptors, most likely: let some connections end first.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let service = TowerToHyperService::new(service.clone());
                let connection = http1::Builder::new()
                    .timer(hyper_util::rt::TokioTimer::new())
                    .header_read_timeout(Duration::from_secs(30))
                    .serve_connection(TokioIo::new(stream), service);
                // A client that goes away in the middle is no fault of ours.
                let connection = connections.watch(connection);
                tokio::spawn(async move { drop(connection.await) });
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    drop(listener);
    tokio::select! {
        () = connections.shutdown() => {}
        () = tokio::time::sleep(Duration::from_secs(10)) => tracing::warn!("gave up on open requests"),
    }
    Ok(())
}

/// Creates the topics that are missing; a broker that is out of reach now may be there later.
async fn create_topics(kafka: &ClientConfig, topics: &[String]) {
    let admin: Result<AdminClient<DefaultClientContext>, _> = kafka.create();
    let Ok(admin) = admin else { return };
    let new: Vec<NewTopic<'_>> =
        topics.iter().map(|topic| NewTopic::new(topic, 4, TopicReplication::Fixed(1))).collect();
    let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(5)));
    if let Err(error) = admin.create_topics(&new, &options).await {
        tracing::warn!(%error, "could not create topics");
    }
}
