//! The relay, started for one test and stopped at its end.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tracebaton_embedded::{Part, Ports, Stack, is_settled};

const SETTLES_WITHIN: Duration = Duration::from_secs(60);

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Every header; the names are lower case.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Returns `X-Trace-Id`; empty where it is not there.
    pub fn trace_id(&self) -> &str {
        self.headers.get("x-trace-id").and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))
    }
}

/// Sends requests.
pub struct Sender {
    ingest: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Sender {
    /// Sends records to `ingest`, with further headers.
    pub async fn post(&self, body: &Value, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let url = format!("{}/ingest/shop_events", self.ingest);
        let mut request = Request::post(url).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Full::from(body.to_string()))?).await
    }

    /// Sends any request.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        let (parts, body) = self.client.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let body = String::from_utf8(body.to_vec())?;
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

/// The running relay.
pub struct Relay {
    /// Its parts.
    pub stack: Stack,
    client: Client<HttpConnector, Full<Bytes>>,
    _folder: TempDir,
}

impl Relay {
    /// Starts every part, in a folder whose name has a space in it.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("tracebaton tests ")?;
        let stack = Stack::start(folder.path().join("relay"), Ports::free()?).await?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { stack, client, _folder: folder })
    }

    /// Returns what sends to `ingest` apart from all else.
    pub fn sender(&self) -> Sender {
        Sender { ingest: self.stack.ingest(), client: self.client.clone() }
    }

    /// Sends records to `ingest`, with further headers.
    pub async fn post(&self, body: &Value, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
        self.sender().post(body, headers).await
    }

    /// Sends any request.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        self.sender().send(request).await
    }

    /// Asks drilldown about a trace: `""`, `"/logs"` or `"/diagnosis"`.
    pub async fn ask(&self, id: &str, what: &str) -> anyhow::Result<Value> {
        let url = format!("{}/api/v1/traces/{id}{what}", self.stack.server());
        let answer = self.send(Request::get(url).body(Full::default())?).await?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        answer.json()
    }

    /// Returns the verdict of a trace as it is now.
    pub async fn verdict(&self, id: &str) -> anyhow::Result<String> {
        let diagnosis = self.ask(id, "/diagnosis").await?;
        Ok(text(&diagnosis, "verdict").to_owned())
    }

    /// Waits until the verdict of a trace is this one.
    pub async fn await_verdict(&mut self, id: &str, wanted: &str) -> anyhow::Result<Value> {
        self.await_one_of(id, &[wanted]).await
    }

    /// Waits until the verdict of a trace is one of these.
    pub async fn await_one_of(&mut self, id: &str, wanted: &[&str]) -> anyhow::Result<Value> {
        let deadline = Instant::now() + SETTLES_WITHIN;
        loop {
            let diagnosis = self.ask(id, "/diagnosis").await?;
            if wanted.contains(&text(&diagnosis, "verdict")) {
                return Ok(diagnosis);
            }
            ensure!(Instant::now() < deadline, "none of {wanted:?}, but {diagnosis:#}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until every record of these traces has come to its end; returns their diagnoses.
    pub async fn settled(&mut self, ids: &[String]) -> anyhow::Result<BTreeMap<String, Value>> {
        let deadline = Instant::now() + SETTLES_WITHIN;
        let mut ended = BTreeMap::new();
        for id in ids {
            loop {
                let diagnosis = self.ask(id, "/diagnosis").await?;
                if is_settled(&diagnosis) {
                    ended.insert(id.clone(), diagnosis);
                    break;
                }
                if Instant::now() > deadline {
                    bail!("{id} has not come to its end: {diagnosis:#}");
                }
                sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(ended)
    }

    /// Counts the rows of each event in ClickHouse, by the id of the event that was sent.
    pub async fn rows(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let query =
            "SELECT splitByChar('/', event_id)[1] AS id, count() FROM shop.user_events GROUP BY id";
        let rows = self.stack.clickhouse().query(query).fetch_all::<(String, u64)>().await?;
        Ok(rows.into_iter().collect())
    }

    /// Returns the JSON log lines a service has printed.
    pub fn log_lines(&mut self, part: Part) -> anyhow::Result<Vec<Value>> {
        let lines = self.stack.child(part)?.lines();
        let read = |line: &String| {
            serde_json::from_str(line)
                .with_context(|| format!("{}: not JSON: {line}", part.as_str()))
        };
        lines.iter().map(read).collect()
    }

    /// Kills a part as a crash would, and starts it again.
    pub async fn crash(&mut self, part: Part) -> anyhow::Result<()> {
        self.stack.take(part)?.kill().await?;
        self.stack.start_part(part).await
    }

    /// Stops every part.
    pub async fn stop(mut self) {
        self.stack.stop().await;
    }
}

/// Makes a valid event of a user.
pub fn event(id: &str, kind: &str) -> Value {
    json!({
        "event_id": id, "type": kind, "user_id": format!("u-{id}"),
        "occurred_at": "2026-01-09T10:30:00.123Z",
    })
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
