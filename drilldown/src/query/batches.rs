//! The batches that records of a trace went through: each has a trace of its own, and what was made of
//! the batch is in that one, and may be batched again.

use std::collections::{BTreeMap, BTreeSet};

use super::others::Others;
use crate::{
    model::{HopEvent, Id, Span},
    store::{Error, Store},
};

/// One trace leads to others, and those on; more than these are not gone through.
const MAX_TRACES: usize = 32;

/// A batch of which a record asked for was a part.
pub(super) struct Batch {
    pub(super) trace_id: Id,
    /// How many records it had.
    pub(super) records: i64,
    /// The spans of its trace.
    pub(super) spans: Vec<Span>,
}

/// A trace, the batches that its records went through, and what these made of other records: all that
/// one question reads, read once.
pub(super) struct Batches {
    /// Each stands behind those that lead to it.
    pub(super) all: Vec<Batch>,
    pub(super) others: Others,
    events: BTreeMap<Id, Vec<HopEvent>>,
}

impl Batches {
    /// Goes from a trace to the batches of those events that are `ways`, and on from these.
    pub(super) fn follow(
        store: &dyn Store,
        own: Id,
        is_way: impl Fn(&HopEvent) -> bool,
    ) -> Result<Self, Error> {
        let events = BTreeMap::from([(own, store.hops(own)?)]);
        let mut batches = Self { all: Vec::new(), others: Others::default(), events };
        loop {
            let next = batches.next(&is_way);
            let room = MAX_TRACES - batches.events.len();
            if next.is_empty() || room == 0 {
                return Ok(batches);
            }
            for trace_id in next.into_iter().take(room) {
                let own = trace_id.to_string();
                let mut spans = store.spans(trace_id)?;
                spans.retain(|span| span.trace_id == own);
                let events = store.hops(trace_id)?;
                batches.all.push(Batch { trace_id, records: records(&own, &events), spans });
                batches.events.insert(trace_id, events);
            }
            batches.others = Others::of(own, &batches.all, &batches.events);
        }
    }

    /// Returns the ledger events of a trace that was gone through.
    pub(super) fn events(&self, trace_id: Id) -> Option<&[HopEvent]> {
        self.events.get(&trace_id).map(Vec::as_slice)
    }

    pub(super) fn find(&self, trace_id: &str) -> Option<&Batch> {
        let id = Id::parse(trace_id)?;
        self.all.iter().find(|batch| batch.trace_id == id)
    }

    /// Returns the events by which a batch says that it took records of the traces before it.
    pub(super) fn ways(&self, batch: &Batch) -> impl Iterator<Item = (Id, &HopEvent)> {
        let own = batch.trace_id.to_string();
        let before = self.events.iter().filter(|(trace_id, _)| **trace_id != batch.trace_id);
        let events =
            before.flat_map(|(trace_id, events)| events.iter().map(|event| (*trace_id, event)));
        events.filter(move |(_, event)| event.trace_id == own)
    }

    /// Finds the batches that come next.
    fn next(&self, is_way: &impl Fn(&HopEvent) -> bool) -> BTreeSet<Id> {
        let mut next = BTreeSet::new();
        for (trace_id, events) in &self.events {
            let own = trace_id.to_string();
            let ways = events.iter().filter(|event| event.trace_id != own && is_way(event));
            let ways = ways.filter(|event| !self.others.are_all_of(event, *trace_id));
            next.extend(ways.filter_map(|event| Id::parse(&event.trace_id)));
        }
        next.retain(|trace_id| !self.events.contains_key(trace_id));
        next
    }
}

/// Counts the records of a batch: it has an event for each partition, and as many again for each attempt.
fn records(trace_id: &str, events: &[HopEvent]) -> i64 {
    let mut of_spans: BTreeMap<&str, i64> = BTreeMap::new();
    let own = events.iter().filter(|event| event.trace_id == trace_id);
    for event in own.filter(|event| !event.members.is_empty()) {
        *of_spans.entry(&event.span_id).or_default() += event.records();
    }
    of_spans.into_values().max().unwrap_or(0)
}
