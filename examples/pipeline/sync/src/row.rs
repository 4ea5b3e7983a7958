//! From a message's payload to a row of the table.

use serde::{Deserialize, Serialize};

/// A row of `shop.user_events`. Amounts stay text: ClickHouse is the one to judge them.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Row {
    event_id: String,
    user_id: String,
    kind: String,
    occurred_at: String,
    amount: Option<String>,
    currency: Option<String>,
    sku: Option<String>,
    country: String,
    segment: String,
}

/// Reads a payload and writes it as a line of `JSONEachRow`.
pub(crate) fn line(payload: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let Some(payload) = payload else { return Err("the message has no payload".to_owned()) };
    let row: Row = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
    if row.occurred_at.parse::<jiff::Timestamp>().is_err() {
        return Err(format!("occurred_at is not a timestamp: {}", row.occurred_at));
    }
    let mut line = serde_json::to_vec(&row).map_err(|error| error.to_string())?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_mapped_says_why() {
        assert!(line(None).is_err());
        assert!(line(Some(b"{")).is_err());
        let payload = br#"{"event_id":"e","user_id":"u","kind":"k","occurred_at":"yesterday",
            "country":"DE","segment":"new"}"#;
        assert_eq!(line(Some(payload)).unwrap_err(), "occurred_at is not a timestamp: yesterday");
    }

    #[test]
    fn absent_values_are_null() {
        let payload = br#"{"event_id":"e","user_id":"u","kind":"k",
            "occurred_at":"2026-01-09T10:30:00.123Z","country":"DE","segment":"new"}"#;
        let text = String::from_utf8(line(Some(payload)).unwrap()).unwrap();
        assert!(text.contains("\"sku\":null") && text.ends_with("}\n"));
    }
}
