//! A message on its way out of a hop, until the broker has it or is known not to.

use super::{
    clock::now,
    consumer::Destination,
    counts::Signal,
    fate::Coordinates,
    record::{Hop, Unacknowledged, cut},
    sends::UNPLACED,
    shard::Room,
    span::{Link, write_error, write_exception, write_link},
    state::Inner,
    template::{Form, SpanHead},
};
use crate::{
    propagate::Baton,
    wire::{SpanId, TraceContext},
};

/// A message on its way to a topic.
///
/// Inject [`Output::baton`] into its headers, then tell what became of it. An output that is
/// dropped without a word counts as unconfirmed.
pub struct Output {
    hop: Hop,
    /// Where it goes, until it is told what became of it.
    destination: Option<Destination>,
    baton: Baton,
    span_id: SpanId,
    start: u64,
    /// The message of a batch that it was made of, if it was made of one alone.
    origin: Option<Box<Origin>>,
    is_dead_letter: bool,
}

/// One message of a batch.
pub(super) struct Origin {
    pub(super) input: Coordinates,
    pub(super) baton: Baton,
}

impl Origin {
    /// Returns the span that the message came with.
    fn link(&self) -> Option<Link> {
        let context = self.baton.context?;
        let (trace_id, span_id) = (context.trace_id, context.span_id?);
        Some(Link { trace_id, span_id, flags: context.flags })
    }
}

impl Output {
    #[inline]
    pub(super) fn start(hop: Hop, destination: Destination, is_dead_letter: bool) -> Self {
        let span_id = SpanId::generate();
        let context = Some(TraceContext { span_id: Some(span_id), ..hop.context() });
        let baton = Baton { context, ..hop.baton().clone() };
        let start = now();
        let (destination, origin) = (Some(destination), None);
        Self { hop, destination, baton, span_id, start, origin, is_dead_letter }
    }

    /// Says of which message of the batch it was made.
    pub(super) fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = Some(Box::new(origin));
        self
    }

    /// Returns what the message carries: the hop's baton with the span of this `send` in it.
    #[must_use]
    pub fn baton(&self) -> &Baton {
        &self.baton
    }

    /// Returns the topic it goes to.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.destination.as_ref().map_or("", Destination::topic)
    }

    /// Returns the hop it came out of.
    #[must_use]
    pub fn hop(&self) -> &Hop {
        &self.hop
    }

    /// Tells whether it is a dead letter.
    #[must_use]
    pub fn is_dead_letter(&self) -> bool {
        self.is_dead_letter
    }

    /// Says where the broker put it.
    pub fn delivered(mut self, partition: i32, offset: i64) {
        self.acknowledge((partition, offset));
    }

    /// Says that the broker has it, where the client does not tell at which place.
    pub fn acknowledged(mut self) {
        self.acknowledge((UNPLACED, 0));
    }

    fn acknowledge(&mut self, place: (i32, i64)) {
        if let Some(destination) = self.destination.take() {
            let time = now();
            let span = self.span(time, place);
            self.hop.acknowledge(time, destination, span, self.is_dead_letter);
        }
    }

    /// Says that the broker or the client refused it. The hop's record has then failed.
    pub fn undelivered(mut self, error_type: &str, message: &str) {
        let Some(destination) = self.destination.take() else { return };
        let error = (cut(error_type), cut(message));
        let time = now();
        let span = self.write_span(&destination, time, Some(error));
        self.hop.close_output(time, |sends| {
            sends.refuse(destination, error, self.is_dead_letter);
            let (error_type, reason) = (error.0.to_owned(), error.1.to_owned());
            let origin = span.origin;
            Unacknowledged::Failed { error_type, reason, origin }
        });
    }

    fn span(&mut self, end: u64, place: (i32, i64)) -> SendSpan {
        let origin = self.origin.take();
        SendSpan { span_id: self.span_id, start: self.start, end, place, origin }
    }

    /// Writes the span of what the broker does not have, and returns it.
    fn write_span(
        &mut self,
        destination: &Destination,
        end: u64,
        error: Option<(&str, &str)>,
    ) -> SendSpan {
        let span = self.span(end, (UNPLACED, 0));
        self.hop.recorder().write(|room| self.hop.write_send(&span, destination, error, room));
        span
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(destination) = self.destination.take() {
            let time = now();
            self.write_span(&destination, time, None);
            self.hop.close_output(time, |_| Unacknowledged::Unknown);
        }
    }
}

/// The span of a `send`, as far as its hop does not know it.
pub(super) struct SendSpan {
    span_id: SpanId,
    start: u64,
    end: u64,
    /// Where the broker put the message, or [`UNPLACED`].
    pub(super) place: (i32, i64),
    /// What the message was made of.
    pub(super) origin: Option<Box<Origin>>,
}

impl SendSpan {
    pub(super) fn write(
        &self,
        hop: &Inner,
        destination: &Destination,
        error: Option<(&str, &str)>,
        room: &mut Room<'_>,
    ) {
        if !hop.context.flags.is_sampled() {
            return;
        }
        let head = SpanHead {
            context: &TraceContext { span_id: Some(self.span_id), ..hop.context },
            tracestate: hop.baton.tracestate.as_str(),
            parent: Some(hop.span_id),
            is_parent_remote: false,
            start: self.start,
            end: self.end,
            place: (self.place.0 != UNPLACED).then_some(self.place),
            link: None,
        };
        room.push(Signal::Spans, |out| {
            destination.template().write_span(Form::Usual, &head, out, |span| {
                if let Some(link) = self.origin.as_ref().and_then(|origin| origin.link()) {
                    write_link(span, &link);
                }
                if let Some((error_type, message)) = error {
                    span.text_pair(9, "error.type", error_type);
                    write_exception(span, self.end, error_type, message);
                    write_error(span, message);
                }
            });
        });
    }
}
