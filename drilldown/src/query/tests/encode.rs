//! Ledger events as the OTLP request that brings them.

use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span as WireSpan, Status,
        span::{Link as WireLink, SpanKind},
        status::StatusCode,
    },
};
use prost::Message;
use sha2::{Digest, Sha256};

use super::*;
use crate::model::{Id, Link, LogLine, Span};

pub(super) fn request(hops: Vec<HopEvent>) -> Vec<u8> {
    let of_service = |hop: HopEvent| ResourceLogs {
        resource: resource(&hop.service),
        scope_logs: vec![ScopeLogs { log_records: vec![record(hop)], ..ScopeLogs::default() }],
        ..ResourceLogs::default()
    };
    let resource_logs = hops.into_iter().map(of_service).collect();
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

/// Log lines, all of one service.
pub(super) fn lines(lines: Vec<LogLine>) -> Vec<u8> {
    let record = |line: LogLine| LogRecord {
        time_unix_nano: line.time.cast_unsigned(),
        trace_id: line.trace_id.map(|name| id(&name)).unwrap_or_default(),
        span_id: line.span_id.map(|name| id(&name)[..8].to_vec()).unwrap_or_default(),
        body: Some(AnyValue { value: Some(Value::StringValue(line.message)) }),
        ..LogRecord::default()
    };
    let log_records = lines.into_iter().map(record).collect();
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

/// Spans of services.
pub(super) fn spans(spans: Vec<Span>) -> Vec<u8> {
    let kind = |kind: &str| match kind {
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        _ => SpanKind::Client,
    };
    let link = |link: Link| WireLink {
        trace_id: id(&link.trace_id),
        span_id: id(&link.span_id)[..8].to_vec(),
        ..WireLink::default()
    };
    let value = |value: serde_json::Value| match value.as_i64() {
        Some(number) => Value::IntValue(number),
        None => Value::StringValue(value.as_str().unwrap_or_default().to_owned()),
    };
    let span = |span: Span| WireSpan {
        trace_id: id(&span.trace_id),
        span_id: id(&span.span_id)[..8].to_vec(),
        parent_span_id: span.parent_span_id.map(|name| id(&name)[..8].to_vec()).unwrap_or_default(),
        name: span.name,
        kind: kind(&span.kind) as i32,
        start_time_unix_nano: span.start.cast_unsigned(),
        end_time_unix_nano: span.end.cast_unsigned(),
        attributes: span
            .attributes
            .into_iter()
            .map(|(key, of)| attribute(&key, value(of)))
            .collect(),
        links: span.links.into_iter().map(link).collect(),
        status: span
            .is_error
            .then_some(Status { message: span.status_message, code: StatusCode::Error as i32 }),
        ..WireSpan::default()
    };
    let of_service = |of: Span| ResourceSpans {
        resource: resource(&of.service),
        scope_spans: vec![ScopeSpans { spans: vec![span(of)], ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    };
    let resource_spans = spans.into_iter().map(of_service).collect();
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn resource(service: &str) -> Option<Resource> {
    let attributes = vec![attribute("service.name", Value::StringValue(service.to_owned()))];
    Some(Resource { attributes, ..Resource::default() })
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.into(), value, ..KeyValue::default() }
}

/// The tests give spans and batches names to be read by; on the wire they are bytes.
fn id(name: &str) -> Vec<u8> {
    match Id::parse(name) {
        Some(id) => id.0.to_vec(),
        None => Sha256::digest(name)[..16].to_vec(),
    }
}

fn record(hop: HopEvent) -> LogRecord {
    let text = |key: &str, text: &Option<String>| {
        text.as_ref().map(|text| attribute(key, Value::StringValue(text.clone())))
    };
    let count = |key: &str, count: i64| (count > 0).then(|| attribute(key, Value::IntValue(count)));
    let number = |key: &str, number: Option<i64>| {
        number.map(|number| attribute(key, Value::IntValue(number)))
    };
    let members: Vec<u8> = hop.members.iter().flat_map(|member| id(member)).collect();
    let partition = hop.partition.map(|partition| partition.to_string());
    let attributes = [
        text("tracebaton.hop.kind", &Some(hop.kind)),
        text("tracebaton.hop.name", &Some(hop.name)),
        count("tracebaton.records.in", hop.records_in),
        count("tracebaton.records.passed", hop.passed),
        count("tracebaton.records.filtered", hop.filtered),
        count("tracebaton.records.failed", hop.failed),
        count("tracebaton.records.dead_lettered", hop.dead_lettered),
        count("tracebaton.records.emitted", hop.emitted),
        count("tracebaton.outputs.unconfirmed", hop.unconfirmed),
        text("messaging.destination.name", &hop.topic),
        text("messaging.destination.partition.id", &partition),
        number("messaging.kafka.offset", hop.first),
        number("tracebaton.offset.last", hop.last),
        text("messaging.consumer.group.name", &hop.group),
        text("tracebaton.reason", &hop.reason),
        text("error.type", &hop.error_type),
        count("tracebaton.attempt", hop.attempt),
        text("tracebaton.batch.id", &hop.batch_id),
        (!members.is_empty())
            .then(|| attribute("tracebaton.batch.traces", Value::BytesValue(members))),
        hop.is_dead_letter.then(|| attribute("tracebaton.dead_letter", Value::BoolValue(true))),
        number("http.response.status_code", hop.http_status),
    ];
    LogRecord {
        time_unix_nano: hop.time.cast_unsigned(),
        trace_id: id(&hop.trace_id),
        span_id: id(&hop.span_id)[..8].to_vec(),
        event_name: "tracebaton.hop".into(),
        attributes: attributes.into_iter().flatten().collect(),
        ..LogRecord::default()
    }
}
