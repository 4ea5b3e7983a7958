//! The service as its clients see it: a process, over HTTP, before a Kafka broker in this process.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::OwnedMessage,
    mocking::MockCluster,
    producer::DefaultProducerContext,
};
use serde_json::{Value, json};
use tracebaton::{Propagation, kafka::extract};

const TOPIC: &str = "shop_events";
const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

struct Ingest {
    child: Child,
    url: String,
    kafka: MockCluster<'static, DefaultProducerContext>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Ingest {
    fn start() -> Self {
        let kafka = MockCluster::new(1).unwrap();
        kafka.create_topic(TOPIC, 1, 1).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_ingest"))
            .env("INGEST_ADDR", "127.0.0.1:0")
            .env("KAFKA_BROKERS", kafka.bootstrap_servers())
            .env("MAX_BODY_BYTES", "1100000")
            .env("ALLOWED_ORIGINS", "https://shop.example")
            .env("OTEL_SDK_DISABLED", "true")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            (line["message"] == "ready").then(|| line["address"].as_str().unwrap().to_owned())
        });
        // Whoever does not read the log holds up the service.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url: format!("http://{}", address.unwrap()), kafka }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = match &body[..] {
            [] => Value::Null,
            body => serde_json::from_slice(body).unwrap(),
        };
        Answer { status: head.status, headers: head.headers, body }
    }

    async fn post(&self, body: impl Into<Bytes>) -> Answer {
        self.ask(Method::POST, "/ingest/shop_events", JSON, body).await
    }

    /// Reads the first `count` messages of the topic.
    fn read(&self, count: usize) -> Vec<OwnedMessage> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.kafka.bootstrap_servers()).set("group.id", "test");
        let consumer: BaseConsumer = config.create().unwrap();
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(TOPIC, 0, Offset::Beginning).unwrap();
        consumer.assign(&offsets).unwrap();
        let give_up = Instant::now() + Duration::from_secs(20);
        let mut messages = Vec::new();
        while messages.len() < count {
            assert!(Instant::now() < give_up, "{} of {count} messages", messages.len());
            let message = consumer.poll(Duration::from_millis(50)).and_then(Result::ok);
            messages.extend(message.map(|message| message.detach()));
        }
        messages
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn event(user: &str) -> Value {
    json!({ "event_id": "e", "type": "purchase", "user_id": user, "occurred_at": "2026-01-09" })
}

fn refused(answer: &Answer, status: u16, error: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.body["error"], error);
    assert!(!answer.body["message"].as_str().unwrap().is_empty());
    assert_eq!(answer.headers["x-trace-id"], answer.body["trace_id"].as_str().unwrap());
    assert_eq!(answer.headers["access-control-expose-headers"], "X-Trace-Id");
}

#[tokio::test]
async fn records_reach_kafka_with_the_clients_trace() {
    let ingest = Ingest::start();
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let headers = [JSON[0], ("traceparent", &parent), ("x-trace-id", "order-1234")];
    let body = format!("[{}, {}]", event("u1"), event("u2"));
    let answer = ingest.ask(Method::POST, "/ingest/shop_events", &headers, body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["accepted"], 2);
    assert_eq!(answer.headers["x-trace-id"], "order-1234");
    assert_eq!(answer.body["trace_id"], "order-1234");
    for (message, user) in ingest.read(2).iter().zip(["u1", "u2"]) {
        assert_eq!(message.key(), Some(user.as_bytes()));
        assert_eq!(message.payload(), Some(event(user).to_string().as_bytes()), "untouched");
        let baton = extract(&Propagation::default(), message).baton;
        assert_eq!(baton.context.unwrap().trace_id.to_string(), TRACE);
        assert_eq!(baton.legacy_text(), Some("order-1234"));
    }
}

#[tokio::test]
async fn a_partial_failure_is_told_record_by_record() {
    let ingest = Ingest::start();
    let mut large = event("u3");
    large["note"] = "x".repeat(1_020_000).into();
    let body = json!([event("u1"), { "event_id": "e" }, event("u2"), 7, large]);
    let answer = ingest.post(body.to_string()).await;
    assert_eq!(answer.status, 207);
    assert_eq!(answer.body["accepted"], 2);
    let rejected = answer.body["rejected"].as_array().unwrap();
    let indices: Vec<_> = rejected.iter().map(|one| one["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, [1, 3, 4]);
    assert!(rejected[0]["error"].as_str().unwrap().contains("missing field `type`"));
    assert!(rejected[2]["error"].as_str().unwrap().starts_with("record_too_large: "));
    assert_eq!(answer.headers["x-trace-id"], answer.body["trace_id"].as_str().unwrap());
    assert_eq!(ingest.read(2).len(), 2);
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_clearly_and_with_the_id() {
    let ingest = Ingest::start();
    refused(&ingest.post("{").await, 400, "invalid_json");
    refused(&ingest.post("[]").await, 400, "invalid_json");
    refused(&ingest.post("[{}, 7]").await, 400, "invalid_records");
    refused(&ingest.post(vec![b' '; 1_100_001]).await, 413, "body_too_large");
    let record = || event("u").to_string();
    let post = |path, headers| ingest.ask(Method::POST, path, headers, record());
    refused(&post("/ingest/other", JSON).await, 404, "unknown_topic");
    refused(&post("/elsewhere", JSON).await, 404, "unknown_path");
    refused(&post("/ingest/shop_events", &[]).await, 415, "unsupported_media_type");
    let text = &[("content-type", "text/plain")];
    refused(&post("/ingest/shop_events", text).await, 415, "unsupported_media_type");
    let got = ingest.ask(Method::GET, "/ingest/shop_events", &[], "").await;
    refused(&got, 405, "method_not_allowed");
    assert_eq!(got.headers["allow"], "POST");
    let twice = &[JSON[0], ("content-type", "text/plain")];
    refused(&post("/ingest/shop_events", twice).await, 415, "unsupported_media_type");
    let packed = &[JSON[0], ("content-encoding", "gzip")];
    refused(&post("/ingest/shop_events", packed).await, 415, "unsupported_media_type");
    let large = json!([event(&"u".repeat(257))]);
    refused(&ingest.post(large.to_string()).await, 400, "invalid_records");
}

#[tokio::test]
async fn a_page_of_a_known_origin_may_send_records_and_read_the_id() {
    let ingest = Ingest::start();
    for (origin, allowed) in [("https://shop.example", true), ("https://evil.example", false)] {
        let asks = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,x-trace-id"),
        ];
        let got = ingest.ask(Method::OPTIONS, "/ingest/shop_events", &asks, "").await;
        assert_eq!(got.status, 200);
        let allows = |name: &str, value: &str| {
            let found = got.headers.get(name).and_then(|found| found.to_str().ok());
            found.is_some_and(|found| found.split(',').any(|one| one == value))
        };
        assert_eq!(allows("access-control-allow-origin", origin), allowed);
        assert!(allows("access-control-allow-methods", "POST"));
        for header in ["content-type", "x-trace-id", "traceparent", "tracestate", "baggage"] {
            assert!(allows("access-control-allow-headers", header), "{header}");
        }
        assert!(got.headers.contains_key("x-trace-id"));

        let sends = [JSON[0], ("origin", origin), ("x-trace-id", "order-1234")];
        let record = event("u").to_string();
        let got = ingest.ask(Method::POST, "/ingest/shop_events", &sends, record).await;
        assert_eq!(
            (got.status, &got.headers["x-trace-id"]),
            (StatusCode::OK, &"order-1234".parse().unwrap())
        );
        assert_eq!(got.headers["access-control-expose-headers"], "X-Trace-Id");
        assert_eq!(got.headers.contains_key("access-control-allow-origin"), allowed);
    }
}

#[tokio::test]
async fn a_record_that_kafka_will_never_take_is_not_to_be_tried_again() {
    let ingest = Ingest::start();
    let mut large = event("u");
    large["note"] = "x".repeat(1_020_000).into();
    refused(&ingest.post(large.to_string()).await, 413, "record_too_large");
    refused(&ingest.post(json!([large, 7]).to_string()).await, 400, "invalid_records");
    assert_eq!(ingest.post(event("u").to_string()).await.status, 200);
}

#[test]
fn an_argument_is_answered_instead_of_starting() {
    let run = |argument| Command::new(env!("CARGO_BIN_EXE_ingest")).arg(argument).output().unwrap();
    let help = run("--help");
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("INGEST_ADDR"));
    let unknown = run("--port");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("\"--port\""));
}

#[tokio::test]
async fn a_broker_that_is_away_is_answered_with_503_and_forgotten_once_it_is_back() {
    let ingest = Ingest::start();
    assert_eq!(ingest.post(event("u1").to_string()).await.status, 200);
    ingest.kafka.broker_down(1).unwrap();
    refused(&ingest.post(event("u2").to_string()).await, 503, "kafka_unavailable");
    assert_eq!(ingest.ask(Method::GET, "/health", &[], "").await.status, 200);
    ingest.kafka.broker_up(1).unwrap();
    let give_up = Instant::now() + Duration::from_secs(20);
    while ingest.post(event("u3").to_string()).await.status != 200 {
        assert!(Instant::now() < give_up, "the broker is back and not found");
    }
}
