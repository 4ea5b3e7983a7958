//! What all text for a terminal has in common.

use std::fmt::Write;

use serde::Serialize;

use crate::query::logs::Said;

/// Returns the width to fill: `COLUMNS`, or 100.
pub(crate) fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    columns.unwrap_or(100).clamp(60, 400)
}

/// Tells what a terminal would act upon: control characters (C0, DEL, C1), separators of lines, and
/// marks that turn the direction of writing.
fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Takes out what a terminal would act upon, as telemetry comes from anybody; what breaks a line, or
/// leaps in one, becomes a space.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_broken = false;
    for char in text.chars() {
        if char.is_whitespace() && is_unsafe(char) {
            is_broken = true;
        } else if !is_unsafe(char) {
            if is_broken && !out.is_empty() && !out.ends_with(' ') && char != ' ' {
                out.push(' ');
            }
            is_broken = false;
            out.push(char);
        }
    }
    out
}

/// Writes JSON for people and programs: the same values, with everything escaped that a terminal
/// would act upon. Outside of strings JSON has no such characters but its own line breaks.
pub(crate) fn json(value: &impl Serialize) -> serde_json::Result<String> {
    let mut out = String::new();
    for char in serde_json::to_string_pretty(value)?.chars() {
        if is_unsafe(char) && char != '\n' {
            let _ = write!(out, "\\u{:04x}", u32::from(char));
        } else {
            out.push(char);
        }
    }
    out.push('\n');
    Ok(out)
}

/// Cuts a text to `width` characters.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let start: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{start}…")
}

/// Writes nanoseconds in the unit that reads best.
pub(super) fn duration(nanos: i64) -> String {
    let nanos = nanos.max(0) as f64;
    match nanos {
        ..1e3 => format!("{nanos:.0} ns"),
        ..1e6 => format!("{:.0} µs", nanos / 1e3),
        ..1e9 => format!("{:.1} ms", nanos / 1e6),
        _ => format!("{:.2} s", nanos / 1e9),
    }
}

/// Writes a moment as date and time of day in UTC, to the millisecond.
fn moment(nanos: i64) -> String {
    let (millis, day) = (nanos.div_euclid(1_000_000), 86_400_000);
    let (days, millis) = (millis.div_euclid(day), millis.rem_euclid(day));
    // Days since 1970 to a date, counted in eras of 400 years that begin on 1 March, so that the
    // leap day is the last of its year.
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let date = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Writes log lines, one each.
pub(crate) fn logs(lines: &[Said]) -> String {
    let mut out = String::new();
    let services = lines.iter().map(|said| said.line.service.chars().count()).max().unwrap_or(0);
    for Said { line, batch_records } in lines {
        let _ = write!(
            out,
            "{} {:5} {:services$}  {}{}",
            moment(line.time),
            line.level,
            plain(&line.service),
            batch_records.map_or(String::new(), |records| format!("⇢ batch of {records}: ")),
            plain(&line.message)
        );
        for (key, value) in &line.attributes {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let _ = write!(out, " {}={}", plain(key), plain(&value));
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates_in_utc() {
        let day = 86_400_000_000_000;
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_767_960_000_123_000_000, "2026-01-09T12:00:00.123Z"),
            (1_709_164_800_000_000_000, "2024-02-29T00:00:00.000Z"),
            (1_709_164_800_000_000_000 + day, "2024-03-01T00:00:00.000Z"),
            (4_107_456_000_000_000_000, "2100-02-28T00:00:00.000Z"),
            (4_107_456_000_000_000_000 + day, "2100-03-01T00:00:00.000Z"),
            (-1_000_000, "1969-12-31T23:59:59.999Z"),
            (i64::MAX, "2262-04-11T23:47:16.854Z"),
        ] {
            assert_eq!(moment(nanos), text);
        }
    }

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_act_upon() {
        assert_eq!(plain("a\x1b[2J\u{9b}1m\u{202e}b\r\n"), "a[2J1mb");
        assert_eq!(plain("\ncode: 27,\r\n\tat row 1\u{2028}end"), "code: 27, at row 1 end");
        let escaped = json(&"a\x1b\u{9b}\u{202e}\u{2028}\u{7f}ü").unwrap();
        assert_eq!(escaped, "\"a\\u001b\\u009b\\u202e\\u2028\\u007fü\"\n");
        let back: String = serde_json::from_str(&escaped).unwrap();
        assert_eq!(back, "a\x1b\u{9b}\u{202e}\u{2028}\u{7f}ü");
    }
}
