//! What a body must hold: one JSON object, or an array of them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Ids become keys, span attributes and columns: nobody's is longer than this.
const MAX_ID_BYTES: usize = 256;

/// A record, its text untouched, or why it cannot be taken.
pub(crate) type Checked<'a> = Result<(String, &'a RawValue), String>;

#[derive(Deserialize)]
struct Required<'a> {
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    user_id: Cow<'a, str>,
    #[serde(borrow)]
    occurred_at: Cow<'a, str>,
}

/// Splits a body into records and checks each: its user, which becomes the key, and its text.
pub(crate) fn read(body: &[u8]) -> Result<Vec<Checked<'_>>, String> {
    let whole: &RawValue = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let records: Vec<&RawValue> = match whole.get().as_bytes().first() {
        Some(b'{') => vec![whole],
        Some(b'[') => serde_json::from_str(whole.get()).map_err(|error| error.to_string())?,
        _ => return Err("the body is neither a JSON object nor an array of them".to_owned()),
    };
    if records.is_empty() {
        return Err("the array holds no record".to_owned());
    }
    Ok(records.into_iter().map(check).collect())
}

fn check(record: &RawValue) -> Checked<'_> {
    let required: Required<'_> =
        serde_json::from_str(record.get()).map_err(|error| error.to_string())?;
    for (name, value) in [
        ("event_id", &required.event_id),
        ("type", &required.kind),
        ("user_id", &required.user_id),
        ("occurred_at", &required.occurred_at),
    ] {
        if value.is_empty() {
            return Err(format!("`{name}` is empty"));
        }
        if value.len() > MAX_ID_BYTES {
            let found = value.len();
            return Err(format!("`{name}` may have {MAX_ID_BYTES} bytes, not {found}"));
        }
    }
    Ok((required.user_id.into_owned(), record))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"event_id":"e","type":"t","user_id":"u","occurred_at":"now","x": 1.0}"#;

    #[test]
    fn records_keep_their_text() {
        let records = read(GOOD.as_bytes()).unwrap();
        let (user, text) = records[0].as_ref().unwrap();
        assert_eq!((user.as_str(), text.get()), ("u", GOOD));
    }

    #[test]
    fn each_record_is_judged_alone() {
        let body = format!("[{GOOD}, 7, {{\"event_id\":\"e\"}}]");
        let records = read(body.as_bytes()).unwrap();
        let good: Vec<bool> = records.iter().map(Result::is_ok).collect();
        assert_eq!(good, [true, false, false]);
        assert!(records[2].as_ref().unwrap_err().contains("missing field `type`"));
    }

    #[test]
    fn ids_of_any_length_are_not_taken() {
        for name in ["event_id", "type", "user_id", "occurred_at"] {
            let with = |length: usize| {
                let mut record: serde_json::Value = serde_json::from_str(GOOD).unwrap();
                record[name] = "x".repeat(length).into();
                let text = record.to_string();
                let checked = read(text.as_bytes()).unwrap().remove(0);
                checked.map(drop)
            };
            assert_eq!(with(256), Ok(()));
            assert_eq!(with(257), Err(format!("`{name}` may have 256 bytes, not 257")));
        }
    }

    #[test]
    fn bodies_that_hold_no_record_are_refused() {
        for body in ["", "{", "[]", "7", "null", "\"text\"", "[{]", "{} {}"] {
            let is_refused = read(body.as_bytes()).is_err();
            assert!(is_refused, "{body}");
        }
    }
}
