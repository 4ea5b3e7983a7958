//! What all text for a terminal has in common.

use std::fmt::Write;

use crate::model::LogLine;

/// Returns the width to fill: `COLUMNS`, or 100.
pub(crate) fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    columns.unwrap_or(100).clamp(60, 400)
}

/// Replaces what a terminal would act upon: control characters and marks that turn the direction of
/// writing. Telemetry comes from anybody.
pub(super) fn plain(text: &str) -> String {
    let is_unsafe = |char: char| {
        char.is_control()
            || matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|char| if is_unsafe(char) { '�' } else { char }).collect()
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

/// Writes log lines, one each.
pub(crate) fn logs(lines: &[LogLine]) -> String {
    let mut out = String::new();
    let services = lines.iter().map(|line| line.service.chars().count()).max().unwrap_or(0);
    for line in lines {
        let seconds = line.time / 1_000_000_000;
        let clock = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let millis = line.time / 1_000_000 % 1000;
        let _ = write!(
            out,
            "{:02}:{:02}:{:02}.{millis:03} {:5} {:services$}  {}",
            clock.0,
            clock.1,
            clock.2,
            line.level,
            plain(&line.service),
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
