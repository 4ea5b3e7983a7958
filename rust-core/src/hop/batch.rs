//! The hop of messages that were polled together and are handled together.

use super::{
    clock::now,
    fate::Coordinates,
    output::{Origin, Output},
    record::Hop,
    recorder::Recorder,
    span::{SpanKind, SpanRecord, Status},
    tally::Tally,
    value::{Digits, Value},
};
use crate::{
    propagate::Baton,
    wire::{SpanId, TraceContext, TraceId},
};

/// The messages of one poll, where they share what becomes of them.
///
/// Whatever the batch's size it costs a `poll` span, a `process` span and one event per partition.
/// It has a trace of its own: the messages' traces are linked from its spans and listed whole in its
/// events. A message whose end is another is taken out by [`Batch::take_out`] and has a hop of its
/// own. What is made of one message can be told to be ([`Batch::output_of`]), but is in the batch's
/// trace all the same: where each message's own trace is to go on, each is a hop, see [`Hop::process`].
///
/// The batch passes once it was said to have and all that was made of it is acknowledged. One that is
/// dropped without a word has failed.
///
/// # Examples
///
/// ```
/// use tracebaton::hop::{Batch, Coordinates, Recorder};
/// use tracebaton::propagate::Baton;
///
/// let at = |offset| Coordinates {
///     topic: "orders".into(),
///     partition: 0,
///     offset,
///     group: Some("totals".into()),
/// };
/// let mut batch = Batch::poll(Recorder::global());
/// for offset in 0..3 {
///     batch.add(&at(offset), &Baton::default());
/// }
/// batch.polled();
/// batch.take_out(&at(1), &Baton::default()).filtered("a test order");
/// assert_eq!(batch.len(), 2);
/// let total = batch.output("totals");
/// batch.passed();
/// total.delivered(0, 7);
/// ```
pub struct Batch {
    recorder: Recorder,
    tally: Tally,
    start: u64,
    /// The `poll` span, below which all else is.
    poll: Baton,
    hop: Option<Hop>,
    is_told: bool,
    /// How often the recorder had been forgotten: a child of a fork lets go of its parent's in silence.
    age: u64,
}

impl Batch {
    /// Starts a batch that is about to be polled.
    #[must_use]
    pub fn poll(recorder: &Recorder) -> Self {
        let context = TraceContext::root(TraceId::generate());
        let root = Baton { context: Some(context), ..Baton::default() };
        let mut poll = recorder.decide_on(root);
        if let Some(context) = &mut poll.context {
            context.span_id = Some(SpanId::generate());
        }
        let (tally, start, age) = (Tally::default(), now(), recorder.age());
        Self { recorder: recorder.clone(), tally, start, poll, hop: None, is_told: false, age }
    }

    /// Adds a message. One that is added again is the same input, and counts once; if it had been taken
    /// out it is in again.
    pub fn add(&mut self, input: &Coordinates, baton: &Baton) {
        self.tally.add(input, baton);
    }

    /// Returns how many messages are in.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.tally.len()
    }

    /// Tells whether no message is in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Says that the messages are there, and that work on them begins now.
    pub fn polled(&mut self) {
        self.process();
    }

    /// Returns the batch as a hop: its trace, its span, and what is current for work on all of it.
    pub fn hop(&mut self) -> &Hop {
        self.process()
    }

    /// Starts a message that is made of the whole batch; it is in the batch's own trace.
    #[must_use]
    pub fn output(&mut self, topic: &str) -> Output {
        self.process().output(topic)
    }

    /// Starts a message that is made of this one of the batch: it is in the batch's own trace, linked to
    /// that message's. If it is refused, that message alone has failed.
    ///
    /// # Examples
    ///
    /// ```
    /// use tracebaton::hop::{Batch, Coordinates, Recorder};
    /// use tracebaton::propagate::Baton;
    ///
    /// let at = |offset| Coordinates { topic: "orders".into(), partition: 0, offset, group: None };
    /// let mut batch = Batch::poll(Recorder::global());
    /// batch.add(&at(7), &Baton::default());
    /// batch.add(&at(8), &Baton::default());
    /// let [first, second] = [7, 8].map(|n| batch.output_of("invoices", &at(n), &Baton::default()));
    /// batch.passed();
    /// first.delivered(0, 1);
    /// second.undelivered("MessageSizeTooLarge", "8 has failed, 7 has passed");
    /// ```
    #[must_use]
    pub fn output_of(&mut self, topic: &str, input: &Coordinates, baton: &Baton) -> Output {
        self.process().output_of(topic, Origin { input: input.clone(), baton: baton.clone() })
    }

    /// Takes a message out of the batch and starts its own hop: say what became of it there.
    #[must_use]
    pub fn take_out(&mut self, input: &Coordinates, baton: &Baton) -> Hop {
        self.tally.remove(input);
        Hop::process(&self.recorder, input, baton)
    }

    /// Says that the batch is done with; it passes once its outputs are acknowledged.
    pub fn passed(mut self) {
        self.is_told = true;
        self.end();
    }

    /// Says that the batch was given up: nothing else took its messages.
    pub fn failed(mut self, error_type: &str, message: &str) {
        self.fail(error_type, message);
    }

    /// Leaves off in the middle, as [`Hop::leave_pending`] does.
    pub fn leave_pending(mut self) {
        self.is_told = true;
        let hop = self.process().clone();
        hop.interrupt();
        self.end();
        hop.close();
    }

    fn fail(&mut self, error_type: &str, message: &str) {
        self.is_told = true;
        self.process().failed(error_type, message);
        self.end();
    }

    /// Ends the `poll` span and starts the work, unless that was done before.
    fn process(&mut self) -> &Hop {
        if self.hop.is_none() {
            self.write_poll();
        }
        self.hop.get_or_insert_with(|| Hop::batch(&self.recorder, &self.poll))
    }

    fn end(&mut self) {
        // A poll that brought nothing is no hop, unless something was made of it all the same.
        if self.tally.len() > 0 || self.hop.is_some() {
            // The span of the poll tells of the messages too.
            let hop = self.process().clone();
            let tally = std::mem::take(&mut self.tally);
            for (key, value) in attributes(&tally) {
                hop.set(key, value.into_owned());
            }
            hop.end_batch(tally);
        }
    }

    fn write_poll(&self) {
        let Some(context) = self.poll.context.filter(|_| self.tally.len() > 0) else { return };
        let Some(span_id) = context.span_id else { return };
        let mut attributes = attributes(&self.tally);
        attributes.push(("messaging.operation.type", "receive".into()));
        attributes.push(("messaging.operation.name", "poll".into()));
        let span = SpanRecord {
            trace_id: context.trace_id,
            span_id,
            parent: None,
            parent_is_remote: false,
            flags: context.flags,
            tracestate: self.poll.tracestate.as_str(),
            name: &name("poll", &self.tally),
            kind: SpanKind::Client,
            start: self.start,
            end: now(),
            attributes: &attributes,
            dropped_attributes: 0,
            links: &[],
            dropped_links: self.tally.dropped_links(),
            status: &Status::Unset,
            exception: None,
        };
        self.tally.keep_span(&self.recorder, &span);
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if !self.is_told && self.tally.len() > 0 && self.age == self.recorder.age() {
            self.fail("Dropped", "the batch was dropped and nobody said what became of it");
        }
    }
}

/// Returns a span's name: with the topic, where all messages are of one (messaging conventions,
/// "Span name").
pub(super) fn name(operation: &str, tally: &Tally) -> String {
    match tally.place() {
        Some((topic, _)) => format!("{operation} {topic}"),
        None => operation.to_owned(),
    }
}

/// Returns what is equal for all messages of a batch.
fn attributes(tally: &Tally) -> Vec<(&'static str, Value<'_>)> {
    let mut attributes = vec![
        ("messaging.system", "kafka".into()),
        ("messaging.batch.message_count", tally.len().cast_signed().into()),
    ];
    if let Some((topic, partition)) = tally.place() {
        attributes.push(("messaging.destination.name", topic.into()));
        if let Some(partition) = partition {
            let digits = Digits::of(partition).as_str().to_owned();
            attributes.push(("messaging.destination.partition.id", digits.into()));
        }
    }
    attributes.extend(tally.group().map(|group| ("messaging.consumer.group.name", group.into())));
    attributes
}
