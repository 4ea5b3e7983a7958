//! What the sample's events should become, told independently of the services.

use std::path::Path;

use serde_json::Value;

/// Where an event should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As that many rows.
    Rows(u64),
    /// Left out on purpose.
    Filtered,
    /// Refused by `ingest`.
    Refused,
    /// In the dead letters of this topic.
    DeadLetters(&'static str),
}

/// An event of the sample.
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) json: Value,
    pub(crate) end: End,
}

/// Reads the sample.
pub(crate) fn sample() -> Vec<Event> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/demo/events.jsonl");
    let text = std::fs::read_to_string(path).expect("the sample is there");
    text.lines()
        .map(|line| judge(serde_json::from_str(line).expect("the sample is JSON")))
        .collect()
}

fn judge(json: Value) -> Event {
    let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = text("type");
    let items = json.get("items").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    let end =
        if ["event_id", "type", "user_id", "occurred_at"].iter().any(|key| text(key).is_empty()) {
            End::Refused
        } else if kind == "heartbeat" {
            End::Filtered
        } else if text("currency") == "XXX" {
            End::DeadLetters("shop_events.dlq")
        } else if text("occurred_at") == "yesterday" || text("amount").len() > 12 {
            End::DeadLetters("enriched_events.dlq")
        } else {
            End::Rows(1 + if kind == "order_placed" { items } else { 0 })
        };
    Event { id: text("event_id"), json, end }
}
