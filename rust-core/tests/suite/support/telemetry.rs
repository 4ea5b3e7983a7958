//! Recorded telemetry, read back as an OTLP endpoint reads it.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::{LogRecord, ScopeLogs},
    trace::v1::{ScopeSpans, Span},
};
use prost::Message;
use tracebaton::hop::Recorder;

/// Spans and log records; ledger events are among the latter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Telemetry {
    pub(crate) spans: Vec<Span>,
    pub(crate) logs: Vec<LogRecord>,
}

impl Telemetry {
    /// Takes all that a recorder holds.
    pub(crate) fn of(recorder: &Recorder) -> Self {
        let mut all = Self::default();
        loop {
            let taken = recorder.take();
            if taken.is_empty() {
                return all;
            }
            recorder.settle(taken.spans.len() + taken.logs.len());
            all.spans.extend(ScopeSpans::decode(taken.spans.as_slice()).unwrap().spans);
            all.logs.extend(ScopeLogs::decode(taken.logs.as_slice()).unwrap().log_records);
        }
    }

    /// Returns the ledger events of a kind of hop.
    pub(crate) fn ledger(&self, kind: &str) -> Vec<BTreeMap<String, String>> {
        let events = self.logs.iter().filter(|log| log.event_name == "tracebaton.hop");
        let events = events.map(|log| attributes(&log.attributes));
        events.filter(|event| event["tracebaton.hop.kind"] == kind).collect()
    }

    /// Returns the span of that name.
    pub(crate) fn span(&self, name: &str) -> &Span {
        let named: Vec<_> = self.spans.iter().filter(|span| span.name == name).collect();
        match named[..] {
            [only] => only,
            _ => panic!("{} spans are named {name}: {:#?}", named.len(), self.spans),
        }
    }
}

/// Returns a recorder that keeps what it is given.
pub(crate) fn recorder() -> Recorder {
    let recorder = Recorder::new();
    recorder.switch(true);
    recorder
}

/// Returns attributes as text.
pub(crate) fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    pairs.iter().map(|pair| (pair.key.clone(), text(pair.value.as_ref()))).collect()
}

pub(crate) fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::BytesValue(bytes)) => format!("{} bytes", bytes.len()),
        other => format!("{other:?}"),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
