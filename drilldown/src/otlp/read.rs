//! From the bytes that were kept to what is asked for.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::LogRecord,
    resource::v1::Resource,
    trace::v1::{
        Span as WireSpan,
        span::{Event as WireEvent, SpanKind},
        status::StatusCode,
    },
};
use prost::{DecodeError, Message};
use serde_json::Value as Json;
use tracebaton::wire::LegacyId;

use super::fields::{Fields, Value as Field};
use crate::model::{Alias, Attributes, Event, HopEvent, Id, Link, LogLine, Span};

/// A chunk is a message of these: a resource and a scope hold for the records after them.
pub(super) const RESOURCE: u8 = 1;
pub(super) const SCOPE: u8 = 2;
pub(super) const RECORD: u8 = 3;

/// Reads the spans of a chunk.
pub(crate) fn spans(chunk: &[u8]) -> Result<Vec<Span>, DecodeError> {
    records(chunk, |bytes, service| Ok(span(WireSpan::decode(bytes)?, service)))
}

/// Reads the log lines of a chunk.
pub(crate) fn logs(chunk: &[u8]) -> Result<Vec<LogLine>, DecodeError> {
    records(chunk, |bytes, service| Ok(log(LogRecord::decode(bytes)?, service)))
}

/// Reads the ledger events of a chunk.
pub(crate) fn hops(chunk: &[u8]) -> Result<Vec<HopEvent>, DecodeError> {
    records(chunk, |bytes, service| Ok(hop(&LogRecord::decode(bytes)?, service)))
}

fn records<T>(
    chunk: &[u8],
    read: impl Fn(&[u8], &str) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut found = Vec::new();
    let mut of = String::new();
    for (number, value) in Fields(chunk).flatten() {
        let Field::Bytes(bytes) = value else { continue };
        if number == u32::from(RESOURCE) {
            of = service(&Resource::decode(bytes)?);
        } else if number == u32::from(RECORD) {
            found.push(read(bytes, &of)?);
        }
    }
    Ok(found)
}

fn span(span: WireSpan, service: &str) -> Span {
    let kind = match span.kind() {
        SpanKind::Unspecified | SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    };
    let status = span.status.unwrap_or_default();
    let links = span.links.iter().filter_map(|link| {
        let (trace_id, span_id) = (id::<16>(&link.trace_id)?, id::<8>(&link.span_id)?);
        Some(Link { trace_id: trace_id.to_string(), span_id: span_id.to_string() })
    });
    Span {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_span_id: id::<8>(&span.parent_span_id).map(|id| id.to_string()),
        name: span.name,
        kind: kind.to_owned(),
        service: service.to_owned(),
        start: time(span.start_time_unix_nano, 0),
        end: time(span.end_time_unix_nano, 0),
        is_error: status.code() == StatusCode::Error,
        status_message: status.message,
        attributes: attributes(span.attributes),
        events: span.events.into_iter().map(event).collect(),
        links: links.collect(),
    }
}

fn event(event: WireEvent) -> Event {
    Event {
        time: time(event.time_unix_nano, 0),
        name: event.name,
        attributes: attributes(event.attributes),
    }
}

fn log(log: LogRecord, service: &str) -> LogLine {
    let attributes = attributes(log.attributes);
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
        trace_id: id::<16>(&log.trace_id).map(|id| id.to_string()),
        span_id: id::<8>(&log.span_id).map(|id| id.to_string()),
        time: time(log.time_unix_nano, log.observed_time_unix_nano),
        level: level.to_owned(),
        service: service.to_owned(),
        message,
        attributes,
    }
}

/// Reads a ledger event (`tracebaton.hop`).
pub(super) fn hop(log: &LogRecord, service: &str) -> HopEvent {
    let attributes = &attributes(log.attributes.clone());
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

/// Reads the text that the client sent beside the trace (`tracebaton.legacy_id`), unless it stands for
/// the trace by itself; like every legacy id it has 128 bytes at most.
pub(super) fn alias(log: &LogRecord, trace_id: Id) -> Option<Alias> {
    let pair = log.attributes.iter().find(|pair| pair.key == "tracebaton.legacy_id")?;
    let Some(Value::StringValue(text)) = pair.value.as_ref()?.value.as_ref() else { return None };
    let legacy = LegacyId::parse(text).ok()??;
    let time = time(log.time_unix_nano, log.observed_time_unix_nano);
    let is_other = legacy.trace_id().to_bytes() != trace_id.0;
    is_other.then(|| Alias { text: legacy.text().to_owned(), trace_id, time })
}

/// Reads a whole number, which may be written as text, as partition ids are.
fn number(attributes: &Attributes, key: &str) -> Option<i64> {
    let value = attributes.get(key)?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Reads what a service had to drop (`tracebaton.dropped`): when, and how many ledger events.
pub(super) fn dropped(log: &LogRecord) -> (i64, i64) {
    let ledger = number(&attributes(log.attributes.clone()), "tracebaton.dropped.ledger");
    let time = time(log.time_unix_nano, log.observed_time_unix_nano);
    (time, ledger.unwrap_or(0).clamp(0, u32::MAX.into()))
}

/// Reads the name of an event where it is an attribute.
pub(super) fn event_name(log: &LogRecord) -> String {
    let attributes = attributes(log.attributes.clone());
    attributes.get("event.name").and_then(Json::as_str).unwrap_or_default().to_owned()
}

/// Reads the name of the service.
pub(super) fn service(resource: &Resource) -> String {
    let of_name = |pair: &&KeyValue| pair.key == "service.name";
    let name = resource.attributes.iter().find(of_name).and_then(|pair| pair.value.as_ref());
    match name.and_then(|name| name.value.as_ref()) {
        Some(Value::StringValue(name)) => name.clone(),
        _ => "unknown_service".to_owned(),
    }
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

/// Reads an id: it has its length, and is not all zero (Trace Context, "trace-id").
pub(super) fn id<const N: usize>(bytes: &[u8]) -> Option<Id<N>> {
    let id = <[u8; N]>::try_from(bytes).ok()?;
    (id != [0; N]).then_some(Id(id))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
