//! A diagnosis as text: the verdict, its evidence, and the count of records at every hop.

use std::fmt::Write;

use super::text::{cut, plain};
use crate::query::{diagnose::Diagnosis, ledger::Branch, verdict::Verdict};

fn name(verdict: Verdict) -> String {
    serde_json::to_value(verdict)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default()
}

const COLUMNS: [&str; 8] =
    ["in", "passed", "filtered", "failed", "dead", "pending", "waiting", "unseen"];

/// How many characters the name of a hop has beside its counts; a finding has all of it.
const WIDEST: usize = 80;

/// Writes the hops with their counts; a request has no columns for what lies before it.
fn table(out: &mut String, rows: &[(String, Vec<i64>)]) {
    let width = rows.iter().map(|(hop, _)| hop.chars().count()).max().unwrap_or(0);
    let width = width.clamp(30, WIDEST);
    let _ = write!(out, "  {:width$}", "hop");
    for column in COLUMNS {
        let _ = write!(out, "  {column}");
    }
    out.push('\n');
    for (hop, counts) in rows {
        let _ = write!(out, "  {:width$}", cut(hop, width));
        for (column, count) in COLUMNS.iter().zip(counts) {
            let _ = write!(out, "  {count:>0$}", column.len());
        }
        out.push('\n');
    }
}

/// Tells whether a group owes nothing for the trace's records, as it began to read after them.
fn began_later(branch: &Branch) -> bool {
    branch.before > 0
        && [branch.records_in, branch.waiting, branch.unseen].iter().all(|records| *records == 0)
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
    let mut rows: Vec<(String, Vec<i64>)> = Vec::new();
    for event in &ledger.received {
        let counts = [event.passed, event.filtered, event.failed, event.dead_lettered];
        let counts = [&[event.records_in], &counts[..], &[event.pending()]].concat();
        rows.push((plain(&format!("{} {}", event.service, event.name)), counts));
    }
    let (later, concerned): (Vec<&Branch>, Vec<&Branch>) =
        ledger.branches.iter().partition(|branch| began_later(branch));
    for branch in &concerned {
        let group = match (branch.group.as_str(), branch.service.as_str()) {
            ("", "") => "nobody".to_owned(),
            ("", service) => service.to_owned(),
            // Spans and log lines know services only.
            (group, service) if !service.is_empty() && service != group => {
                format!("{group} ({service})")
            }
            (group, _) => group.to_owned(),
        };
        let fates = [branch.passed, branch.filtered, branch.failed, branch.dead_lettered];
        let open = [branch.pending, branch.waiting, branch.unseen];
        let counts = [&[branch.records_in], &fates[..], &open].concat();
        let hop = match branch.topic.as_str() {
            "" => format!("{group} ({})", branch.kind),
            topic => format!("{group} ← {topic}"),
        };
        rows.push((plain(&hop), counts));
    }
    table(&mut out, &rows);
    for branch in later {
        let who = format!("{} ← {}", branch.group, branch.topic);
        let _ = writeln!(out, "  {} began to read later: not concerned", plain(&who));
    }
    // Where a topic is read by several groups, each of them has a verdict of its own.
    let is_fork = |branch: &&&Branch| {
        concerned.iter().filter(|other| other.topic == branch.topic).count() > 1
    };
    for branch in concerned.iter().filter(is_fork) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::ledger::Ledger;

    fn branch(group: &str, service: &str) -> Branch {
        let (group, service) = (group.to_owned(), service.to_owned());
        let kind = "process".to_owned();
        Branch { topic: "orders".into(), group, service, kind, emitted: 1, ..Branch::default() }
    }

    fn shown(branches: Vec<Branch>) -> String {
        verdict(&Diagnosis {
            id: "order-1".into(),
            trace_id: None,
            verdict: Verdict::Filtered,
            summary: String::new(),
            findings: Vec::new(),
            ledger: Ledger { branches, ..Ledger::default() },
        })
    }

    #[test]
    fn a_group_is_named_with_its_service_where_that_has_another_name() {
        let read = |group, service| Branch { records_in: 1, passed: 1, ..branch(group, service) };
        let text = shown(vec![read("billing-v2", "billing"), read("audit", "audit")]);
        assert!(text.contains("\n  billing-v2 (billing) ← orders "), "{text}");
        assert!(text.contains("\n  audit ← orders "), "{text}");
    }

    #[test]
    fn counts_stand_beside_the_longest_name() {
        let long = Branch { topic: "orders-".repeat(40), ..branch("billing", "billing") };
        let text = shown(vec![long, branch("audit", "audit")]);
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert!(lines[1].contains("orders…   0"), "{text}");
        assert!(lines.iter().all(|line| line.chars().count() <= 150), "{text}");
    }

    #[test]
    fn a_group_that_began_later_has_no_row_of_zeros() {
        let read = Branch { records_in: 1, filtered: 1, ..branch("billing", "billing") };
        let later = Branch { before: 1, ..branch("newcomer", "newcomer") };
        let text = shown(vec![read, later]);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].starts_with("  billing ← orders "), "{text}");
        assert_eq!(lines[1], "  newcomer ← orders began to read later: not concerned");
    }
}
