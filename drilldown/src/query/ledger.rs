//! The two laws, applied to one trace: what each hop did with its records, and what lies between.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde::{Deserialize, Serialize};

use super::{
    between::{self, Progress},
    excess,
    inputs::{self, Fate, Inputs},
    order,
    others::{NOWHERE, Others},
    verdict::Verdict,
};
use crate::{
    model::{HopEvent, Id},
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
    /// What became of the records here and on the way from here on.
    pub(crate) verdict: Option<Verdict>,
    /// The topics its records went on to.
    pub(crate) sends_to: Vec<String>,
    /// Records the topic got of this trace.
    pub(crate) emitted: i64,
    pub(crate) records_in: i64,
    pub(crate) passed: i64,
    pub(crate) filtered: i64,
    pub(crate) failed: i64,
    pub(crate) dead_lettered: i64,
    pub(crate) pending: i64,
    /// Records among those emitted that came out of an attempt of which nothing else is known.
    #[serde(skip)]
    pub(crate) astray: i64,
    /// Records the group has not come to yet.
    pub(crate) waiting: i64,
    /// Records that should have been read and of which there is no evidence.
    pub(crate) unseen: i64,
    /// Records from before the group began to read, which are none of its business.
    pub(crate) before: i64,
    /// Records that passed more than once.
    pub(crate) duplicated: i64,
    /// Outputs of whose delivery nobody told.
    pub(crate) unconfirmed: i64,
    /// Whether a hop said so itself: of a poll batch's outputs, too, which are in the batch's own trace.
    #[serde(skip)]
    pub(crate) has_unconfirmed: bool,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) batches: Vec<String>,
    /// Those of the batches that are in.
    #[serde(skip)]
    pub(crate) inserted_by: BTreeSet<String>,
    /// The traces of poll batches that handled records: what was made of those together is in them.
    pub(crate) continues_in: Vec<String>,
    /// When the group was heard last, in nanoseconds since 1970; 0 for never.
    pub(crate) last_heard: i64,
    /// When the trace's first event here was, in nanoseconds since 1970.
    pub(crate) first_seen: i64,
}

/// Why records met a fate.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Reason {
    pub(crate) fate: Fate,
    pub(crate) reason: String,
    pub(crate) records: i64,
}

/// Records that no broker took.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Undelivered {
    pub(crate) topic: String,
    pub(crate) records: i64,
    pub(crate) reason: String,
    #[serde(skip)]
    span_id: String,
}

/// What became of a trace's records, hop by hop.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Ledger {
    /// The events of requests received.
    pub(crate) received: Vec<HopEvent>,
    /// Records sent by requests of whose delivery nobody told.
    pub(crate) unconfirmed: i64,
    /// Records that a `send` could not deliver, by topic and reason.
    pub(crate) undelivered: Vec<Undelivered>,
    /// One for every topic and group, in the order of the relay.
    pub(crate) branches: Vec<Branch>,
    /// Dead letters by topic.
    pub(crate) dead_letters: BTreeMap<String, i64>,
    /// The moment of the trace's first event, in nanoseconds since 1970.
    pub(crate) first_heard: i64,
    /// The moment of the trace's last event, in nanoseconds since 1970.
    pub(crate) last_heard: i64,
}

/// Reads the ledger of a trace out of its events; `clock` tells nanoseconds since 1970. Of a batch what
/// was made of others is left out.
pub(super) fn read(
    store: &dyn Store,
    id: Id,
    all: &[HopEvent],
    others: Option<&Others>,
    clock: &impl Fn() -> i64,
) -> Result<Ledger, Error> {
    let events = others.map_or(Cow::Borrowed(all), |others| Cow::Owned(others.without(all)));
    let trace_id = id.to_string();
    let times = || events.iter().map(|event| event.time);
    let mut ledger = Ledger {
        first_heard: times().min().unwrap_or_default(),
        last_heard: times().max().unwrap_or_default(),
        ..Ledger::default()
    };
    let mut sent: BTreeMap<&str, Vec<&HopEvent>> = BTreeMap::new();
    let mut read: BTreeMap<(&str, &str), Vec<&HopEvent>> = BTreeMap::new();
    for event in &*events {
        let topic = event.topic.as_deref().unwrap_or_default();
        match (event.kind.as_str(), event.group.as_deref()) {
            ("receive", _) => ledger.received.push(event.clone()),
            ("send", _) if event.failed > 0 => ledger.undelivered.push(Undelivered {
                topic: topic.to_owned(),
                records: event.failed,
                reason: event.reason.clone().unwrap_or_default(),
                span_id: event.span_id.clone(),
            }),
            ("send", _) if event.is_dead_letter => {
                *ledger.dead_letters.entry(topic.to_owned()).or_default() += event.emitted;
            }
            ("send", _) => sent.entry(topic).or_default().push(event),
            (_, group) => read.entry((topic, group.unwrap_or_default())).or_default().push(event),
        }
    }
    let topics: BTreeSet<&str> =
        sent.keys().copied().chain(read.keys().map(|(topic, _)| *topic)).collect();
    let delivered = Delivered::of(all);
    ledger.unconfirmed = ledger.received.iter().map(|event| delivered.lacks(event)).sum();
    let mut made_good = BTreeSet::new();
    let mut room = inputs::ROOM;
    for topic in topics {
        let readers = store.readers(topic)?;
        // What was heard up to here lies before this moment.
        let now = clock();
        let of_trace = read.keys().filter(|key| key.0 == topic).map(|key| key.1);
        let mut groups: BTreeSet<&str> =
            of_trace.chain(readers.iter().map(|reader| reader.group.as_str())).collect();
        if groups.is_empty() {
            groups.insert("");
        }
        let sent = sent.get(topic).map_or(&[][..], Vec::as_slice);
        let places = others.map_or(&NOWHERE, |others| others.places(topic));
        for group in groups {
            let read = read.get(&(topic, group)).map_or(&[][..], Vec::as_slice);
            let inputs = Inputs::gather(&trace_id, read, sent, places, &mut room);
            if sent.is_empty() && inputs.is_empty() {
                continue;
            }
            let readers = readers.iter().filter(|reader| reader.group == group).collect();
            let mut branch = branch((topic, group), sent, &inputs, Progress { readers, now });
            branch.unconfirmed = unconfirmed(&inputs, &delivered, &trace_id);
            branch.has_unconfirmed = inputs.iter().any(|input| input.event.unconfirmed > 0);
            branch.continues_in = continues_in(&inputs, &trace_id);
            ledger.branches.push(branch);
            let passed = inputs.iter().filter(|input| input.fate == Fate::Passed);
            made_good
                .extend(passed.flat_map(|input| input.spans.iter().map(|id| (*id).to_owned())));
        }
    }
    // What one attempt could not deliver, a later one did.
    ledger.undelivered.retain(|undelivered| !made_good.contains(&undelivered.span_id));
    ledger.undelivered.sort_by(|a, b| (&a.topic, &a.reason).cmp(&(&b.topic, &b.reason)));
    ledger.undelivered.dedup_by(|next, kept| {
        let is_same = (&next.topic, &next.reason) == (&kept.topic, &kept.reason);
        kept.records += if is_same { next.records } else { 0 };
        is_same
    });
    order::arrange(&mut ledger.branches, &events);
    excess::find_astray(&mut ledger.branches, &events);
    drop_latecomers(&mut ledger.branches);
    Ok(ledger)
}

fn branch(
    (topic, group): (&str, &str),
    sent: &[&HopEvent],
    inputs: &Inputs<'_>,
    progress: Progress<'_>,
) -> Branch {
    let (topic, group) = (topic.to_owned(), group.to_owned());
    let mut branch = Branch { topic, group, ..Branch::default() };
    let mut reasons: BTreeMap<(Fate, String), i64> = BTreeMap::new();
    for input in inputs.iter() {
        let (event, records) = (input.event, input.records);
        branch.records_in += records;
        *(match input.fate {
            Fate::Passed => &mut branch.passed,
            Fate::Filtered => &mut branch.filtered,
            Fate::Failed => &mut branch.failed,
            Fate::DeadLettered => &mut branch.dead_lettered,
            Fate::Pending => &mut branch.pending,
        }) += records;
        branch.duplicated += records * (input.passes.len() as i64 - 1).max(0);
        if let Some(reason) = &event.reason {
            let reason = match event.error_type.as_deref() {
                // Some exceptions say no more than what they are.
                Some(error_type) if reason.is_empty() => error_type.to_owned(),
                Some(error_type) => format!("{error_type}: {reason}"),
                None => reason.clone(),
            };
            *reasons.entry((input.fate, reason)).or_default() += records;
        }
        branch.batches.extend(event.batch_id.clone());
        if event.batch_id.is_some() {
            branch.inserted_by.extend(input.passes.iter().map(|batch| (*batch).to_owned()));
        }
    }
    let mut events: Vec<&HopEvent> = inputs.iter().map(|input| input.event).collect();
    events.sort_by_key(|event| event.time);
    if let Some(latest) = events.last() {
        branch.service.clone_from(&latest.service);
        branch.kind.clone_from(&latest.kind);
    }
    branch.first_seen = events.iter().chain(sent).map(|event| event.time).min().unwrap_or_default();
    branch.reasons = reasons
        .into_iter()
        .map(|((fate, reason), records)| Reason { fate, reason, records })
        .collect();
    branch.batches.sort_unstable();
    branch.batches.dedup();
    branch.emitted = sent.iter().map(|event| event.emitted).sum();
    if let Some(latest) = progress.readers.iter().max_by_key(|reader| reader.time) {
        branch.last_heard = latest.time;
        if branch.service.is_empty() {
            branch.service.clone_from(&latest.service);
        }
    }
    let missing = between::missing(sent, inputs, &progress);
    (branch.waiting, branch.unseen) = (missing.waiting, missing.unseen);
    branch.before = missing.before;
    branch
}

/// How many records the `send` events say were delivered, by the hop they went out of.
struct Delivered<'e>(BTreeMap<&'e str, i64>);

impl<'e> Delivered<'e> {
    fn of(events: &'e [HopEvent]) -> Self {
        let mut delivered: BTreeMap<&str, i64> = BTreeMap::new();
        for event in events.iter().filter(|event| event.kind == "send") {
            *delivered.entry(&event.span_id).or_default() += event.emitted;
        }
        Self(delivered)
    }

    /// Returns how many outputs of a hop no `send` event speaks of.
    fn lacks(&self, event: &HopEvent) -> i64 {
        (event.emitted - self.0.get(event.span_id.as_str()).copied().unwrap_or(0)).max(0)
    }
}

/// Counts the outputs of which nobody told; those of another trace are that one's.
fn unconfirmed(inputs: &Inputs<'_>, delivered: &Delivered<'_>, trace_id: &str) -> i64 {
    let own = inputs.iter().map(|input| input.event).filter(|event| event.trace_id == trace_id);
    // An event that stands for several inputs has its outputs once.
    let events: BTreeMap<&str, &HopEvent> =
        own.map(|event| (event.span_id.as_str(), event)).collect();
    events.values().map(|event| delivered.lacks(event)).sum()
}

/// Names the traces in which records were handled together with those of others.
fn continues_in(inputs: &Inputs<'_>, trace_id: &str) -> Vec<String> {
    let passed = inputs.iter().filter(|input| input.fate == Fate::Passed);
    let events = passed.map(|input| input.event).filter(|event| event.kind != "insert");
    let others = events.filter(|event| event.trace_id != trace_id);
    let traces: BTreeSet<&String> = others.map(|event| &event.trace_id).collect();
    traces.into_iter().cloned().collect()
}

/// A group that began to read after a record was sent, and above it, owes nothing for it: a new
/// reader is no loss. But whoever has read some of the trace owes all of it, and where nobody else
/// reads the topic, nobody has the record.
fn drop_latecomers(branches: &mut [Branch]) {
    let is_late = |branch: &Branch| branch.records_in == 0 && branch.before == branch.emitted;
    let in_time = branches.iter().filter(|branch| !is_late(branch));
    let read: BTreeSet<String> = in_time.map(|branch| branch.topic.clone()).collect();
    for branch in branches {
        if !is_late(branch) || !read.contains(&branch.topic) {
            branch.unseen += branch.before;
            branch.before = 0;
        }
    }
}
