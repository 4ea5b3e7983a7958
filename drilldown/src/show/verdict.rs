//! A diagnosis as text: the verdict, its evidence, and the count of records at every hop.

use std::fmt::Write;

use super::text::plain;
use crate::query::{diagnose::Diagnosis, ledger::Branch, verdict::Verdict};

fn name(verdict: Verdict) -> String {
    serde_json::to_value(verdict)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Writes a diagnosis.
pub(crate) fn verdict(diagnosis: &Diagnosis) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}  {}", name(diagnosis.verdict), plain(&diagnosis.id));
    if let Some(trace_id) = diagnosis.trace_id.as_ref().filter(|id| **id != diagnosis.id) {
        let _ = writeln!(out, "  trace {}", plain(trace_id));
    }
    for finding in &diagnosis.findings {
        let hop = if finding.hop.is_empty() { String::new() } else { format!("{}: ", finding.hop) };
        let _ = writeln!(
            out,
            "  {:21} {}",
            name(finding.verdict),
            plain(&format!("{hop}{}", finding.evidence))
        );
    }
    let ledger = &diagnosis.ledger;
    if ledger.received.is_empty() && ledger.branches.is_empty() {
        return out;
    }
    let _ = writeln!(
        out,
        "  {:34} {:>5} {:>6} {:>8} {:>6} {:>6} {:>7} {:>7} {:>6}",
        "hop", "in", "passed", "filtered", "failed", "dead", "pending", "waiting", "unseen"
    );
    for event in &ledger.received {
        let _ = writeln!(
            out,
            "  {:34} {:>5} {:>6} {:>8} {:>6} {:>6} {:>7}",
            plain(&format!("{} {}", event.service, event.name)),
            event.records_in,
            event.passed,
            event.filtered,
            event.failed,
            event.dead_lettered,
            event.pending()
        );
    }
    for branch in &ledger.branches {
        let group = match (branch.group.as_str(), branch.service.as_str()) {
            ("", "") => "nobody",
            ("", service) => service,
            (group, _) => group,
        };
        let _ = writeln!(
            out,
            "  {:34} {:>5} {:>6} {:>8} {:>6} {:>6} {:>7} {:>7} {:>6}",
            plain(&format!("{group} ← {}", branch.topic)),
            branch.records_in,
            branch.passed,
            branch.filtered,
            branch.failed,
            branch.dead_lettered,
            branch.pending,
            branch.waiting,
            branch.unseen
        );
    }
    // Where a topic is read by several groups, each of them has a verdict of its own.
    let is_fork = |branch: &&Branch| {
        ledger.branches.iter().filter(|other| other.topic == branch.topic).count() > 1
    };
    for branch in ledger.branches.iter().filter(is_fork) {
        let verdict = branch.verdict.map(name).unwrap_or_default();
        let _ = writeln!(
            out,
            "  {verdict:21} {}",
            plain(&format!("{} ← {}", branch.group, branch.topic))
        );
    }
    for (topic, count) in &ledger.dead_letters {
        let _ = writeln!(out, "  {count} in {}", plain(topic));
    }
    out
}
