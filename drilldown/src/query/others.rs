//! What batches made of other records than those asked for, as far as links tell: a `send` out of a
//! batch is linked to the record it was made of, if it was made of one alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::{
    batches::Batch,
    inputs::Place,
    ranges::{self, Range},
};
use crate::model::{HopEvent, Id, Link, Span};

/// A `send` may claim any number of records in a few bytes; more than these are not gone through.
const MAX_LISTED: i64 = 10_000;

/// So may any number of them: beyond this many places in one question, further ones are not listed.
const MAX_PLACES: i64 = 300_000;

/// A batch that is found may turn what was learnt before, and all is learnt again: beyond this many places
/// listed in all, further ones are not.
const MAX_WORK: i64 = 4 * MAX_PLACES;

/// Sends that claim the same offsets are parted at the same outputs: beyond this many parts of one trace,
/// what is left of a further one is a number.
const MAX_PARTS: usize = 100_000;

/// What was made of other records, and of them alone; and which outputs are known not to be of others.
#[derive(Default)]
pub(super) struct Others {
    spans: BTreeSet<Link>,
    /// Where the broker put records of others, by topic, and in the trace of which batch they are.
    places: BTreeMap<String, BTreeMap<Place, Id>>,
    /// How many places were listed out of `send` events, and how many before it was all learnt again.
    listed: i64,
    work: i64,
    /// The outputs of each batch's hop that are linked, by topic and place; whether to others.
    outputs: BTreeMap<Link, Outputs>,
    shares: BTreeMap<Id, Share>,
    /// The trace that is asked for, and those of the batches: what is linked to these is not others'.
    traces: BTreeSet<String>,
    /// The traces that others' outputs are linked to.
    foreign: BTreeSet<String>,
    /// Of how many batches it was learnt.
    batches: usize,
}

/// No places at all.
pub(super) static NOWHERE: BTreeMap<Place, Id> = BTreeMap::new();

type Outputs = BTreeMap<(String, Place), bool>;

/// How the outputs of a batch are known to be those asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Share {
    /// Linked to what is asked for.
    pub(super) own: i64,
    /// Linked to nothing.
    pub(super) unlinked: i64,
    /// Linked to others alone.
    pub(super) others: i64,
}

impl Others {
    /// Knows nothing yet; `own` is the trace that is asked for.
    pub(super) fn than(own: Id) -> Self {
        Self { traces: BTreeSet::from([own.to_string()]), ..Self::default() }
    }

    /// Learns of those batches that were found since it was last told. Each stands behind those that
    /// lead to it.
    pub(super) fn learn_on(&mut self, batches: &[Batch], events: &BTreeMap<Id, Vec<HopEvent>>) {
        let found = batches.get(self.batches..).unwrap_or_default();
        let found: Vec<String> = found.iter().map(|batch| batch.trace_id.to_string()).collect();
        let is_turned = found.iter().any(|trace_id| self.foreign.contains(trace_id));
        self.traces.extend(found);
        if is_turned {
            let (traces, work) = (std::mem::take(&mut self.traces), self.work + self.listed);
            *self = Self { traces, work, ..Self::default() };
        }
        for batch in batches.get(self.batches..).unwrap_or_default() {
            self.learn(batch, events.get(&batch.trace_id).map_or(&[][..], Vec::as_slice));
        }
        self.batches = batches.len();
    }

    /// Tells whether a span, or what was said during it, is of other records alone.
    pub(super) fn has(&self, span: &Link) -> bool {
        self.spans.contains(span)
    }

    /// Returns how many outputs of a batch count for what is asked for, and why.
    pub(super) fn share(&self, batch: Id) -> Share {
        self.shares.get(&batch).copied().unwrap_or_default()
    }

    /// Returns where others' records stand in a topic.
    pub(super) fn places(&self, topic: &str) -> &BTreeMap<Place, Id> {
        self.places.get(topic).unwrap_or(&NOWHERE)
    }

    /// Tells whether all records of a batch's trace in another batch are others'.
    pub(super) fn are_all_of(&self, event: &HopEvent, batch: Id) -> bool {
        let own = batch.to_string();
        let members = event.members.iter().filter(|member| **member == own).count();
        let (Some(topic), Some((partition, first, last))) = (&event.topic, ranges::of_event(event))
        else {
            return false;
        };
        let of_topic = self.places.get(topic).into_iter();
        let here = of_topic.flat_map(|of| of.range((partition, first)..=(partition, last)));
        here.filter(|(_, others)| **others == batch).count() >= members.max(1)
    }

    /// Leaves out what is others'.
    pub(super) fn without(&self, events: &[HopEvent]) -> Vec<HopEvent> {
        let rest = events.iter().map(|event| (event, hop_of(event)));
        let rest = rest.filter(|(_, hop)| !self.has(hop));
        let mut room = MAX_PARTS;
        rest.flat_map(|(event, hop)| match self.outputs.get(&hop) {
            Some(outputs) if event.kind == "send" => {
                let parts = deliveries(event, outputs, room);
                room = room.saturating_sub(parts.len());
                parts
            }
            _ => vec![event.clone()],
        })
        .collect()
    }

    fn learn(&mut self, batch: &Batch, events: &[HopEvent]) {
        let trace_id = batch.trace_id.to_string();
        let below = Below::of(batch, events);
        let mut open: Vec<&str> = Vec::new();
        let is_out = |span: &&Span| {
            let parent = span.parent_span_id.as_deref();
            span.kind == "producer" && parent.is_some_and(|parent| below.hops.contains(parent))
        };
        let outs = || batch.spans.iter().filter(is_out);
        let of_hops = below.hops.iter().filter_map(|hop| below.sent.get(hop)).flatten();
        let mut share =
            Share { unlinked: of_hops.map(|event| event.emitted).sum(), ..Share::default() };
        if !batch.is_told {
            // The ledger tells nothing of its outputs, their spans do.
            share.unlinked = outs().filter(|span| !span.is_error).count() as i64;
        }
        for span in outs().filter(|span| !span.links.is_empty()) {
            let is_own =
                |link: &Link| self.traces.contains(&link.trace_id) && !self.spans.contains(link);
            let is_own = span.links.iter().any(is_own);
            if !is_own {
                open.push(&span.span_id);
                self.foreign.extend(span.links.iter().map(|link| link.trace_id.clone()));
            }
            if span.is_error {
                continue;
            }
            share.unlinked -= 1;
            *(if is_own { &mut share.own } else { &mut share.others }) += 1;
            if let (Some(place), Some(span_id)) = (place_of(span), span.parent_span_id.clone()) {
                let hop = Link { trace_id: trace_id.clone(), span_id };
                self.outputs.entry(hop).or_default().insert(place, !is_own);
            }
        }
        share.unlinked = share.unlinked.max(0);
        self.shares.insert(batch.trace_id, share);
        while let Some(span_id) = open.pop() {
            let of = Link { trace_id: trace_id.clone(), span_id: span_id.to_owned() };
            if !self.spans.insert(of) {
                continue;
            }
            open.extend(below.children.get(span_id).into_iter().flatten());
            let sent = below.sent.get(span_id).into_iter().flatten();
            let mut ranges: Vec<(String, Range)> =
                sent.filter_map(|event| self.range_of(event)).collect();
            let own = below.spans.get(span_id).and_then(|span| place_of(span));
            ranges.extend(own.map(|(topic, (at, offset))| (topic, (at, offset, offset))));
            for (topic, (partition, first, last)) in ranges {
                let here = (partition, first)..=(partition, last);
                if let Some(read) = below.read.get(topic.as_str()) {
                    open.extend(read.range(here).flat_map(|(_, spans)| spans));
                }
                let places = self.places.entry(topic).or_default();
                places.extend((first..=last).map(|at| ((partition, at), batch.trace_id)));
            }
        }
    }

    /// Says where a `send` without gaps put its records, as long as there is room to list them.
    fn range_of(&mut self, event: &HopEvent) -> Option<(String, Range)> {
        let (topic, range) = (event.topic.clone()?, ranges::of_event(event)?);
        let listed = self.listed + event.emitted;
        if !is_dense(event) || listed > MAX_PLACES || self.work + listed > MAX_WORK {
            return None;
        }
        self.listed = listed;
        Some((topic, range))
    }
}

/// Parts what the hop of a batch delivered: what is known not to be others', and the rest. Where that
/// may make more parts than there is room for, all that is not others' is one.
fn deliveries(event: &HopEvent, outputs: &Outputs, room: usize) -> Vec<HopEvent> {
    let (Some(topic), Some((partition, first, last))) = (&event.topic, ranges::of_event(event))
    else {
        return vec![event.clone()];
    };
    let key = |offset| (topic.clone(), (partition, offset));
    let known = || outputs.range(key(first)..=key(last));
    let of = |(first, last): (i64, i64), emitted: i64| HopEvent {
        first: Some(first),
        last: Some(last),
        records_in: emitted,
        passed: emitted,
        emitted,
        ..event.clone()
    };
    let others = || known().filter(|(_, is_others)| **is_others);
    if known().count() >= room {
        let left = event.emitted - others().count() as i64;
        return (left > 0).then(|| of((first, last), left)).into_iter().collect();
    }
    if is_dense(event) {
        let ends = others().map(|((_, (_, at)), _)| *at).chain([last + 1]);
        let mut from = first;
        let runs = ends.map(|end| (std::mem::replace(&mut from, end + 1), end - 1));
        let runs = runs.filter(|(first, last)| first <= last);
        return runs.map(|(first, last)| of((first, last), last - first + 1)).collect();
    }
    let own = known().filter(|(_, is_others)| !**is_others);
    let mut left: Vec<HopEvent> = own.map(|((_, (_, at)), _)| of((*at, *at), 1)).collect();
    let rest = event.emitted - known().count() as i64;
    if rest > 0 {
        left.push(of((first, last), rest));
    }
    left
}

fn hop_of(event: &HopEvent) -> Link {
    Link { trace_id: event.trace_id.clone(), span_id: event.span_id.clone() }
}

/// Tells whether each offset of a `send` is one of its records.
fn is_dense(sent: &HopEvent) -> bool {
    let is_whole = |(_, first, last): Range| last - first + 1 == sent.emitted;
    ranges::of_event(sent).is_some_and(is_whole) && sent.emitted <= MAX_LISTED
}

/// Returns the topic that an output went to, and where the broker put it.
fn place_of(span: &Span) -> Option<(String, Place)> {
    let text = |key: &str| span.attributes.get(key).and_then(Json::as_str);
    let topic = text("messaging.destination.name").filter(|_| span.kind == "producer")?;
    let partition = text("messaging.destination.partition.id")?.parse().ok()?;
    let offset = span.attributes.get("messaging.kafka.offset").and_then(Json::as_i64)?;
    Some((topic.to_owned(), (partition, offset)))
}

/// What came of what within the trace of a batch.
#[derive(Default)]
struct Below<'b> {
    /// The hops that handled the batch.
    hops: BTreeSet<&'b str>,
    spans: BTreeMap<&'b str, &'b Span>,
    children: BTreeMap<&'b str, Vec<&'b str>>,
    /// The hops that read single records, by topic and place.
    read: BTreeMap<&'b str, BTreeMap<Place, Vec<&'b str>>>,
    /// What hops sent.
    sent: BTreeMap<&'b str, Vec<&'b HopEvent>>,
}

impl<'b> Below<'b> {
    fn of(batch: &'b Batch, events: &'b [HopEvent]) -> Self {
        let mut below = Self::default();
        for span in &batch.spans {
            below.spans.insert(&span.span_id, span);
            if let Some(parent) = &span.parent_span_id {
                below.children.entry(parent).or_default().push(&span.span_id);
            }
        }
        if !batch.is_told {
            // The span of the hop is not there yet, or never will be.
            below.hops.extend(batch.silent().map(|poll| poll.span_id.as_str()));
            let parents = below.children.keys().filter(|id| !below.spans.contains_key(*id));
            below.hops.extend(parents);
        }
        let trace_id = batch.trace_id.to_string();
        for event in events.iter().filter(|event| event.trace_id == trace_id) {
            if !event.members.is_empty() {
                below.hops.insert(&event.span_id);
            } else if event.kind == "send" {
                below.sent.entry(&event.span_id).or_default().push(event);
            } else if let (Some(topic), Some(partition), Some(offset)) =
                (&event.topic, event.partition, event.first)
            {
                let read = below.read.entry(topic).or_default();
                read.entry((partition, offset)).or_default().push(&event.span_id);
            }
        }
        below
    }
}
