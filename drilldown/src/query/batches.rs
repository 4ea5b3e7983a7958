//! The batches that records of a trace went through: each has a trace of its own, and what was made of
//! the batch is in that one, and may be batched again.
//!
//! The ledger names them. One that has told nothing is found by its span, which links to its records.

use std::collections::{BTreeMap, BTreeSet};

use super::{others::Others, silent};
use crate::{
    model::{HopEvent, Id, Link, Span},
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
    /// Whether the ledger has an event of it.
    pub(super) is_told: bool,
}

impl Batch {
    /// Returns the span that tells of a batch of which the ledger knows nothing.
    pub(super) fn silent(&self) -> Option<&Span> {
        self.spans.iter().filter(|_| !self.is_told).find(|span| silent::is_batch(span))
    }
}

/// A trace, the batches that its records went through, and what these made of other records: all that
/// one question reads, read once.
#[derive(Default)]
pub(super) struct Batches {
    /// Each stands behind those that lead to it.
    pub(super) all: Vec<Batch>,
    pub(super) others: Others,
    /// The spans of the trace that is asked for, and those that link to it.
    pub(super) spans: Vec<Span>,
    events: BTreeMap<Id, Vec<HopEvent>>,
    /// Batches whose spans link to one of the traces, and the links.
    links: Vec<(Id, Vec<Link>)>,
    /// Batches that link to a record and have told of others only: it left them before.
    left: BTreeSet<Id>,
}

impl Batches {
    /// Goes from a trace to the batches of those events that are `ways`, and to those that took its
    /// records and have told nothing, and on from these.
    pub(super) fn follow(
        store: &dyn Store,
        own: Id,
        is_way: impl Fn(&HopEvent) -> bool,
    ) -> Result<Self, Error> {
        let others = Others::than(own);
        let mut batches = Self { spans: store.spans(own)?, others, ..Self::default() };
        batches.events.insert(own, store.hops(own)?);
        batches.links = links(own, &batches.spans);
        loop {
            let named = batches.next(&is_way);
            let linked = batches.linked();
            let room = MAX_TRACES.saturating_sub(batches.events.len() + batches.left.len());
            let next = named.iter().chain(linked.difference(&named));
            let next: Vec<Id> = next.take(room).copied().collect();
            if next.is_empty() {
                return Ok(batches);
            }
            for trace_id in next {
                batches.read(store, trace_id, named.contains(&trace_id))?;
            }
            batches.others.learn_on(&batches.all, &batches.events);
        }
    }

    /// Reads a batch that an event names, or that is known by a link alone.
    fn read(&mut self, store: &dyn Store, trace_id: Id, is_named: bool) -> Result<(), Error> {
        let own = trace_id.to_string();
        let events = store.hops(trace_id)?;
        let is_told = events.iter().any(|event| event.trace_id == own && !event.members.is_empty());
        if is_told && !is_named {
            self.left.insert(trace_id);
            return Ok(());
        }
        let mut spans = store.spans(trace_id)?;
        self.links.extend(links(trace_id, &spans));
        spans.retain(|span| span.trace_id == own);
        let records = match is_told {
            true => records(&own, &events),
            false => spans.iter().find(|span| silent::is_batch(span)).map_or(0, silent::records),
        };
        self.all.push(Batch { trace_id, records, spans, is_told });
        self.events.insert(trace_id, events);
        Ok(())
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

    /// Finds the batches that link to what is gone through, and are not.
    fn linked(&self) -> BTreeSet<Id> {
        let is_new = |id: &Id| !self.events.contains_key(id) && !self.left.contains(id);
        let new = self.links.iter().filter(|(batch, _)| is_new(batch));
        let linked = new.filter(|(_, links)| links.iter().any(|link| !self.others.has(link)));
        linked.map(|(batch, _)| *batch).collect()
    }
}

/// Picks the spans of batches of their own traces among those that link to a trace.
fn links(trace_id: Id, spans: &[Span]) -> Vec<(Id, Vec<Link>)> {
    let own = trace_id.to_string();
    let batches = spans.iter().filter(|span| span.trace_id != own && silent::is_batch(span));
    let links = batches.filter_map(|span| {
        let links = span.links.iter().filter(|link| link.trace_id == own);
        Some((Id::parse(&span.trace_id)?, links.cloned().collect()))
    });
    links.collect()
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
