//! Exporters that applications really use: OpenTelemetry's own for Rust, and tracebaton's.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    logs::{AnyValue, LogRecord as _, Logger, LoggerProvider as _, Severity},
    trace::{
        Span as _, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, Tracer,
        TracerProvider as _,
    },
};
use opentelemetry_otlp::{
    Compression, LogExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::{Resource, logs::SdkLoggerProvider, trace::SdkTracerProvider};
use serde_json::json;
use tracebaton::{
    hop::{Batch, Coordinates, Hop, Recorder},
    otlp::{Exporter, Options},
    propagate::Baton,
};

use crate::support::*;

/// Records a trace with the stock SDK and returns its id.
fn record(spans: SpanExporter, logs: LogExporter) -> String {
    let resource = Resource::builder_empty().with_service_name("stock").build();
    let tracers = SdkTracerProvider::builder()
        .with_batch_exporter(spans)
        .with_resource(resource.clone())
        .build();
    let loggers =
        SdkLoggerProvider::builder().with_batch_exporter(logs).with_resource(resource).build();
    let tracer = tracers.tracer("test");
    let mut parent = tracer.start("parent");
    let context = parent.span_context().clone();
    let remote = SpanContext::new(
        context.trace_id(),
        context.span_id(),
        TraceFlags::SAMPLED,
        true,
        Default::default(),
    );
    let below = opentelemetry::Context::new().with_remote_span_context(remote);
    tracer.start_with_context("child", &below).end();
    parent.end();
    let logger = loggers.logger("test");
    let mut line = logger.create_log_record();
    line.set_severity_number(Severity::Error);
    line.set_body(AnyValue::from("it broke"));
    line.set_timestamp(SystemTime::now());
    line.set_trace_context(context.trace_id(), context.span_id(), None);
    logger.emit(line);
    tracers.shutdown().unwrap();
    loggers.shutdown().unwrap();
    assert_ne!(context.span_id(), SpanId::INVALID);
    assert_ne!(context.trace_id(), TraceId::INVALID);
    context.trace_id().to_string()
}

fn assert_kept(server: &Server, trace_id: &str) {
    let spans = server.get(&format!("/api/v1/traces/{trace_id}")).json();
    let names: Vec<&str> = (0..2).map(|at| spans[at]["span"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["parent", "child"]);
    assert_eq!((&spans[1]["depth"], &spans[1]["span"]["service"]), (&json!(1), &json!("stock")));
    let logs = server.get(&format!("/api/v1/traces/{trace_id}/logs")).json();
    assert_eq!((&logs[0]["level"], &logs[0]["message"]), (&json!("ERROR"), &json!("it broke")));
}

#[test]
fn the_stock_exporter_arrives_over_http_in_both_formats_and_gzipped() {
    let server = Server::start();
    for (protocol, compression) in [
        (Protocol::HttpBinary, None),
        (Protocol::HttpBinary, Some(Compression::Gzip)),
        (Protocol::HttpJson, None),
        (Protocol::HttpJson, Some(Compression::Gzip)),
    ] {
        let url = |path: &str| format!("{}{path}", server.url());
        let mut spans = SpanExporter::builder()
            .with_http()
            .with_protocol(protocol)
            .with_endpoint(url("/v1/traces"));
        let mut logs = LogExporter::builder()
            .with_http()
            .with_protocol(protocol)
            .with_endpoint(url("/v1/logs"));
        if let Some(compression) = compression {
            spans = spans.with_compression(compression);
            logs = logs.with_compression(compression);
        }
        let trace_id = record(spans.build().unwrap(), logs.build().unwrap());
        assert_kept(&server, &trace_id);
    }
}

#[test]
fn the_stock_exporter_arrives_over_grpc() {
    let server = Server::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let url = format!("http://{}", server.grpc);
    let spans = SpanExporter::builder().with_tonic().with_endpoint(&url);
    let logs = LogExporter::builder().with_tonic().with_endpoint(&url);
    let spans = spans.with_compression(Compression::Gzip).build().unwrap();
    let trace_id = record(spans, logs.build().unwrap());
    assert_kept(&server, &trace_id);
}

#[test]
fn tracebatons_own_exporter_arrives_over_http_and_grpc() {
    let server = Server::start();
    for protocol in [tracebaton::otlp::Protocol::HttpProtobuf, tracebaton::otlp::Protocol::Grpc] {
        let recorder = Recorder::default();
        let base = match protocol {
            tracebaton::otlp::Protocol::Grpc => format!("http://{}", server.grpc),
            _ => server.url(),
        };
        let mut options =
            Options { service_name: Some("own".into()), ..Options::to(&base, protocol).unwrap() };
        let gzip = tracebaton::otlp::Compression::Gzip;
        options.endpoints().for_each(|endpoint| endpoint.compression = gzip);
        let exporter = Exporter::start(&recorder, &options).unwrap();
        let input = Coordinates {
            topic: "orders".into(),
            partition: 3,
            offset: 42,
            group: Some("own".into()),
        };
        let hop = Hop::process(&recorder, &input, &Baton::default());
        hop.filtered("a test order");
        hop.end();
        let report = exporter.shutdown(Duration::from_secs(10));
        assert!(report.is_complete(), "{report}");
        let id = hop.trace_id().to_string();
        let found = server.get(&format!("/api/v1/traces/{id}/diagnosis")).json();
        assert_eq!(found["verdict"], "FILTERED");
        assert_eq!(found["summary"], "own (process orders): 1 left out on purpose: a test order");
        let spans = server.get(&format!("/api/v1/traces/{id}")).json();
        let attributes: BTreeMap<String, serde_json::Value> =
            serde_json::from_value(spans[0]["span"]["attributes"].clone()).unwrap();
        assert_eq!(attributes["messaging.kafka.offset"], 42);
    }
}

/// Exports what is recorded to a server, as the service `own`.
fn export(server: &Server, recorder: &Recorder) -> Exporter {
    let protocol = tracebaton::otlp::Protocol::HttpProtobuf;
    let options = Options {
        service_name: Some("own".into()),
        ..Options::to(&server.url(), protocol).unwrap()
    };
    Exporter::start(recorder, &options).unwrap()
}

/// Says where a record stands in a topic that one group reads.
fn at(topic: &str, offset: i64) -> Coordinates {
    let group = Some(format!("of-{topic}"));
    Coordinates { topic: topic.into(), partition: 0, offset, group }
}

/// Sends one record to `raw`, and returns what it carries.
fn send_raw(recorder: &Recorder, offset: i64) -> Baton {
    let source = Hop::process(recorder, &at("source", offset), &Baton::default());
    let sent = source.output("raw");
    let baton = sent.baton().clone();
    sent.delivered(0, offset);
    source.end();
    baton
}

#[test]
fn each_record_of_a_batch_has_the_verdict_of_what_was_made_of_it() {
    let server = Server::start();
    let recorder = Recorder::default();
    let exporter = export(&server, &recorder);
    let mut batch = Batch::poll(&recorder);
    let inputs: Vec<(Coordinates, Baton)> =
        (0..3).map(|offset| (at("raw", offset), send_raw(&recorder, offset))).collect();
    inputs.iter().for_each(|(input, baton)| batch.add(input, baton));
    batch.polled();
    let outputs = inputs.iter().map(|(input, baton)| batch.output_of("out", input, baton));
    for (offset, output) in (5..).zip(outputs.collect::<Vec<_>>()) {
        let baton = output.baton().clone();
        output.delivered(0, offset);
        let end = Hop::process(&recorder, &at("out", offset), &baton);
        match offset {
            6 => end.failed("ValueError", "no"),
            _ => end.filtered("a test order"),
        }
        end.end();
    }
    batch.passed();
    let report = exporter.shutdown(Duration::from_secs(10));
    assert!(report.is_complete(), "{report}");
    for ((_, baton), verdict) in
        inputs.iter().zip(["FILTERED", "TRANSFORM_FAILED_LOST", "FILTERED"])
    {
        let id = baton.context.unwrap().trace_id.to_string();
        let found = server.get(&format!("/api/v1/traces/{id}/diagnosis")).json();
        assert_eq!(found["verdict"], verdict, "{found:#}");
        let spans = server.get(&format!("/api/v1/traces/{id}")).json();
        let shape: Vec<(&str, i64, Option<i64>)> = spans
            .as_array()
            .unwrap()
            .iter()
            .map(|node| {
                let (name, depth) = (&node["span"]["name"], &node["depth"]);
                let records = node["batch_records"].as_i64();
                (name.as_str().unwrap(), depth.as_i64().unwrap(), records)
            })
            .collect();
        let of_three = Some(3);
        let expected = [
            ("process source", 0, None),
            ("send raw", 1, None),
            ("poll raw", 2, of_three),
            ("process raw", 3, of_three),
            ("send out", 4, of_three),
            ("process out", 5, of_three),
        ];
        assert_eq!(shape, expected);
    }
}

#[test]
fn a_batch_that_never_tells_is_found_by_the_span_of_its_poll() {
    let server = Server::start();
    let recorder = Recorder::default();
    let exporter = export(&server, &recorder);
    let baton = send_raw(&recorder, 1);
    let mut batch = Batch::poll(&recorder);
    batch.add(&at("raw", 1), &baton);
    batch.polled();
    // Two outputs are acknowledged, and nothing is said of the batch: it is at work as long as it lives.
    for offset in [5, 6] {
        let output = batch.output_of("out", &at("raw", 1), &baton);
        let baton = output.baton().clone();
        output.delivered(0, offset);
        let end = Hop::process(&recorder, &at("out", offset), &baton);
        end.filtered("a test order");
        end.end();
    }
    assert!(exporter.flush(Duration::from_secs(10)));
    let id = baton.context.unwrap().trace_id.to_string();
    let found = server.get(&format!("/api/v1/traces/{id}/diagnosis")).json();
    assert_eq!(found["verdict"], "BATCH_PENDING", "{found:#}");
    let summary = found["summary"].as_str().unwrap();
    assert!(summary.contains("1 taken by of-raw in a batch of 1, trace "), "{summary}");
    let evidence = found["findings"][1]["evidence"].as_str().unwrap();
    assert!(evidence.contains("of-out (process out): 2 left out on purpose"), "{evidence}");
    drop(batch);
}
