//! The diagnosis: which hop lost the record, and on what evidence.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    absent,
    batches::Batches,
    excess, findings, id,
    ledger::{self, Branch, Ledger},
    onward::Onward,
    silent, untold,
    verdict::Verdict,
};
use crate::{
    model::Id,
    store::{Error, Store},
};

/// A verdict with its evidence.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Diagnosis {
    pub(crate) id: String,
    pub(crate) trace_id: Option<String>,
    pub(crate) verdict: Verdict,
    /// The verdict in one sentence.
    pub(crate) summary: String,
    /// Every finding, the worst first.
    pub(crate) findings: Vec<Finding>,
    pub(crate) ledger: Ledger,
}

/// One thing that was found at one hop.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    pub(crate) hop: String,
    pub(crate) evidence: String,
}

/// Decides what became of a trace, as far as is known; `clock` tells nanoseconds since 1970.
pub(crate) fn diagnose(
    store: &dyn Store,
    text: &str,
    clock: impl Fn() -> i64,
) -> Result<Diagnosis, Error> {
    let id = match id::resolve(text) {
        Ok(id) => id::find(store, text, id)?,
        Err(_) => return Ok(absent::malformed(text)),
    };
    // What became of an insert is in its own event: it leads nowhere.
    let batches = Batches::follow(store, id, |event| event.kind != "insert")?;
    match of_trace(store, id, &clock, &mut Onward::new(id, &batches))? {
        Some(diagnosis) => Ok(Diagnosis { id: text.to_owned(), ..diagnosis }),
        None => absent::explain(store, text, id, clock()),
    }
}

/// Diagnoses a trace of which there is a ledger.
pub(super) fn of_trace(
    store: &dyn Store,
    id: Id,
    clock: &impl Fn() -> i64,
    onward: &mut Onward<'_>,
) -> Result<Option<Diagnosis>, Error> {
    let Some(events) = onward.batches.events(id) else { return Ok(None) };
    let mut ledger = ledger::read(store, id, events, onward.others(id), clock)?;
    let now = clock();
    if ledger.received.is_empty() && ledger.branches.is_empty() && ledger.undelivered.is_empty() {
        return Ok(None);
    }
    let mut dropped: BTreeMap<String, i64> = BTreeMap::new();
    for row in store.dropped(ledger.first_heard)?.into_iter().filter(|row| row.ledger > 0) {
        *dropped.entry(row.service).or_default() += row.ledger;
    }
    let mut findings = findings::of_requests(&ledger);
    let unsent = untold::unsent(&ledger);
    let silent = silent::of_trace(onward.batches, id);
    let of_branch = |branch| {
        let beyond = untold::beyond(branch, &unsent, &ledger);
        findings::of_branch(branch, now, &dropped, &beyond, &silent::of_branch(&silent, branch))
    };
    let mut of_branches: Vec<Vec<Finding>> = ledger.branches.iter().map(of_branch).collect();
    for (findings, branch) in of_branches.iter_mut().zip(&mut ledger.branches) {
        findings.extend(onward.of_branch(store, branch, clock)?);
        findings.extend(onward.of_silent(store, branch, &silent, clock)?);
    }
    for (findings, branch) in of_branches.iter_mut().zip(&ledger.branches) {
        findings.extend(excess::of_branch(branch, &ledger, now, &dropped));
    }
    settle(&mut ledger.branches, &of_branches);
    findings.extend(of_branches.into_iter().flatten());
    findings.extend(untold::untold(&ledger, &findings));
    findings.sort_by_key(|finding| finding.verdict);
    let (verdict, summary) = match findings.first() {
        Some(worst) => (worst.verdict, format!("{}: {}", worst.hop, worst.evidence)),
        None => (Verdict::Inconclusive, String::new()),
    };
    let (id, trace_id) = (id.to_string(), Some(id.to_string()));
    Ok(Some(Diagnosis { id, trace_id, verdict, summary, findings, ledger }))
}

/// Gives each branch the worst of what was found at it and on the way from it on.
fn settle(branches: &mut [Branch], findings: &[Vec<Finding>]) {
    let mut senders: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, branch) in branches.iter().enumerate() {
        for topic in &branch.sends_to {
            senders.entry(topic).or_default().push(at);
        }
    }
    let own = findings.iter().map(|findings| findings.iter().map(|found| found.verdict).min());
    let mut worst: Vec<(Verdict, usize)> =
        own.zip(0..).filter_map(|(verdict, at)| Some((verdict?, at))).collect();
    worst.sort_unstable();
    // The worst goes first, up the way its records came: who has a verdict has none that is better.
    let mut verdicts: BTreeMap<usize, Verdict> = BTreeMap::new();
    for (verdict, at) in worst {
        let mut open = vec![at];
        while let Some(next) = open.pop() {
            let Some(branch) = branches.get(next).filter(|_| !verdicts.contains_key(&next)) else {
                continue;
            };
            verdicts.insert(next, verdict);
            open.extend(senders.get(branch.topic.as_str()).into_iter().flatten());
        }
    }
    for (at, branch) in branches.iter_mut().enumerate() {
        branch.verdict = verdicts.get(&at).copied();
    }
}
