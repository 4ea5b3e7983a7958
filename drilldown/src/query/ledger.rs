//! The two laws, applied to one trace: what each hop did with its records, and what lies between.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    model::HopEvent,
    store::{Error, Store},
};

/// What a consumer group did with the trace's records of a topic.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Branch {
    pub(crate) topic: String,
    /// Empty where no group has ever read the topic.
    pub(crate) group: String,
    pub(crate) service: String,
    /// The hop's kind: `process` or `insert`; empty while nobody has read.
    pub(crate) kind: String,
    /// Records the topic got of this trace.
    pub(crate) emitted: i64,
    pub(crate) records_in: i64,
    pub(crate) passed: i64,
    pub(crate) filtered: i64,
    pub(crate) failed: i64,
    pub(crate) dead_lettered: i64,
    pub(crate) pending: i64,
    /// Records the group has not come to yet.
    pub(crate) waiting: i64,
    /// Records that should have been read and of which there is no evidence.
    pub(crate) unseen: i64,
    /// Records that were inserted more than once.
    pub(crate) duplicated: i64,
    /// Outputs whose delivery nobody saw.
    pub(crate) unconfirmed: i64,
    pub(crate) reasons: Vec<String>,
    pub(crate) batches: Vec<String>,
}

/// What became of a trace's records, hop by hop.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Ledger {
    /// The events of requests received.
    pub(crate) received: Vec<HopEvent>,
    /// Records that a `send` could not deliver, by topic and reason.
    pub(crate) undelivered: Vec<(String, i64, String)>,
    pub(crate) branches: Vec<Branch>,
    /// Dead letters by topic.
    pub(crate) dead_letters: BTreeMap<String, i64>,
    /// The moment of the trace's last event, in nanoseconds since 1970.
    pub(crate) last_heard: i64,
}

/// What is known of one input: the fate of its last attempt.
struct Input<'e> {
    event: &'e HopEvent,
    records: i64,
    passes: BTreeSet<&'e str>,
}

/// Partition, first and last offset of an input.
type Place = (Option<i64>, Option<i64>, Option<i64>);
type Inputs<'e> = BTreeMap<Place, Input<'e>>;

/// Reads the ledger of a trace.
pub(crate) fn read(store: &dyn Store, trace_id: &str) -> Result<Ledger, Error> {
    let events = store.hops(trace_id)?;
    let mut ledger = Ledger {
        last_heard: events.iter().map(|event| event.time).max().unwrap_or_default(),
        ..Ledger::default()
    };
    let mut sent: BTreeMap<&str, Vec<&HopEvent>> = BTreeMap::new();
    let mut read: BTreeMap<(&str, &str), Vec<&HopEvent>> = BTreeMap::new();
    for event in &events {
        let topic = event.topic.as_deref().unwrap_or_default();
        match (event.kind.as_str(), event.group.as_deref()) {
            ("receive", _) => ledger.received.push(event.clone()),
            ("send", _) if event.failed > 0 => {
                let reason = event.reason.clone().unwrap_or_default();
                ledger.undelivered.push((topic.to_owned(), event.failed, reason));
            }
            ("send", _) if event.is_dead_letter => {
                *ledger.dead_letters.entry(topic.to_owned()).or_default() += event.emitted;
            }
            ("send", _) => sent.entry(topic).or_default().push(event),
            (_, group) => read.entry((topic, group.unwrap_or_default())).or_default().push(event),
        }
    }
    let mut keys: BTreeSet<(String, String)> =
        read.keys().map(|(topic, group)| ((*topic).to_owned(), (*group).to_owned())).collect();
    for topic in sent.keys() {
        let groups = store.groups(topic)?;
        if groups.is_empty() {
            keys.insert(((*topic).to_owned(), String::new()));
        }
        keys.extend(groups.into_iter().map(|group| ((*topic).to_owned(), group)));
    }
    for (topic, group) in keys {
        let sent = sent.get(topic.as_str()).map_or(&[][..], Vec::as_slice);
        let read = read.get(&(topic.as_str(), group.as_str())).map_or(&[][..], Vec::as_slice);
        ledger.branches.push(branch(store, trace_id, (&topic, &group), sent, read)?);
    }
    Ok(ledger)
}

fn branch(
    store: &dyn Store,
    trace_id: &str,
    (topic, group): (&str, &str),
    sent: &[&HopEvent],
    read: &[&HopEvent],
) -> Result<Branch, Error> {
    let (topic, group) = (topic.to_owned(), group.to_owned());
    let mut branch = Branch { topic, group, ..Branch::default() };
    let inputs = inputs(trace_id, read);
    for input in inputs.values() {
        let (event, records) = (input.event, input.records);
        branch.service.clone_from(&event.service);
        branch.kind.clone_from(&event.kind);
        branch.records_in += records;
        // A batch's fates hold for all of its records alike: its counts are the trace's share.
        match (event.passed > 0, event.filtered > 0, event.failed > 0, event.dead_lettered > 0) {
            (true, ..) => branch.passed += records,
            (_, true, ..) => branch.filtered += records,
            (_, _, true, _) => branch.failed += records,
            (.., true) => branch.dead_lettered += records,
            _ => branch.pending += records,
        }
        branch.duplicated += records * (input.passes.len() as i64 - 1).max(0);
        branch.unconfirmed += event.unconfirmed;
        if let Some(reason) = &event.reason {
            let error_type = event.error_type.as_deref().map(|text| format!("{text}: "));
            let reason = format!("{}{reason}", error_type.unwrap_or_default());
            if !branch.reasons.contains(&reason) {
                branch.reasons.push(reason);
            }
        }
        branch.batches.extend(event.batch_id.clone());
    }
    branch.batches.sort_unstable();
    branch.batches.dedup();
    branch.emitted = sent.iter().map(|event| event.emitted).sum();
    for event in sent {
        let (waiting, unseen) = between(store, &branch, event, &inputs)?;
        branch.waiting += waiting;
        branch.unseen += unseen;
    }
    Ok(branch)
}

/// Gathers the inputs of one group: a redelivery is the same input, whose last attempt counts.
fn inputs<'e>(trace_id: &str, read: &[&'e HopEvent]) -> Inputs<'e> {
    let mut inputs = BTreeMap::new();
    for event in read {
        let key = (event.partition, event.first, event.last);
        let records = event.share_of(trace_id);
        let input = inputs.entry(key).or_insert(Input { event, records, passes: BTreeSet::new() });
        // Passed once is passed: a later attempt that failed cannot undo an insert.
        if input.event.passed == 0 || event.passed > 0 {
            input.event = event;
        }
        if event.kind == "insert" && event.passed > 0 {
            input.passes.insert(event.batch_id.as_deref().unwrap_or_default());
        }
    }
    inputs
}

/// Law 2 for the records of one `send`: those without an input are waiting or unseen.
fn between(
    store: &dyn Store,
    branch: &Branch,
    sent: &HopEvent,
    inputs: &Inputs<'_>,
) -> Result<(i64, i64), Error> {
    let (Some(partition), Some(first)) = (sent.partition, sent.first) else { return Ok((0, 0)) };
    let last = sent.last.unwrap_or(first);
    let is_here = |key: &Place| {
        let from = key.1.unwrap_or(i64::MAX);
        let to = key.2.unwrap_or(from);
        key.0 == Some(partition) && from <= last && to >= first
    };
    let seen: i64 =
        inputs.iter().filter(|(key, _)| is_here(key)).map(|(_, input)| input.records).sum();
    let missing = (sent.emitted - seen).max(0);
    if missing == 0 {
        return Ok((0, 0));
    }
    let position = store.position(&branch.topic, &branch.group, partition)?;
    let is_behind = position.is_none_or(|position| position.offset < last);
    Ok(if is_behind { (missing, 0) } else { (0, missing) })
}
