//! What became of records that were handled together: a poll batch has a trace of its own, and what
//! was made of the whole batch is in that one.

use std::collections::{BTreeMap, btree_map::Entry};

use super::{
    batches::Batches,
    diagnose::{Finding, of_trace},
    findings::name,
    ledger::Branch,
    others::{Others, Share},
    silent::{self, Silent},
    verdict::Verdict,
};
use crate::{
    model::Id,
    store::{Error, Store},
};

/// The batches of a question, and what was found out of them so far.
pub(super) struct Onward<'b> {
    pub(super) batches: &'b Batches,
    /// The trace that is asked for.
    own: Id,
    /// Nothing where nothing is known, or not yet: batches may lead to each other.
    known: BTreeMap<Id, Option<Outcome>>,
}

/// What became of what a batch made.
#[derive(Clone)]
struct Outcome {
    verdict: Verdict,
    summary: String,
}

impl<'b> Onward<'b> {
    pub(super) fn new(own: Id, batches: &'b Batches) -> Self {
        Self { batches, own, known: BTreeMap::from([(own, None)]) }
    }

    /// Returns what is to be left out of a trace: who asks for a batch itself wants all of it.
    pub(super) fn others(&self, id: Id) -> Option<&'b Others> {
        (id != self.own).then_some(&self.batches.others)
    }

    /// Finds what became of what the batches of a branch made, and keeps those of which something is
    /// known.
    pub(super) fn of_branch(
        &mut self,
        store: &dyn Store,
        branch: &mut Branch,
        clock: &impl Fn() -> i64,
    ) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        let hop = name(branch);
        let mut known = Vec::new();
        let mut beyond = 0;
        for trace_id in std::mem::take(&mut branch.continues_in) {
            let Some(id) = Id::parse(&trace_id) else { continue };
            if self.batches.events(id).is_none() {
                beyond += 1;
                continue;
            }
            let Some(batch) = self.outcome(store, id, clock)? else { continue };
            let evidence = format!("went on in {}: {}", self.whose(id), batch.summary);
            findings.push(Finding { verdict: batch.verdict, hop: hop.clone(), evidence });
            known.push(trace_id);
        }
        if beyond > 0 {
            let evidence = format!("went on in {beyond} more batches, which were not gone through");
            findings.push(Finding { verdict: Verdict::Inconclusive, hop, evidence });
        }
        branch.continues_in = known;
        Ok(findings)
    }

    /// Finds what became of what batches made that told nothing of it: beside what they left to be
    /// handled again, or, where it was, twice.
    pub(super) fn of_silent(
        &mut self,
        store: &dyn Store,
        branch: &mut Branch,
        silent: &[Silent<'_>],
        clock: &impl Fn() -> i64,
    ) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        for Silent { trace_id, .. } in silent::of_branch(silent, branch) {
            let Some(batch) = self.outcome(store, *trace_id, clock)? else { continue };
            let hop = name(branch);
            let evidence = format!("went on in {}: {}", self.whose(*trace_id), batch.summary);
            findings.push(Finding { verdict: batch.verdict, hop: hop.clone(), evidence });
            // Where outputs are linked to others and none is to this, it was not its turn yet.
            let share = self.batches.others.share(*trace_id);
            let is_own = share.own > 0 || share.others == 0;
            if is_own && branch.passed > 0 && branch.waiting + branch.unseen == 0 {
                let evidence = format!(
                    "handled again, and a batch that told nothing, trace {trace_id}, had sent on \
                     what it made of it"
                );
                findings.push(Finding { verdict: Verdict::Duplicated, hop, evidence });
            }
            branch.continues_in.push(trace_id.to_string());
        }
        Ok(findings)
    }

    /// Diagnoses a batch, once for all branches that lead to it.
    fn outcome(
        &mut self,
        store: &dyn Store,
        id: Id,
        clock: &impl Fn() -> i64,
    ) -> Result<Option<Outcome>, Error> {
        match self.known.entry(id) {
            Entry::Occupied(known) => return Ok(known.get().clone()),
            Entry::Vacant(unknown) => unknown.insert(None),
        };
        let Some(batch) = of_trace(store, id, clock, self)? else { return Ok(None) };
        // What told nothing of itself is known by who read what it sent.
        let is_silent = self.batches.find(&id.to_string()).is_some_and(|batch| !batch.is_told);
        let is_made = |branch: &Branch| branch.emitted > 0 || (is_silent && branch.records_in > 0);
        let is_sent = batch.ledger.branches.iter().any(is_made);
        let is_known = is_sent || !batch.ledger.undelivered.is_empty();
        let (verdict, summary) = (batch.verdict, batch.summary);
        let outcome = is_known.then_some(Outcome { verdict, summary });
        self.known.insert(id, outcome.clone());
        Ok(outcome)
    }

    /// Says which batch it is, and how its outputs are known to be of the records asked for.
    fn whose(&self, id: Id) -> String {
        let batch = self.batches.find(&id.to_string());
        let is_silent = batch.is_some_and(|batch| !batch.is_told);
        let what = format!("a batch of {}, trace {id}", batch.map_or(0, |batch| batch.records));
        match self.batches.others.share(id) {
            Share { own: 0, .. } => format!("{what}, whose outputs no link ties to one record"),
            Share { own, unlinked: 0, .. } if is_silent => {
                format!("{what}, in {own} linked to it, beside any whose span is lost")
            }
            Share { own, unlinked: 0, .. } => format!("{what}, in {own} linked to it"),
            Share { own, unlinked, .. } => {
                format!(
                    "{what}, in {own} linked to it and {unlinked} that no link ties to one record"
                )
            }
        }
    }
}
