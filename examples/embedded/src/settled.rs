//! Whether a trace has come to its end, by drilldown's own word.

use serde_json::Value;

/// The verdicts of what is still on its way, or may be.
const OPEN: [&str; 6] = [
    "PRODUCED_NOT_CONSUMED",
    "BATCH_PENDING",
    "BATCH_BLOCKED",
    "INCONCLUSIVE",
    "UNKNOWN_ID",
    "LOST_BETWEEN_HOPS",
];

/// Tells whether a diagnosis, as drilldown's API gives it, finds nothing that is still on its way.
#[must_use]
pub fn is_settled(diagnosis: &Value) -> bool {
    let is_open = |finding: &Value| {
        let verdict = finding.get("verdict").and_then(Value::as_str).unwrap_or_default();
        OPEN.contains(&verdict)
    };
    let findings = diagnosis.get("findings").and_then(Value::as_array);
    findings.is_some_and(|findings| !findings.is_empty() && !findings.iter().any(is_open))
}
