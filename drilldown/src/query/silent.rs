//! Batches that took records and told nothing of them: they are at work, or ended before they could tell.
//! The ledger names none of them; what is known of one is its span, which links to the records.

use serde_json::Value as Json;

use super::{batches::Batches, elapsed::elapsed, ledger::Branch};
use crate::model::{Id, Link, Span};

/// A batch of which the ledger knows nothing, as far as it is about the records of one trace.
pub(super) struct Silent<'b> {
    pub(super) trace_id: Id,
    /// How many records of the trace it links to.
    linked: i64,
    records: i64,
    /// The span of the poll.
    span: &'b Span,
}

/// Tells whether this is the span of a batch in whose trace there is nothing else: it stands on top,
/// and tells of how many messages it is (semantic conventions, "Messaging spans", batches).
pub(super) fn is_batch(span: &Span) -> bool {
    let text = |key: &str| span.attributes.get(key).and_then(Json::as_str);
    let is_taken = matches!(text("messaging.operation.type"), Some("receive" | "process"));
    is_taken && span.parent_span_id.is_none() && records(span) > 0
}

/// Returns of how many messages the span of a batch tells.
pub(super) fn records(span: &Span) -> i64 {
    let count = span.attributes.get("messaging.batch.message_count");
    count.and_then(Json::as_i64).unwrap_or(0)
}

/// Finds the silent batches that took records of a trace, the latest first.
pub(super) fn of_trace(batches: &Batches, trace_id: Id) -> Vec<Silent<'_>> {
    let own = trace_id.to_string();
    let silent = batches.all.iter().filter_map(|batch| {
        let span = batch.silent()?;
        let is_own = |link: &&Link| link.trace_id == own && !batches.others.has(link);
        let linked = span.links.iter().filter(is_own).count() as i64;
        Some(Silent { trace_id: batch.trace_id, linked, records: batch.records, span })
    });
    let mut silent: Vec<Silent<'_>> = silent.filter(|silent| silent.linked > 0).collect();
    silent.sort_by_key(|silent| std::cmp::Reverse(silent.span.end));
    silent
}

impl Silent<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.span.attributes.get(key).and_then(Json::as_str)
    }

    /// Tells whether a branch is the group that polled the batch. Where no group ever told that it
    /// reads the topic, this one does.
    fn is_of(&self, branch: &Branch) -> bool {
        let topic = self.text("messaging.destination.name");
        let is_group = match self.text("messaging.consumer.group.name") {
            Some(group) => group == branch.group,
            None => self.span.service == branch.service,
        };
        topic.is_none_or(|topic| topic == branch.topic) && (is_group || branch.group.is_empty())
    }

    fn who(&self) -> &str {
        self.text("messaging.consumer.group.name").unwrap_or(&self.span.service)
    }
}

/// Picks the batches that a branch polled.
pub(super) fn of_branch<'s, 'b>(silent: &'s [Silent<'b>], branch: &Branch) -> Vec<&'s Silent<'b>> {
    silent.iter().filter(|batch| batch.is_of(branch)).collect()
}

/// Returns how many records of a trace the batches took.
pub(super) fn linked(batches: &[&Silent<'_>]) -> i64 {
    batches.iter().map(|batch| batch.linked).sum()
}

/// Says who took the records, in which batch, and when.
pub(super) fn taken_by(batches: &[&Silent<'_>], now: i64) -> String {
    let Some(last) = batches.first() else { return String::new() };
    let several = match batches.len() {
        1 => String::new(),
        number => format!("{number} batches, the last "),
    };
    let Silent { trace_id, records, span, .. } = last;
    let ago = elapsed(now - span.end);
    format!("{} in {several}a batch of {records}, trace {trace_id}, {ago} ago", last.who())
}
