//! How much time lies between two moments, for a person.

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Writes nanoseconds in whole units, the largest of which there are two at least.
pub(super) fn elapsed(nanos: i64) -> String {
    match nanos.max(0) {
        nanos if nanos < 2 * MINUTE => format!("{} s", nanos / SECOND),
        nanos if nanos < 2 * HOUR => format!("{} min", nanos / MINUTE),
        nanos if nanos < 2 * DAY => format!("{} h", nanos / HOUR),
        nanos => format!("{} days", nanos / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_fits_the_time() {
        for (nanos, text) in [
            (-SECOND, "0 s"),
            (2 * MINUTE - 1, "119 s"),
            (2 * MINUTE, "2 min"),
            (2 * HOUR - 1, "119 min"),
            (2 * HOUR, "2 h"),
            (2 * DAY - 1, "47 h"),
            (27_000_000 * SECOND, "312 days"),
            (i64::MAX, "106751 days"),
        ] {
            assert_eq!(elapsed(nanos), text);
        }
    }
}
