//! A moment as text.

use std::cell::RefCell;

use super::json::push_ascii;

/// The length of a text up to its seconds: `2024-02-29T12:34:56`.
const SECONDS: usize = 19;

thread_local! {
    /// The second that this thread wrote last, and its text: lines come many to the second.
    static LAST: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

/// Appends nanoseconds since 1970 as RFC 3339 in UTC, to the microsecond.
pub(super) fn write(nanos: u64, out: &mut String) {
    let (seconds, micros) = (nanos / 1_000_000_000, nanos % 1_000_000_000 / 1_000);
    let known = LAST.try_with(|last| {
        let (known, text) = &mut *last.borrow_mut();
        if *known != seconds {
            *known = seconds;
            text.clear();
            push_ascii(&of_seconds(seconds), text);
        }
        out.push_str(text);
    });
    if known.is_err() {
        // A thread that is ending remembers nothing.
        push_ascii(&of_seconds(seconds), out);
    }
    let mut fraction = *b".000000Z";
    digits(micros, &mut fraction[1..7]);
    push_ascii(&fraction, out);
}

fn of_seconds(seconds: u64) -> [u8; SECONDS] {
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
    let mut text = *b"0000-00-00T00:00:00";
    digits(year, &mut text[..4]);
    digits(month, &mut text[5..7]);
    digits(day, &mut text[8..10]);
    digits(hour, &mut text[11..13]);
    digits(minute, &mut text[14..16]);
    digits(second, &mut text[17..]);
    text
}

/// Writes the last digits of a number, as many as there are places.
#[inline]
fn digits(mut number: u64, places: &mut [u8]) {
    for place in places.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn timestamps_are_rfc_3339() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_709_210_096_123_456_789, "2024-02-29T12:34:56.123456Z"),
            (1_709_210_096_999_999_999, "2024-02-29T12:34:56.999999Z"),
            (4_102_444_799_000_000_000, "2099-12-31T23:59:59.000000Z"),
        ] {
            let mut out = String::new();
            super::write(nanos, &mut out);
            assert_eq!(out, text);
        }
    }
}
