//! From a message's payload to a row of the table.

use jiff::{Timestamp, fmt::temporal::Pieces};
use serde::{Deserialize, Serialize};

/// The seconds that a `DateTime64` holds: from 1900 to before 2300.
const FIRST: i64 = -2_208_988_800;
const END: i64 = 10_413_792_000;

/// A row of `shop.user_events`.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Row {
    event_id: String,
    user_id: String,
    kind: String,
    occurred_at: String,
    amount: Option<Amount>,
    currency: Option<String>,
    sku: Option<String>,
    country: String,
    segment: String,
}

/// An amount as it came. A number with a fraction is not taken: it may have lost digits before.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged, expecting = "amount is neither a text nor a whole number")]
enum Amount {
    Text(String),
    Whole(i64),
}

/// Reads a payload and writes it as a line of `JSONEachRow`.
///
/// ClickHouse reads some texts as what they do not say: `""` and `"-"` as 0, `"12.345"` as 12.34,
/// an offset of 25 hours, a date before 1900. What would be altered is refused here; whether a
/// number has too many digits is left to ClickHouse, which says so.
///
/// # Errors
///
/// Says why there is no row in the payload.
pub(crate) fn line(payload: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let Some(payload) = payload else { return Err("the message has no payload".to_owned()) };
    let mut row: Row = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
    if let Some(Amount::Text(text)) = &row.amount
        && !is_decimal(text)
    {
        let text = shown(text);
        return Err(format!("amount is not a decimal with at most two places: {text}"));
    }
    row.occurred_at = moment(&row.occurred_at).map_err(|why| {
        format!("occurred_at is not a timestamp, {why}: {}", shown(&row.occurred_at))
    })?;
    let mut line = serde_json::to_vec(&row).map_err(|error| error.to_string())?;
    line.push(b'\n');
    Ok(line)
}

/// Tells whether a text is `-?digits`, with at most two more digits behind a point.
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, places) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let are_digits =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    are_digits(whole) && are_digits(places) && places.len() <= 2
}

/// Writes a moment in UTC and in milliseconds, which is what the column holds.
fn moment(text: &str) -> Result<String, &'static str> {
    let moment: Timestamp = text.parse().map_err(|_| "as RFC 3339 has it")?;
    let offset = Pieces::parse(text).ok().and_then(|pieces| pieces.to_numeric_offset());
    // RFC 3339, 5.6: a numeric offset has hours from 00 to 23; jiff takes more.
    if offset.is_none_or(|offset| offset.seconds().abs() >= 24 * 60 * 60) {
        return Err("its offset is a day or more");
    }
    if !(FIRST..END).contains(&moment.as_second()) {
        return Err("its year is not from 1900 to 2299");
    }
    Ok(format!("{moment:.3}"))
}

/// Shows a value that came from a stranger: quoted, and not all of it.
fn shown(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{:?} and more", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_mapped_says_why() {
        assert!(line(None).is_err());
        assert!(line(Some(b"{")).is_err());
        assert!(line(Some(b"{}")).unwrap_err().contains("event_id"));
        let error = mapped("\"occurred_at\":\"yesterday\"").unwrap_err();
        assert_eq!(error, "occurred_at is not a timestamp, as RFC 3339 has it: \"yesterday\"");
    }

    /// Maps an event with one more field.
    fn mapped(field: &str) -> Result<serde_json::Value, String> {
        let moment = if field.contains("occurred_at") {
            ""
        } else {
            "\"occurred_at\":\"2026-01-09T10:30:00Z\","
        };
        let rest = r#""event_id":"e","user_id":"u","kind":"k","country":"DE","segment":"new""#;
        let line = line(Some(format!("{{{rest},{moment}{field}}}").as_bytes()))?;
        Ok(serde_json::from_slice(&line).unwrap())
    }

    #[test]
    fn amounts_are_written_as_they_came_or_refused() {
        for amount in
            ["\"0\"", "\"-12.3\"", "\"12.34\"", "\"99999999999999.99\"", "7", "-7", "null"]
        {
            let row = mapped(&format!("\"amount\":{amount}")).unwrap();
            assert_eq!(row["amount"].to_string(), amount);
        }
        for amount in [
            "",
            "-",
            "12.345",
            "9999999999.999",
            "1.",
            ".5",
            "+1",
            "1e3",
            " 1",
            "1 ",
            "--1",
            "1,50",
            "١",
        ] {
            let error = mapped(&format!("\"amount\":\"{amount}\"")).unwrap_err();
            assert_eq!(
                error,
                format!("amount is not a decimal with at most two places: {amount:?}")
            );
        }
        for amount in ["1.5", "true", "[]", "99999999999999999999"] {
            let error = mapped(&format!("\"amount\":{amount}")).unwrap_err();
            assert!(error.contains("amount is neither a text nor a whole number"), "{error}");
        }
        let long = mapped(&format!("\"amount\":\"{}\"", "x".repeat(9999))).unwrap_err();
        assert!(long.len() < 120, "{long}");
    }

    #[test]
    fn moments_are_written_in_utc_or_refused() {
        for (text, utc) in [
            ("2026-01-09T10:30:00Z", "2026-01-09T10:30:00.000Z"),
            ("2026-01-09T10:30:00.123456+05:30", "2026-01-09T05:00:00.123Z"),
            ("2026-01-09T10:30:00-23:59", "2026-01-10T10:29:00.000Z"),
        ] {
            let row = mapped(&format!("\"occurred_at\":\"{text}\"")).unwrap();
            assert_eq!(row["occurred_at"], utc);
        }
        for (text, why) in [
            ("", "RFC 3339"),
            ("2026-01-09", "RFC 3339"),
            ("2026-01-09T10:30:00", "RFC 3339"),
            ("2026-02-30T10:30:00Z", "RFC 3339"),
            ("2026-01-09T10:30:00+26:00", "RFC 3339"),
            ("1767954600", "RFC 3339"),
            ("2026-01-09T10:30:00+25:00", "offset"),
            ("2026-01-09T10:30:00+24:00", "offset"),
            ("1899-12-31T23:59:59Z", "year"),
            ("2300-01-01T00:00:00Z", "year"),
        ] {
            let error = mapped(&format!("\"occurred_at\":\"{text}\"")).unwrap_err();
            assert!(error.starts_with("occurred_at is") && error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn absent_values_are_null() {
        let payload = br#"{"event_id":"e","user_id":"u","kind":"k",
            "occurred_at":"2026-01-09T10:30:00.123Z","country":"DE","segment":"new"}"#;
        let text = String::from_utf8(line(Some(payload)).unwrap()).unwrap();
        assert!(text.contains("\"sku\":null") && text.ends_with("}\n"));
    }
}
