//! The hop of a whole batch into a table: one event per partition, whatever the batch's size.

use super::{
    clock::now,
    fate::{Coordinates, Fate, Fates, HopKind},
    ledger::LedgerEvent,
    record::{Hop, cut},
    recorder::Recorder,
    span::{SpanKind, SpanRecord, Status},
    tally::Tally,
    value::Value,
};
use crate::{
    propagate::Baton,
    wire::{SpanId, TraceContext, TraceId},
};

/// A batch of records on its way into a table.
///
/// The batch has a trace of its own; the records' traces are linked from its span, and listed whole
/// in its ledger events. A record that does not go in with the batch is taken out by
/// [`Insert::take_out`] and has a hop of its own. Of a batch that is dropped without a word nothing is
/// told: its records are on their way in another one.
///
/// # Examples
///
/// ```
/// use tracebaton::hop::{Coordinates, Insert, Recorder};
/// use tracebaton::propagate::Baton;
///
/// let at = |offset| Coordinates {
///     topic: "orders".into(),
///     partition: 0,
///     offset,
///     group: Some("sync".into()),
/// };
/// let mut insert = Insert::start(Recorder::global(), "shop.orders");
/// insert.add(&at(1), &Baton::default());
/// insert.take_out(&at(2), &Baton::default()).dead_lettered("mapping", "no such column");
/// assert_eq!(insert.len(), 1);
/// insert.passed();
/// ```
#[doc(alias = "BatchTally")]
pub struct Insert {
    recorder: Recorder,
    table: String,
    batch_id: String,
    /// The span of this attempt, in the batch's own trace.
    baton: Baton,
    start: u64,
    attempt: u32,
    tally: Tally,
}

impl Insert {
    /// Starts a batch for `table`.
    #[must_use]
    pub fn start(recorder: &Recorder, table: &str) -> Self {
        let trace_id = TraceId::generate();
        let context = Some(TraceContext::root(trace_id));
        let mut baton = recorder.decide_on(Baton { context, ..Baton::default() });
        next_span(&mut baton);
        Self {
            recorder: recorder.clone(),
            table: table.to_owned(),
            batch_id: trace_id.to_string(),
            baton,
            start: now(),
            attempt: 1,
            tally: Tally::default(),
        }
    }

    /// Returns the batch's name; give it to ClickHouse as `query_id`.
    #[must_use]
    pub fn batch_id(&self) -> &str {
        &self.batch_id
    }

    /// Names the batch otherwise, for instance after the offsets it is cut at.
    pub fn set_batch_id(&mut self, batch_id: &str) {
        batch_id.clone_into(&mut self.batch_id);
    }

    /// Returns what is current while this attempt goes on: the batch's trace and the attempt's span.
    #[must_use]
    pub fn baton(&self) -> &Baton {
        &self.baton
    }

    /// Returns how many records are in.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.tally.len()
    }

    /// Tells whether no record is in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a record to the batch. One that is added again is the same input, and counts once.
    pub fn add(&mut self, input: &Coordinates, baton: &Baton) {
        self.tally.add(input, baton);
    }

    /// Starts the hop of a record that does not go in with the batch, whether it had been added or not: say
    /// what became of it there. If nothing is said the record has failed: the table does not have it.
    #[must_use]
    pub fn take_out(&mut self, input: &Coordinates, baton: &Baton) -> Hop {
        self.tally.remove(input);
        Hop::insert(&self.recorder, &self.table, input, baton, &self.batch_id)
    }

    /// Says that the table has the batch.
    pub fn passed(mut self) {
        self.write(Some(Fate::Passed), None);
    }

    /// Says that the batch was given up: nothing else took its records.
    pub fn failed(mut self, error_type: &str, message: &str) {
        self.write(Some(Fate::Failed), Some((cut(error_type), cut(message))));
    }

    /// Says that an attempt failed and another will follow; the records stay pending.
    pub fn blocked(&mut self, error_type: &str, message: &str) {
        self.write(None, Some((cut(error_type), cut(message))));
        self.attempt += 1;
        self.start = now();
        next_span(&mut self.baton);
    }

    /// Leaves off in the middle, as [`Hop::leave_pending`] does: the records are pending.
    pub fn leave_pending(mut self) {
        self.write(None, None);
    }

    fn write(&mut self, fate: Option<Fate>, error: Option<(&str, &str)>) {
        let Some(TraceContext { trace_id, span_id: Some(span_id), flags, .. }) = self.baton.context
        else {
            return;
        };
        if self.is_empty() {
            return;
        }
        let mut attributes: Vec<(&str, Value<'_>)> = vec![
            ("db.system.name", "clickhouse".into()),
            ("db.operation.name", "INSERT".into()),
            ("db.collection.name", self.table.as_str().into()),
            ("tracebaton.batch.id", self.batch_id.as_str().into()),
        ];
        // One record is no batch (database semantic conventions).
        if self.len() > 1 {
            attributes.push(("db.operation.batch.size", self.len().cast_signed().into()));
        }
        attributes.extend(error.map(|(error_type, _)| ("error.type", error_type.into())));
        let span = SpanRecord {
            trace_id,
            span_id,
            parent: None,
            parent_is_remote: false,
            flags,
            tracestate: self.baton.tracestate.as_str(),
            name: &format!("INSERT {}", self.table),
            kind: SpanKind::Client,
            start: self.start,
            end: now(),
            attributes: &attributes,
            dropped_attributes: 0,
            links: &[],
            dropped_links: self.tally.dropped_links(),
            status: &error.map_or(Status::Unset, |(_, text)| Status::Error(text.to_owned())),
            exception: error,
        };
        self.tally.keep_span(&self.recorder, &span);
        let event = LedgerEvent {
            time: now(),
            trace_id,
            span_id,
            flags,
            kind: HopKind::Insert,
            name: &self.table,
            fates: Fates::default(),
            emitted: 0,
            range: None,
            reason: error.map(|(_, message)| message),
            error_type: error.map(|(error_type, _)| error_type),
            attempt: self.attempt,
            extra: &[("tracebaton.batch.id", self.batch_id.as_str().into())],
        };
        self.recorder.write(|room| self.tally.write(room, &event, fate));
    }
}

fn next_span(baton: &mut Baton) {
    if let Some(context) = &mut baton.context {
        context.span_id = Some(SpanId::generate());
    }
}
