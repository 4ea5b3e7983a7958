//! The spans of a trace as a tree, with batches stitched in under the records they took.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::batches::Batches;
use crate::{
    model::{Id, Link, Span},
    store::{Error, Store},
};

/// A span in its place.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Node {
    pub(crate) span: Span,
    /// How deep it stands; 0 is a root.
    pub(crate) depth: usize,
    /// Whether it belongs to another trace and is here by a link, or by a batch.
    pub(crate) is_linked: bool,
    /// How many records the batch had in whose trace it is.
    pub(crate) batch_records: Option<i64>,
    /// Nanoseconds a message waited in Kafka before this consumer took it.
    pub(crate) queued: Option<i64>,
}

/// Reads a trace, in the order in which it is to be shown. Of a batch there is the whole trace, but for
/// what was made of other records alone.
pub(crate) fn read(store: &dyn Store, trace_id: Id) -> Result<Vec<Node>, Error> {
    let batches = Batches::follow(store, trace_id, |_| true)?;
    let mut spans = batches.spans.clone();
    let mut known: BTreeSet<Link> = spans.iter().map(place).collect();
    for batch in &batches.all {
        let own = batch.spans.iter().filter(|span| !batches.others.has(&place(span)));
        spans.extend(own.filter(|span| known.insert(place(span))).cloned());
    }
    let stitches = stitch(&batches, &spans);
    let mut nodes = arrange(&trace_id.to_string(), spans, &stitches);
    for node in nodes.iter_mut().filter(|node| node.is_linked) {
        let count = node.span.attributes.get("messaging.batch.message_count");
        let batch = batches.find(&node.span.trace_id).map(|batch| batch.records);
        node.batch_records = batch.or_else(|| count.and_then(Json::as_i64));
    }
    Ok(nodes)
}

/// Says which span it is, as a link to it does.
fn place(span: &Span) -> Link {
    Link { trace_id: span.trace_id.clone(), span_id: span.span_id.clone() }
}

/// Where spans stand that do not say so themselves.
type Stitches = BTreeMap<Link, Link>;

/// Finds where the records of batches were sent, if no link says so: a span has 128 links (OpenTelemetry
/// SDK, `LinkCountLimit`), a batch may have more records. The ledger lists them all.
fn stitch(batches: &Batches, spans: &[Span]) -> Stitches {
    let known: BTreeSet<Link> = spans.iter().map(place).collect();
    let is_known = |trace_id: &str, span_id: &str| {
        known.contains(&Link { trace_id: trace_id.to_owned(), span_id: span_id.to_owned() })
    };
    let mut stitches = Stitches::new();
    for batch in &batches.all {
        let own = batch.trace_id.to_string();
        if let Some(poll) = batch.silent() {
            // The span of the hop that handled it is missing: what came of it stands below the poll.
            let of_batch = spans.iter().filter(|span| span.trace_id == own);
            stitches.extend(of_batch.map(|span| (place(span), place(poll))));
            continue;
        }
        let is_loose = |span: &&Span| {
            let parent = span.parent_span_id.as_deref();
            span.trace_id == own
                && parent.is_none_or(|parent| !is_known(&own, parent))
                && !span.links.iter().any(|link| is_known(&link.trace_id, &link.span_id))
        };
        let mut senders = batches.ways(batch).filter_map(|(from, event)| {
            let from = from.to_string();
            let goes_there = |span: &&Span| {
                let topic = span.attributes.get("messaging.destination.name");
                span.trace_id == from
                    && span.kind == "producer"
                    && topic.and_then(Json::as_str) == event.topic.as_deref()
            };
            spans.iter().filter(goes_there).max_by_key(|span| span.end).map(place)
        });
        let Some(sender) = senders.next() else { continue };
        let loose = spans.iter().filter(is_loose);
        stitches.extend(loose.map(|span| (place(span), sender.clone())));
    }
    stitches
}

/// What is known of the spans that are shown: when each ended, and its kind.
type Shown = BTreeMap<Link, (i64, String)>;

/// Puts every span exactly once: under its parent, under the span it links to, or, where that is not
/// known, at the top. Spans that are each other's parents are shown at the top too.
fn arrange(trace_id: &str, spans: Vec<Span>, stitches: &Stitches) -> Vec<Node> {
    let shown: Shown =
        spans.iter().map(|span| (place(span), (span.end, span.kind.clone()))).collect();
    let mut children: BTreeMap<Option<Link>, Vec<Span>> = BTreeMap::new();
    for span in spans {
        let above =
            above(trace_id, &span, stitches).into_iter().find(|above| shown.contains_key(above));
        children.entry(above).or_default().push(span);
    }
    for list in children.values_mut() {
        list.sort_by(|a, b| (b.start, &b.span_id).cmp(&(a.start, &a.span_id)));
    }
    let mut nodes = Vec::new();
    let mut placed = BTreeSet::new();
    loop {
        let mut stack: Vec<(Span, usize)> =
            children.remove(&None).into_iter().flatten().map(|span| (span, 0)).collect();
        while let Some((span, depth)) = stack.pop() {
            let below = children.remove(&Some(place(&span))).unwrap_or_default();
            stack.extend(below.into_iter().map(|child| (child, depth + 1)));
            if placed.insert(place(&span)) {
                nodes.push(node(trace_id, span, depth, &shown, stitches));
            }
        }
        // What is left are circles of parents: cut one open and go on.
        let Some((_, circle)) = children.pop_first() else { return nodes };
        children.insert(None, circle);
    }
}

/// Returns what a span may stand under: its parent, or where it is stitched to, and what it links to if it
/// is of another trace.
fn above(trace_id: &str, span: &Span, stitches: &Stitches) -> Vec<Link> {
    let own = &span.trace_id;
    let parent = span.parent_span_id.iter();
    let parent = parent.map(|id| Link { trace_id: own.clone(), span_id: id.clone() });
    let links = if own == trace_id { &[][..] } else { &span.links };
    let sender = stitches.get(&place(span));
    let all = parent.chain(sender.into_iter().chain(links).cloned());
    all.filter(|above| *above != place(span)).collect()
}

fn node(trace_id: &str, span: Span, depth: usize, shown: &Shown, stitches: &Stitches) -> Node {
    let is_linked = span.trace_id != trace_id;
    // A consumer below a producer waited from the end of the send to its own start; what a producer is
    // linked to, its message was made of.
    let places = above(trace_id, &span, stitches);
    let mut sent = places.iter().filter_map(|above| shown.get(above));
    let sent = sent.find(|(_, kind)| kind == "producer");
    let sent = sent.filter(|_| span.kind != "producer");
    let queued = sent.map(|(end, _)| span.start - end).filter(|queued| *queued > 0);
    Node { span, depth, is_linked, batch_records: None, queued }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(trace: &str, id: &str, parent: Option<&str>, start: i64) -> Span {
        Span {
            trace_id: trace.into(),
            span_id: id.into(),
            parent_span_id: parent.map(str::to_owned),
            kind: "producer".into(),
            start,
            end: start + 1,
            ..Span::default()
        }
    }

    fn shape(nodes: &[Node]) -> Vec<(&str, usize)> {
        nodes.iter().map(|node| (node.span.span_id.as_str(), node.depth)).collect()
    }

    #[test]
    fn children_stand_below_their_parents_by_time() {
        let spans = vec![
            span("t", "late", Some("root"), 5),
            span("t", "early", Some("root"), 2),
            span("t", "root", None, 1),
            span("t", "orphan", Some("gone"), 9),
        ];
        let nodes = arrange("t", spans, &Stitches::new());
        assert_eq!(shape(&nodes), [("root", 0), ("early", 1), ("late", 1), ("orphan", 0)]);
    }

    #[test]
    fn a_batch_stands_below_what_it_links_to() {
        let mut batch = span("other", "batch", None, 10);
        batch.kind = "client".into();
        batch.links = vec![Link { trace_id: "t".into(), span_id: "send".into() }];
        let nodes = arrange("t", vec![batch, span("t", "send", None, 1)], &Stitches::new());
        assert_eq!(shape(&nodes), [("send", 0), ("batch", 1)]);
        assert_eq!(nodes[1].queued, Some(8));
        assert!(nodes[1].is_linked);
    }

    #[test]
    fn circles_of_parents_are_shown_once() {
        let spans = vec![
            span("t", "a", Some("b"), 1),
            span("t", "b", Some("a"), 2),
            span("t", "self", Some("self"), 3),
        ];
        let nodes = arrange("t", spans, &Stitches::new());
        assert_eq!(nodes.len(), 3);
    }
}
