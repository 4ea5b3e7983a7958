//! A running server, a client that can also send nonsense, and the command line.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message;
use serde_json::Value as Json;
use tempfile::TempDir;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// `tracebaton serve` on free ports of this machine.
pub(crate) struct Server {
    child: Child,
    pub(crate) grpc: String,
    pub(crate) http: String,
    pub(crate) data: Arc<TempDir>,
    /// The line by which it says that it is there.
    pub(crate) ready: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()))
    }

    /// Starts on a folder that may have been served before.
    pub(crate) fn on(data: Arc<TempDir>) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tracebaton"))
            .args(["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data"])
            .arg(data.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.next().expect("the server has to say where it listens").unwrap();
        thread::spawn(move || lines.count());
        let line: Json = serde_json::from_str(&ready).unwrap();
        assert_eq!(line["message"], "ready");
        let place = |key: &str| line[key].as_str().unwrap().to_owned();
        Self { child, grpc: place("grpc"), http: place("http"), data, ready }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Ends it as an operator does.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        until("the server has stopped", || self.child.try_wait().unwrap())
    }

    /// Ends it as a crash does: SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        ask(&self.http, "POST", path, headers, body)
    }

    pub(crate) fn send_spans(&self, spans: Vec<Span>) -> Answer {
        self.post("/v1/traces", &[PROTOBUF], &spans_of("shop", spans).encode_to_vec())
    }

    pub(crate) fn send_logs(&self, logs: Vec<LogRecord>) -> Answer {
        self.post("/v1/logs", &[PROTOBUF], &logs_of("shop", logs).encode_to_vec())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        ask(&self.http, "GET", path, &[], b"")
    }

    /// Runs a command that asks this server.
    pub(crate) fn cli(&self, words: &[&str]) -> Output {
        cli(&[words, &["--server", &self.url()]].concat())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
pub(crate) const JSON: (&str, &str) = ("Content-Type", "application/json");

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }
}

/// Sends a request byte for byte and reads the answer; `None` where the server went away.
pub(crate) fn try_ask(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: drilldown\r\nConnection: close\r\n");
    let tells_length = |name: &str| ["Content-Length", "Transfer-Encoding"].contains(&name);
    if !headers.iter().any(|(name, _)| tells_length(name)) {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let field =
        |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Some(Answer {
        status: head.split(' ').nth(1)?.parse().ok()?,
        content_type: field("content-type").unwrap_or_default().to_owned(),
        body: answer[end + 4..].to_vec(),
    })
}

pub(crate) fn ask(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    try_ask(address, method, path, headers, body).expect("the server has to answer")
}

/// What a command printed, and how it ended.
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("not JSON: {}", self.stdout))
    }
}

/// Runs the command line, with nothing of this process's environment that could matter.
pub(crate) fn cli(words: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_tracebaton"))
        .args(words)
        .env_remove("TRACEBATON_SERVER")
        .env_remove("TRACEBATON_DATA")
        .env_remove("COLUMNS")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Output {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Polls until something is there.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A trace id that ends in this number.
pub(crate) fn trace_id(number: u64) -> Vec<u8> {
    [&[0xab; 8][..], &number.to_be_bytes()].concat()
}

pub(crate) fn span(trace: u64, number: u64) -> Span {
    Span {
        trace_id: trace_id(trace),
        span_id: number.to_be_bytes().to_vec(),
        name: format!("span {number}"),
        kind: 1,
        start_time_unix_nano: 1_767_960_000_000_000_000 + number * 1_000_000,
        end_time_unix_nano: 1_767_960_000_000_000_000 + number * 1_000_000 + 500_000,
        ..Span::default()
    }
}

pub(crate) fn log(trace: u64, message: &str) -> LogRecord {
    LogRecord {
        time_unix_nano: 1_767_960_000_123_000_000,
        severity_number: 9,
        body: Some(text(message)),
        trace_id: trace_id(trace),
        span_id: 1_u64.to_be_bytes().to_vec(),
        ..LogRecord::default()
    }
}

pub(crate) fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.into())) }
}

pub(crate) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

/// A ledger event, as core writes it.
pub(crate) fn hop(trace: u64, kind: &str, attributes: Vec<KeyValue>) -> LogRecord {
    let mut all = vec![
        attribute("tracebaton.hop.kind", Value::StringValue(kind.into())),
        attribute("tracebaton.records.in", Value::IntValue(1)),
    ];
    all.extend(attributes);
    LogRecord { event_name: "tracebaton.hop".into(), attributes: all, ..log(trace, "") }
}

fn resource(service: &str) -> Option<Resource> {
    let attributes = vec![attribute("service.name", Value::StringValue(service.into()))];
    Some(Resource { attributes, ..Resource::default() })
}

pub(crate) fn spans_of(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource = resource(service);
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }],
    }
}

pub(crate) fn logs_of(service: &str, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource = resource(service);
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }],
    }
}

/// The folder as text, for the command line.
pub(crate) fn folder(path: &Path) -> &str {
    path.to_str().unwrap()
}
