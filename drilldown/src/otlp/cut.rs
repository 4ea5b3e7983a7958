//! A request, cut into one chunk for every trace.

use opentelemetry_proto::tonic::{logs::v1::LogRecord, resource::v1::Resource};
use prost::Message;

use super::{
    fields::{Fields, Malformed, NOT_UTF8, Value, put},
    read,
    schema::{LOG, RESOURCE, SCOPE, SPAN, Schema},
};
use crate::model::{Chunk, Delivery, Dropped, HopEvent, Id, Kind, Reader, Rejected};

/// A span or log record in its place.
struct Record<'b> {
    trace_id: Option<Id>,
    kind: Kind,
    resource: &'b [u8],
    scope: &'b [u8],
    bytes: &'b [u8],
    /// The other traces that it speaks of.
    mentions: Vec<Id>,
}

/// Cuts an `ExportTraceServiceRequest`.
///
/// # Errors
///
/// Returns why the bytes are none.
pub(crate) fn traces(request: &[u8]) -> Result<Delivery, Malformed> {
    let mut rejected = Rejected::default();
    let mut records = Vec::new();
    each(request, &SPAN, |resource, scope, bytes| {
        let mut trace_id: &[u8] = &[];
        let mut span_id: &[u8] = &[];
        let mut mentions = Vec::new();
        for (number, value) in Fields(bytes).flatten() {
            match (number, value) {
                (1, Value::Bytes(id)) => trace_id = id,
                (2, Value::Bytes(id)) => span_id = id,
                (13, Value::Bytes(link)) => mentions.extend(linked(link)),
                _ => {}
            }
        }
        match (read::id(trace_id), read::id::<8>(span_id)) {
            (Some(trace_id), Some(_)) => {
                let trace_id = Some(trace_id);
                let kind = Kind::Span;
                records.push(Record { trace_id, kind, resource, scope, bytes, mentions });
            }
            _ => rejected.add(|| wrong_ids("span", &text(bytes, 5), trace_id, span_id)),
        }
    })?;
    Ok(Delivery { rejected, chunks: chunks(records), ..Delivery::default() })
}

/// Cuts an `ExportLogsServiceRequest`, and takes note of what its ledger events tell.
///
/// # Errors
///
/// Returns why the bytes are none.
pub(crate) fn logs(request: &[u8]) -> Result<Delivery, Malformed> {
    let mut delivery = Delivery::default();
    let mut records = Vec::new();
    each(request, &LOG, |resource, scope, bytes| {
        let mut trace_id: &[u8] = &[];
        for (number, value) in Fields(bytes).flatten() {
            if let (9, Value::Bytes(id)) = (number, value) {
                trace_id = id;
            }
        }
        let mut record = Record {
            // A wrong id is no id (opentelemetry-proto, `logs.proto`, "trace_id").
            trace_id: read::id(trace_id),
            kind: Kind::Log,
            resource,
            scope,
            bytes,
            mentions: Vec::new(),
        };
        match event_name(bytes).as_str() {
            "tracebaton.hop" if record.trace_id.is_some() => {
                let Ok(log) = LogRecord::decode(bytes) else { return };
                let event = read::hop(&log, &service(resource));
                record.kind = Kind::Hop;
                record.mentions = event.members.iter().filter_map(|id| Id::parse(id)).collect();
                take_note(&mut delivery, &event);
                if let Some(alias) = record.trace_id.and_then(|id| read::alias(&log, id)) {
                    let key = (alias.text, alias.trace_id);
                    let time = delivery.aliases.entry(key).or_insert(alias.time);
                    *time = alias.time.min(*time);
                }
                records.push(record);
            }
            "tracebaton.hop" => {
                let why = || wrong_ids("ledger event", "tracebaton.hop", trace_id, &[]);
                delivery.rejected.add(why);
            }
            "tracebaton.dropped" => {
                let Ok(log) = LogRecord::decode(bytes) else { return };
                let (time, ledger) = read::dropped(&log);
                let service = service(resource);
                delivery.dropped.push(Dropped { time, service, ledger });
            }
            _ => records.push(record),
        }
    })?;
    delivery.chunks = chunks(records);
    Ok(delivery)
}

/// Calls for each record of a request with its resource and scope; both kinds of requests have the
/// same frame.
fn each<'b>(
    request: &'b [u8],
    schema: &'static Schema,
    mut each: impl FnMut(&'b [u8], &'b [u8], &'b [u8]),
) -> Result<(), Malformed> {
    for of_resource in messages(request, 1) {
        let of_resource = of_resource?;
        let resource = last(of_resource, &RESOURCE)?;
        for of_scope in messages(of_resource, 2) {
            let of_scope = of_scope?;
            let scope = last(of_scope, &SCOPE)?;
            for record in messages(of_scope, 2) {
                let record = record?;
                schema.check(record)?;
                each(resource, scope, record);
            }
        }
    }
    Ok(())
}

/// Returns every message that a field has.
fn messages(bytes: &[u8], field: u32) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    Fields(bytes).filter_map(move |found| match found {
        Ok((number, Value::Bytes(message))) if number == field => Some(Ok(message)),
        Ok((number, _)) if number == field => Some(Err(Malformed("a message is none"))),
        Ok(_) => None,
        Err(malformed) => Some(Err(malformed)),
    })
}

/// Returns the message of field 1, which stands anywhere in a frame; a frame's field 3 is the URL of
/// a schema.
fn last<'b>(frame: &'b [u8], schema: &'static Schema) -> Result<&'b [u8], Malformed> {
    let mut found: &[u8] = &[];
    for message in messages(frame, 1) {
        found = message?;
        schema.check(found)?;
    }
    for url in messages(frame, 3) {
        if std::str::from_utf8(url?).is_err() {
            return Err(NOT_UTF8);
        }
    }
    Ok(found)
}

/// Puts together what belongs to the same trace.
fn chunks(mut records: Vec<Record<'_>>) -> Vec<Chunk> {
    records.sort_by_key(|record| (record.trace_id, record.kind));
    let same = |a: &Record<'_>, b: &Record<'_>| (a.trace_id, a.kind) == (b.trace_id, b.kind);
    let mut chunks = Vec::new();
    for run in records.chunk_by(same) {
        let Some(first) = run.first() else { continue };
        let (trace_id, kind) = (first.trace_id, first.kind);
        let mut body = Vec::with_capacity(run.iter().map(|record| record.bytes.len() + 8).sum());
        let mut mentions: Vec<Id> = Vec::new();
        let (mut resource, mut scope): (Option<&[u8]>, Option<&[u8]>) = (None, None);
        for record in run {
            if resource != Some(record.resource) {
                put(&mut body, read::RESOURCE, record.resource);
                resource = Some(record.resource);
            }
            if scope != Some(record.scope) {
                put(&mut body, read::SCOPE, record.scope);
                scope = Some(record.scope);
            }
            put(&mut body, read::RECORD, record.bytes);
            mentions.extend(&record.mentions);
        }
        mentions.sort_unstable();
        mentions.dedup();
        mentions.retain(|id| Some(*id) != trace_id);
        chunks.push(Chunk { trace_id, kind, body, mentions });
    }
    chunks
}

fn take_note(delivery: &mut Delivery, event: &HopEvent) {
    let (service, time) = (event.service.clone(), event.time);
    let heard = delivery.heard.entry((time.div_euclid(MINUTE), service)).or_insert((time, time));
    *heard = (heard.0.min(time), heard.1.max(time));
    if let Some(reader) = Reader::of(event) {
        match delivery.readers.iter_mut().find(|known| known.is_same(&reader)) {
            Some(known) => known.read_on(reader),
            None => delivery.readers.push(reader),
        }
    }
}

const MINUTE: i64 = 60_000_000_000;

fn linked(link: &[u8]) -> Option<Id> {
    let trace_id = Fields(link).flatten().find_map(|(number, value)| match (number, value) {
        (1, Value::Bytes(id)) => Some(id),
        _ => None,
    });
    read::id(trace_id?)
}

fn text(bytes: &[u8], field: u32) -> String {
    let text = messages(bytes, field).flatten().last();
    String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
}

fn event_name(record: &[u8]) -> String {
    let name = text(record, 12);
    // Before there was a field for it, the name of an event was an attribute.
    let key = b"event.name";
    if name.is_empty() && record.windows(key.len()).any(|window| window == key) {
        return LogRecord::decode(record).map(|log| read::event_name(&log)).unwrap_or_default();
    }
    name
}

fn service(resource: &[u8]) -> String {
    read::service(&Resource::decode(resource).unwrap_or_default())
}

fn wrong_ids(what: &str, name: &str, trace_id: &[u8], span_id: &[u8]) -> String {
    let name: String = name.chars().take(80).collect();
    let shown = |id: &[u8]| read::hex(id.get(..16).unwrap_or(id));
    format!(
        "{what} `{name}` has trace id `{}` ({} bytes) and span id `{}` ({} bytes); a trace id has \
         16 bytes, a span id 8, and neither is all zero",
        shown(trace_id),
        trace_id.len(),
        shown(span_id),
        span_id.len()
    )
}
