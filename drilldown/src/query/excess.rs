//! Records that came in beyond those that were sent: what an attempt sent of which nobody told.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    diagnose::Finding,
    findings::name,
    ledger::{Branch, Ledger},
    verdict::Verdict,
};
use crate::model::{HopEvent, SETTLING};

/// Counts what came out of attempts of which there is nothing but the `send`. Who sends on his own
/// is no attempt: it takes a hop of the same service that sends there too.
pub(super) fn find_astray(branches: &mut [Branch], events: &[HopEvent]) {
    let hops: BTreeSet<&str> = events
        .iter()
        .filter(|event| event.kind != "send")
        .map(|event| event.span_id.as_str())
        .collect();
    let ways: BTreeSet<(String, String)> = branches
        .iter()
        .flat_map(|branch| branch.sends_to.iter().map(|to| (branch.service.clone(), to.clone())))
        .collect();
    let mut astray: BTreeMap<&str, i64> = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind == "send" && !event.is_dead_letter) {
        let Some(topic) = event.topic.as_deref() else { continue };
        let is_way = ways.contains(&(event.service.clone(), topic.to_owned()));
        if is_way && !hops.contains(event.span_id.as_str()) {
            *astray.entry(topic).or_default() += event.emitted;
        }
    }
    for branch in branches {
        branch.astray = astray.get(branch.topic.as_str()).copied().unwrap_or(0);
    }
}

/// Says how many more records came in than all hops before told to have sent.
///
/// A hop that sent, crashed before it could tell, and then sent again leaves just that behind.
pub(super) fn of_branch(
    branch: &Branch,
    ledger: &Ledger,
    now: i64,
    dropped: &BTreeMap<String, i64>,
) -> Option<Finding> {
    // Outputs of whose delivery nobody told may be these, and so may those that the broker took
    // without a word.
    let unconfirmed: i64 = ledger.branches.iter().map(|branch| branch.unconfirmed).sum();
    let refused = ledger.undelivered.iter().filter(|refused| refused.topic == branch.topic);
    let refused: i64 = refused.map(|refused| refused.records).sum();
    let sent = branch.emitted - branch.astray + unconfirmed + ledger.unconfirmed + refused;
    // Who sends without telling is no part of the relay: then there is nothing to compare with.
    if (branch.emitted == 0 && unconfirmed == 0) || branch.records_in <= sent {
        return None;
    }
    let feeders: Vec<&Branch> =
        ledger.branches.iter().filter(|other| other.sends_to.contains(&branch.topic)).collect();
    // What a hop has not told yet of its inputs may have brought these.
    if feeders.iter().any(|feeder| feeder.waiting + feeder.unseen + feeder.pending > 0) {
        return None;
    }
    let is_certain = !feeders.is_empty()
        && ledger.last_heard <= now - SETTLING
        && !feeders.iter().any(|feeder| dropped.contains_key(&feeder.service));
    let (verdict, why) = match is_certain {
        true => (Verdict::Duplicated, "an attempt that could not tell sent some again"),
        false => (Verdict::Inconclusive, "nobody has told yet where the others come from"),
    };
    let evidence =
        format!("{} came in, and the hops before tell of {sent}: {why}", branch.records_in);
    Some(Finding { verdict, hop: name(branch), evidence })
}
