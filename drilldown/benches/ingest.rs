//! How fast spans get to disk: `cargo bench -p tracebaton-drilldown [-- SPANS]`.
//!
//! Sends requests of 512 spans, 10 spans a trace, over 4 connections to `tracebaton serve`, each
//! request after the answer to the one before. Then asks for traces by id.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark fails by panicking"
)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message;

const CONNECTIONS: u64 = 4;
const SPANS_PER_REQUEST: u64 = 512;
const SPANS_PER_TRACE: u64 = 10;

fn main() {
    let spans = std::env::args().find_map(|word| word.parse::<u64>().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let server = Command::new(env!("CARGO_BIN_EXE_tracebaton"))
        .args(["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data"])
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut server = Server(server);
    let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let ready: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let address = ready["http"].as_str().unwrap().to_owned();

    let requests = spans.div_ceil(SPANS_PER_REQUEST);
    let started = Instant::now();
    let mut times: Vec<Duration> = thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|own| {
                let address = &address;
                scope.spawn(move || {
                    let mut template = Template::new();
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.set_nodelay(true).unwrap();
                    let mut times = Vec::new();
                    for request in (own..requests).step_by(CONNECTIONS as usize) {
                        template.number(request);
                        let sent = Instant::now();
                        assert_eq!(post(&mut stream, &template.bytes), 200);
                        times.push(sent.elapsed());
                    }
                    times
                })
            })
            .collect();
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
    });
    let took = started.elapsed();
    let (cpu, rss) = usage(server.0.id());
    let kept = requests * SPANS_PER_REQUEST;
    times.sort_unstable();
    let part = |times: &[Duration], part: f64| times[((times.len() - 1) as f64 * part) as usize];
    println!(
        "{kept} spans of {} B: {:.0} spans/s, {:.2} µs of server CPU a span, answers p50 {:?} p99 \
         {:?}, {} MB resident, {:.0} B a span on disk",
        Template::new().bytes.len() as u64 / SPANS_PER_REQUEST,
        kept as f64 / took.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / kept as f64,
        part(&times, 0.5),
        part(&times, 0.99),
        rss / 1_000_000,
        size(folder.path()) as f64 / kept as f64,
    );
    let mut asked = Vec::new();
    for at in 0..200 {
        let trace = kept / SPANS_PER_TRACE * at / 200;
        let sent = Instant::now();
        let path = format!("/api/v1/traces/{}", hex(&trace_id(trace)));
        let answer = get(&address, &path);
        asked.push(sent.elapsed());
        assert_eq!(answer.matches("\"span_id\"").count() as u64, SPANS_PER_TRACE);
    }
    asked.sort_unstable();
    println!("a trace by id: p50 {:?} p99 {:?}", part(&asked, 0.5), part(&asked, 0.99));
}

/// Goes with the benchmark, however that ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn trace_id(number: u64) -> [u8; 16] {
    // Random to an index, as ids are that carry no time.
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut id = [0xab; 16];
    id[..8].copy_from_slice(&spread.to_be_bytes());
    id[8..].copy_from_slice(&(number + 1).to_be_bytes());
    id
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A request whose ids are written over in place.
struct Template {
    bytes: Vec<u8>,
    trace_ids: Vec<usize>,
    span_ids: Vec<usize>,
}

impl Template {
    fn new() -> Self {
        let text = |key: &str, value: &str| KeyValue {
            key: key.into(),
            value: Some(AnyValue { value: Some(Value::StringValue(value.into())) }),
            ..KeyValue::default()
        };
        let number = |key: &str, value: i64| KeyValue {
            key: key.into(),
            value: Some(AnyValue { value: Some(Value::IntValue(value)) }),
            ..KeyValue::default()
        };
        let span = Span {
            trace_id: vec![0xf1; 16],
            span_id: vec![0xf2; 8],
            parent_span_id: vec![0xf3; 8],
            name: "process shop_events".into(),
            kind: 5,
            start_time_unix_nano: 1_767_960_000_000_000_000,
            end_time_unix_nano: 1_767_960_000_000_700_000,
            flags: 0x103,
            attributes: vec![
                text("messaging.system", "kafka"),
                text("messaging.operation.type", "process"),
                text("messaging.operation.name", "process"),
                text("messaging.destination.name", "shop_events"),
                text("messaging.destination.partition.id", "3"),
                number("messaging.kafka.offset", 1_234_567),
                text("messaging.consumer.group.name", "raw_to_user"),
            ],
            ..Span::default()
        };
        let spans = vec![span; SPANS_PER_REQUEST as usize];
        let resource = Resource {
            attributes: vec![text("service.name", "raw_to_user"), text("host.name", "machine-1")],
            ..Resource::default()
        };
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        let of_resource =
            ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() };
        let bytes = ExportTraceServiceRequest { resource_spans: vec![of_resource] }.encode_to_vec();
        let places = |id: &[u8]| -> Vec<usize> {
            (0..bytes.len()).filter(|at| bytes[*at..].starts_with(id)).collect()
        };
        let (trace_ids, span_ids) = (places(&[0xf1; 16]), places(&[0xf2; 8]));
        Self { bytes, trace_ids, span_ids }
    }

    fn number(&mut self, request: u64) {
        let places = self.trace_ids.iter().zip(&self.span_ids);
        for (number, (trace, span)) in (request * SPANS_PER_REQUEST..).zip(places) {
            let id = trace_id(number / SPANS_PER_TRACE);
            self.bytes[*trace..*trace + 16].copy_from_slice(&id);
            self.bytes[*span..*span + 8].copy_from_slice(&(number + 1).to_be_bytes());
        }
    }
}

fn post(stream: &mut TcpStream, body: &[u8]) -> u16 {
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nHost: drilldown\r\nContent-Type: application/x-protobuf\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    // The answer to spans that were all taken has no body.
    while !answer.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the server closed the connection");
        answer.extend_from_slice(&buffer[..read]);
        let is_whole = answer.starts_with(b"HTTP/1.1 200") && find(&answer, b"length: 0").is_some();
        assert!(is_whole, "{}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8_lossy(&answer[9..12]).parse().unwrap()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: drilldown\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Returns the CPU time a process has used, and its resident bytes.
fn usage(pid: u32) -> (Duration, u64) {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let number = |at: usize| fields[at].parse::<u64>().unwrap();
    // proc(5): utime and stime are fields 14 and 15, in hundredths; rss is field 24, in pages.
    (Duration::from_millis((number(11) + number(12)) * 10), number(21) * 4096)
}

fn size(folder: &std::path::Path) -> u64 {
    folder.read_dir().unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}
