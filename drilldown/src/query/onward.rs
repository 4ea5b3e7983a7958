//! What became of records that were handled together: a poll batch has a trace of its own, and what
//! was made of the whole batch is in that one.

use std::collections::BTreeSet;

use super::{
    diagnose::{Finding, of_trace},
    findings::name,
    ledger::Branch,
};
use crate::{
    model::Id,
    store::{Error, Store},
};

/// One trace leads to others, and those on; more than these are not gone through.
const MAX_TRACES: usize = 32;

/// Finds what became of what the batches of a branch made, and keeps those of which something is known.
pub(super) fn of_branch(
    store: &dyn Store,
    branch: &mut Branch,
    clock: &impl Fn() -> i64,
    seen: &mut BTreeSet<Id>,
) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    let hop = name(branch);
    let mut known = Vec::new();
    for trace_id in std::mem::take(&mut branch.continues_in) {
        let Some(id) = Id::parse(&trace_id).filter(|_| seen.len() < MAX_TRACES) else { continue };
        if !seen.insert(id) {
            continue;
        }
        let Some(batch) = of_trace(store, id, clock, seen)? else { continue };
        let is_sent = batch.ledger.branches.iter().any(|branch| branch.emitted > 0);
        if is_sent || !batch.ledger.undelivered.is_empty() {
            let evidence = format!("went on in a batch, trace {trace_id}: {}", batch.summary);
            findings.push(Finding { verdict: batch.verdict, hop: hop.clone(), evidence });
            known.push(trace_id);
        }
    }
    branch.continues_in = known;
    Ok(findings)
}
