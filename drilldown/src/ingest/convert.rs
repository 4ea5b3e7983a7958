//! From OTLP's messages to what is kept.

use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::LogRecord,
    resource::v1::Resource,
    trace::v1::{Span as WireSpan, span::SpanKind, status::StatusCode},
};
use serde_json::Value as Json;

use crate::model::{Attributes, Delivery, Dropped, HopEvent, LogLine, Span};

pub(super) fn traces(request: ExportTraceServiceRequest) -> Delivery {
    let mut delivery = Delivery::default();
    for of_resource in request.resource_spans {
        let service = service(of_resource.resource.as_ref());
        for span in of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans) {
            if is_id(&span.trace_id, 16) && is_id(&span.span_id, 8) {
                delivery.spans.push(read_span(span, &service));
            } else {
                delivery
                    .rejected
                    .add(|| wrong_ids("span", &span.name, &span.trace_id, &span.span_id));
            }
        }
    }
    delivery
}

pub(super) fn logs(request: ExportLogsServiceRequest) -> Delivery {
    let mut delivery = Delivery::default();
    for of_resource in request.resource_logs {
        let service = service(of_resource.resource.as_ref());
        for log in of_resource.scope_logs.into_iter().flat_map(|of_scope| of_scope.log_records) {
            let attributes = attributes(log.attributes.clone());
            // Before there was a field for it, the name of an event was an attribute.
            let old_name = attributes.get("event.name").and_then(Json::as_str).unwrap_or_default();
            let name = if log.event_name.is_empty() { old_name } else { &log.event_name };
            match name {
                "tracebaton.hop" if is_id(&log.trace_id, 16) => {
                    delivery.hops.push(read_hop(&log, &attributes, &service));
                }
                "tracebaton.hop" => {
                    delivery.rejected.add(|| {
                        wrong_ids("ledger event", "tracebaton.hop", &log.trace_id, &log.span_id)
                    });
                }
                "tracebaton.dropped" => delivery.dropped.push(Dropped {
                    time: time(log.time_unix_nano, log.observed_time_unix_nano),
                    service: service.clone(),
                    ledger: number(&attributes, "tracebaton.dropped.ledger")
                        .unwrap_or(0)
                        .clamp(0, u32::MAX.into()),
                }),
                _ => delivery.logs.push(read_log(log, attributes, &service)),
            }
        }
    }
    delivery
}

/// Tells whether bytes are an id of this length: not all of it zero (Trace Context, "trace-id").
fn is_id(bytes: &[u8], length: usize) -> bool {
    bytes.len() == length && bytes.iter().any(|byte| *byte != 0)
}

fn wrong_ids(what: &str, name: &str, trace_id: &[u8], span_id: &[u8]) -> String {
    let name: String = name.chars().take(80).collect();
    let shown = |id: &[u8]| hex(id.get(..16).unwrap_or(id));
    format!(
        "{what} `{name}` has trace id `{}` ({} bytes) and span id `{}` ({} bytes); a trace id has \
         16 bytes, a span id 8, and neither is all zero",
        shown(trace_id),
        trace_id.len(),
        shown(span_id),
        span_id.len()
    )
}

fn read_span(span: WireSpan, service: &str) -> Span {
    let kind = match span.kind() {
        SpanKind::Unspecified | SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    };
    let status = span.status.unwrap_or_default();
    let links =
        span.links.iter().filter(|link| is_id(&link.trace_id, 16) && is_id(&link.span_id, 8));
    Span {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_span_id: id(&span.parent_span_id, 8),
        name: span.name,
        kind: kind.to_owned(),
        service: service.to_owned(),
        start: time(span.start_time_unix_nano, 0),
        end: time(span.end_time_unix_nano, 0),
        is_error: status.code() == StatusCode::Error,
        status_message: status.message,
        attributes: attributes(span.attributes),
        links: links.map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
    }
}

fn read_log(log: LogRecord, attributes: Attributes, service: &str) -> LogLine {
    let level = match log.severity_number {
        1..=4 => "TRACE",
        5..=8 => "DEBUG",
        13..=16 => "WARN",
        17..=20 => "ERROR",
        21.. => "FATAL",
        _ => "INFO",
    };
    let message = match log.body.map(any) {
        Some(Json::String(text)) => text,
        Some(Json::Null) | None => log.event_name,
        Some(other) => other.to_string(),
    };
    LogLine {
        // A wrong id is no id (opentelemetry-proto, `logs.proto`, "trace_id").
        trace_id: id(&log.trace_id, 16),
        span_id: id(&log.span_id, 8),
        time: time(log.time_unix_nano, log.observed_time_unix_nano),
        level: level.to_owned(),
        service: service.to_owned(),
        message,
        attributes,
    }
}

fn read_hop(log: &LogRecord, attributes: &Attributes, service: &str) -> HopEvent {
    let text = |key| attributes.get(key).and_then(Json::as_str).map(str::to_owned);
    // Anybody may send anything: kept within bounds, numbers can be added up without a thought.
    let count = |key| number(attributes, key).unwrap_or(0).clamp(0, u32::MAX.into());
    let place = |key| number(attributes, key).filter(|place| (0..1 << 60).contains(place));
    let members = text("tracebaton.batch.traces").unwrap_or_default();
    let members = members.as_bytes().chunks_exact(32);
    HopEvent {
        trace_id: hex(&log.trace_id),
        span_id: hex(&log.span_id),
        time: time(log.time_unix_nano, log.observed_time_unix_nano),
        service: service.to_owned(),
        kind: text("tracebaton.hop.kind").unwrap_or_default(),
        name: text("tracebaton.hop.name").unwrap_or_default(),
        records_in: count("tracebaton.records.in"),
        passed: count("tracebaton.records.passed"),
        filtered: count("tracebaton.records.filtered"),
        failed: count("tracebaton.records.failed"),
        dead_lettered: count("tracebaton.records.dead_lettered"),
        emitted: count("tracebaton.records.emitted"),
        unconfirmed: count("tracebaton.outputs.unconfirmed"),
        topic: text("messaging.destination.name"),
        partition: place("messaging.destination.partition.id"),
        first: place("messaging.kafka.offset"),
        last: place("tracebaton.offset.last"),
        group: text("messaging.consumer.group.name"),
        reason: text("tracebaton.reason"),
        error_type: text("error.type"),
        attempt: count("tracebaton.attempt").max(1),
        batch_id: text("tracebaton.batch.id"),
        members: members.map(|id| String::from_utf8_lossy(id).into_owned()).collect(),
        is_dead_letter: attributes.get("tracebaton.dead_letter") == Some(&Json::Bool(true)),
        http_status: number(attributes, "http.response.status_code"),
    }
}

/// Reads a whole number, which may be written as text, as partition ids are.
fn number(attributes: &Attributes, key: &str) -> Option<i64> {
    let value = attributes.get(key)?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn service(resource: Option<&Resource>) -> String {
    let attributes = resource.map(|resource| attributes(resource.attributes.clone()));
    let name = attributes.as_ref().and_then(|known| known.get("service.name")?.as_str());
    name.unwrap_or("unknown_service").to_owned()
}

fn attributes(pairs: Vec<KeyValue>) -> Attributes {
    let read = |pair: KeyValue| (pair.key, pair.value.map_or(Json::Null, any));
    pairs.into_iter().map(read).collect()
}

fn any(value: AnyValue) -> Json {
    match value.value {
        Some(Value::StringValue(text)) => Json::String(text),
        Some(Value::BoolValue(flag)) => Json::Bool(flag),
        Some(Value::IntValue(number)) => number.into(),
        Some(Value::DoubleValue(number)) => number.into(),
        Some(Value::BytesValue(bytes)) => Json::String(hex(&bytes)),
        Some(Value::ArrayValue(array)) => array.values.into_iter().map(any).collect(),
        Some(Value::KvlistValue(list)) => Json::Object(attributes(list.values)),
        Some(_) | None => Json::Null,
    }
}

fn time(own: u64, observed: u64) -> i64 {
    i64::try_from(if own == 0 { observed } else { own }).unwrap_or(i64::MAX)
}

fn id(bytes: &[u8], length: usize) -> Option<String> {
    is_id(bytes, length).then(|| hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
