//! OpenTelemetry's own member of `tracestate`: `ot=th:…;rv:…`.

use super::{BITS, NEVER};
use crate::wire::TraceState;

const KEY: &str = "ot";
const DIGITS: usize = (BITS / 4) as usize;
/// The threshold's significant digits.
const PRECISION: u32 = 4;

/// What sampling knows of a trace, and the fields that belong to others.
pub(super) struct OtEntry {
    /// Explicit randomness.
    pub(super) randomness: Option<u64>,
    /// Traces whose randomness is below it are not sampled.
    pub(super) threshold: Option<u64>,
    others: String,
}

impl OtEntry {
    /// Reads the member; fields that break the grammar are left out.
    pub(super) fn of(state: &TraceState) -> Self {
        let mut entry = Self { randomness: None, threshold: None, others: String::new() };
        let fields = state.get(KEY).into_iter().flat_map(|text| text.split(';'));
        for field in fields.filter(|field| !field.is_empty()) {
            match field.split_once(':') {
                Some(("rv", digits)) if digits.len() == DIGITS => entry.randomness = hex(digits),
                Some(("rv" | "th", _)) => {}
                _ => {
                    entry.others.push(';');
                    entry.others.push_str(field);
                }
            }
        }
        entry
    }

    /// Returns the state with this member first, where it is not as it was.
    pub(super) fn put_into(&self, state: &TraceState) -> TraceState {
        if state.is_empty() && self.randomness.is_none() && self.threshold.is_none() {
            return TraceState::default();
        }
        let mut own = String::new();
        if let Some(randomness) = self.randomness {
            own.push_str(&format!(";rv:{randomness:014x}"));
        }
        if let Some(threshold) = self.threshold {
            let digits = format!("{threshold:014x}");
            let digits = digits.trim_end_matches('0');
            own.push_str(";th:");
            own.push_str(if digits.is_empty() { "0" } else { digits });
        }
        let all = format!("{own}{}", self.others);
        let value = all.strip_prefix(';').unwrap_or_default();
        if value == state.get(KEY).unwrap_or_default() {
            return state.clone();
        }
        if value.is_empty() {
            return state.without(KEY);
        }
        // The others' fields give way where there is no room for all.
        let shorter = || state.with(KEY, own.strip_prefix(';').unwrap_or_default());
        state.with(KEY, value).or_else(|_| shorter()).unwrap_or_else(|_| state.clone())
    }
}

/// Reads lower-case hexadecimal digits.
fn hex(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

/// Rounds a threshold to four digits after its leading `f`s, which say nothing of a share that is
/// small.
pub(super) fn rounded(threshold: u64) -> u64 {
    if threshold >= NEVER {
        return NEVER;
    }
    let leading = (!(threshold << (64 - BITS))).leading_zeros() / 4;
    let Some(spare) = (BITS / 4).checked_sub(leading + PRECISION) else { return threshold };
    let unit = 1u64 << (4 * spare);
    (threshold + unit / 2) / unit * unit
}
