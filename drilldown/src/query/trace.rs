//! The spans of a trace as a tree, with batches stitched in under the records they took.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

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
    /// Whether it belongs to another trace and is here by a link.
    pub(crate) is_linked: bool,
    /// Nanoseconds a message waited in Kafka before this consumer took it.
    pub(crate) queued: Option<i64>,
}

/// Reads a trace, in the order in which it is to be shown.
pub(crate) fn read(store: &dyn Store, trace_id: Id) -> Result<Vec<Node>, Error> {
    let mut spans = store.spans(trace_id)?;
    stitch(store, trace_id, &mut spans)?;
    Ok(arrange(&trace_id.to_string(), spans))
}

/// Adds the batches that took records of the trace and do not link to it: a span has 128 links
/// (OpenTelemetry SDK, `LinkCountLimit`), a batch may have more records. The ledger lists them all.
fn stitch(store: &dyn Store, trace_id: Id, spans: &mut Vec<Span>) -> Result<(), Error> {
    let own = trace_id.to_string();
    let mut known: BTreeSet<String> = spans.iter().map(|span| span.span_id.clone()).collect();
    for event in store.hops(trace_id)? {
        if event.trace_id == own || !known.insert(event.span_id.clone()) {
            continue;
        }
        let Some(batch) = Id::parse(&event.trace_id) else { continue };
        let batch = store.spans(batch)?;
        let Some(mut batch) = batch.into_iter().find(|span| span.span_id == event.span_id) else {
            continue;
        };
        let goes_there = |span: &&Span| {
            let topic = span.attributes.get("messaging.destination.name").and_then(Json::as_str);
            span.trace_id == own && span.kind == "producer" && topic == event.topic.as_deref()
        };
        let sent = spans.iter().filter(goes_there).max_by_key(|span| span.end);
        if let Some(sent) = sent.or(spans.first()) {
            batch.links.push(Link { trace_id: own.clone(), span_id: sent.span_id.clone() });
            spans.push(batch);
        }
    }
    Ok(())
}

/// Puts every span exactly once: under its parent, under the span it links to, or, where that is not
/// known, at the top. Spans that are each other's parents are shown at the top too.
fn arrange(trace_id: &str, spans: Vec<Span>) -> Vec<Node> {
    let own: BTreeMap<String, (i64, String)> = spans
        .iter()
        .filter(|span| span.trace_id == trace_id)
        .map(|span| (span.span_id.clone(), (span.end, span.kind.clone())))
        .collect();
    let mut children: BTreeMap<Option<String>, Vec<Span>> = BTreeMap::new();
    for span in spans {
        let above = if span.trace_id == trace_id {
            span.parent_span_id.clone()
        } else {
            let links = span.links.iter().filter(|link| link.trace_id == trace_id);
            links.map(|link| link.span_id.clone()).find(|span_id| own.contains_key(span_id))
        };
        let above = above.filter(|above| own.contains_key(above) && *above != span.span_id);
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
            let below = children.remove(&Some(span.span_id.clone())).unwrap_or_default();
            stack.extend(below.into_iter().map(|child| (child, depth + 1)));
            if placed.insert((span.trace_id.clone(), span.span_id.clone())) {
                nodes.push(node(trace_id, span, depth, &own));
            }
        }
        // What is left are circles of parents: cut one open and go on.
        let Some((_, circle)) = children.pop_first() else { return nodes };
        children.insert(None, circle);
    }
}

fn node(trace_id: &str, span: Span, depth: usize, own: &BTreeMap<String, (i64, String)>) -> Node {
    let is_linked = span.trace_id != trace_id;
    let linked = span.links.iter().find(|link| link.trace_id == trace_id);
    let linked = linked.map(|link| &link.span_id);
    let above = if is_linked { linked } else { span.parent_span_id.as_ref() };
    // A consumer below a producer waited from the end of the send to its own start.
    let sent = above.and_then(|above| own.get(above)).filter(|(_, kind)| kind == "producer");
    let queued = sent.map(|(end, _)| span.start - end).filter(|queued| *queued > 0);
    Node { span, depth, is_linked, queued }
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
        let nodes = arrange("t", spans);
        assert_eq!(shape(&nodes), [("root", 0), ("early", 1), ("late", 1), ("orphan", 0)]);
    }

    #[test]
    fn a_batch_stands_below_what_it_links_to() {
        let mut batch = span("other", "batch", None, 10);
        batch.links = vec![Link { trace_id: "t".into(), span_id: "send".into() }];
        let nodes = arrange("t", vec![batch, span("t", "send", None, 1)]);
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
        let nodes = arrange("t", spans);
        assert_eq!(nodes.len(), 3);
    }
}
