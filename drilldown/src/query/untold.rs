//! What no hop has told, and where that leaves a hole.

use std::collections::BTreeMap;

use super::{
    diagnose::Finding,
    findings::name,
    ledger::{Branch, Ledger},
    verdict::Verdict,
};

/// Counts, by topic, the records that were read and that no hop has told to have sent. Where the trace
/// begins with records, whoever sent those tells nothing at all, and they say nothing of others.
pub(super) fn unsent(ledger: &Ledger) -> BTreeMap<String, i64> {
    let first =
        ledger.branches.first().filter(|first| ledger.received.is_empty() && first.emitted == 0);
    let entrance = first.map(|first| first.topic.as_str());
    let mut unsent = BTreeMap::new();
    for branch in ledger.branches.iter().filter(|branch| Some(branch.topic.as_str()) != entrance) {
        let beyond = branch.records_in - (branch.emitted - branch.astray);
        if beyond > 0 {
            let more: &mut i64 = unsent.entry(branch.topic.clone()).or_default();
            *more = beyond.max(*more);
        }
    }
    unsent
}

/// Picks the records without a `send` that this branch may have sent: of topics beyond its own, to
/// which no other branch sends.
pub(super) fn beyond<'u>(
    branch: &Branch,
    unsent: &'u BTreeMap<String, i64>,
    ledger: &Ledger,
) -> BTreeMap<&'u str, i64> {
    let is_others = |topic: &String| {
        let others = ledger.branches.iter().filter(|other| other.topic != branch.topic);
        others.flat_map(|other| &other.sends_to).any(|sent| sent == topic)
    };
    let own = unsent.iter().filter(|(topic, _)| **topic != branch.topic && !is_others(topic));
    own.map(|(topic, records)| (topic.as_str(), *records)).collect()
}

/// Names what no hop has told: outputs that nobody saw again, records that end without a word.
pub(super) fn untold(ledger: &Ledger, findings: &[Finding]) -> Vec<Finding> {
    let mut missing = Vec::new();
    let mut found = |hop: String, evidence: String| {
        missing.push(Finding { verdict: Verdict::Inconclusive, hop, evidence });
    };
    // What was read of a topic without a `send` is where the unconfirmed outputs went.
    let unsent = unsent(ledger);
    let arrived: i64 = unsent.values().sum();
    let of_request = |ledger: &Ledger| {
        ledger.received.first().map(|event| format!("{} {}", event.service, event.name))
    };
    let unconfirmed = ledger.branches.iter().map(|branch| (name(branch), branch.unconfirmed));
    let requests = (of_request(ledger).unwrap_or_default(), ledger.unconfirmed);
    let unconfirmed: Vec<(String, i64)> =
        std::iter::once(requests).chain(unconfirmed).filter(|(_, outputs)| *outputs > 0).collect();
    let outputs: i64 = unconfirmed.iter().map(|(_, outputs)| outputs).sum();
    if outputs > arrived {
        for (hop, outputs) in unconfirmed {
            found(
                hop,
                format!("{outputs} sent on; no `send` event tells whether they were delivered"),
            );
        }
    }
    let is_inserted = findings.iter().any(|finding| finding.verdict == Verdict::Inserted);
    let ends = ledger.branches.iter().filter(|branch| {
        let is_open = branch.sends_to.is_empty() && branch.continues_in.is_empty();
        branch.kind != "insert" && is_open && branch.unconfirmed == 0
    });
    for branch in ends.filter(|branch| branch.passed > 0 && !is_inserted) {
        let unknown = match branch.has_unconfirmed {
            true => ", outputs unconfirmed: no `send` event tells whether they were delivered",
            false => ", and no `send` or `insert` event tells what became of them after that",
        };
        found(name(branch), format!("{} passed{unknown}", branch.passed));
    }
    if findings.is_empty() && missing.is_empty() {
        missing.push(nothing_more(ledger, of_request(ledger).unwrap_or_default()));
    }
    missing
}

/// Says at which hop the evidence ends.
fn nothing_more(ledger: &Ledger, request: String) -> Finding {
    let told = ledger.branches.iter().rfind(|branch| branch.passed > 0);
    let (hop, evidence) = match told {
        Some(branch) => {
            let evidence = format!(
                "{} passed, outputs unconfirmed: no event tells where they went",
                branch.passed
            );
            (name(branch), evidence)
        }
        None if ledger.branches.iter().any(|branch| branch.records_in > 0) => {
            (request, "no event tells what became of the records in the end".to_owned())
        }
        None => {
            let evidence = "no hop after the request has told what it did: no `send`, `process` \
                or `insert` event has this trace";
            (request, evidence.to_owned())
        }
    };
    Finding { verdict: Verdict::Inconclusive, hop, evidence }
}
