//! Moments as the text that log lines have.

use std::{cell::Cell, str};

/// A second as text, with zeros where the microseconds go.
type Text = [u8; 27];

thread_local! {
    /// The second that this thread wrote last: most lines are of the same.
    static LAST: Cell<(u64, Text)> = Cell::new((0, of_second(0)));
}

/// Appends nanoseconds since 1970 as RFC 3339 in UTC, to the microsecond.
pub(super) fn write(nanos: u64, out: &mut String) {
    let seconds = nanos / 1_000_000_000;
    // A thread that is ending remembers nothing.
    let last = LAST.try_with(Cell::get).ok().filter(|(known, _)| *known == seconds);
    let mut text = last.map_or_else(|| remember(seconds), |(_, text)| text);
    let micros = nanos % 1_000_000_000 / 1_000;
    if let Some(place) = text.get_mut(20..26) {
        put(place, micros);
    }
    out.push_str(str::from_utf8(&text).unwrap_or_default());
}

#[cold]
fn remember(seconds: u64) -> Text {
    let text = of_second(seconds);
    let _ = LAST.try_with(|last| last.set((seconds, text)));
    text
}

fn of_second(seconds: u64) -> Text {
    // Days to a civil date: the year starts in March, so that the leap day comes last.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    for (number, place) in [
        (year, 0..4),
        (month, 5..7),
        (day, 8..10),
        (hour, 11..13),
        (minute, 14..16),
        (second, 17..19),
    ] {
        if let Some(place) = text.get_mut(place) {
            put(place, number);
        }
    }
    text
}

/// Writes the last digits of a number, as many as there is room for.
fn put(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_rfc_3339() {
        let text = |nanos| {
            let mut out = String::new();
            write(nanos, &mut out);
            out
        };
        for _ in 0..2 {
            assert_eq!(text(0), "1970-01-01T00:00:00.000000Z");
            assert_eq!(text(1_709_210_096_123_456_789), "2024-02-29T12:34:56.123456Z");
            assert_eq!(text(1_709_210_096_000_001_000), "2024-02-29T12:34:56.000001Z");
            assert_eq!(text(4_102_444_799_000_000_000), "2099-12-31T23:59:59.000000Z");
        }
    }
}
