//! A message on its way out of a hop, until the broker has it or is known not to.

use super::{
    clock::now,
    consumer::Destination,
    counts::Signal,
    fate::Coordinates,
    proto::key,
    record::{Hop, Unacknowledged, cut},
    sends::UNPLACED,
    span::{Link, write_error, write_exception, write_link},
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
    destination: Destination,
    baton: Baton,
    context: TraceContext,
    start: u64,
    /// The message of a batch that it was made of, if it was made of one alone.
    origin: Option<Box<Origin>>,
    is_dead_letter: bool,
    is_closed: bool,
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
    pub(super) fn start(hop: Hop, destination: Destination, is_dead_letter: bool) -> Self {
        let mut baton = hop.baton().clone();
        let context = TraceContext { span_id: Some(SpanId::generate()), ..hop.context() };
        baton.context = Some(context);
        let start = now();
        let (origin, is_closed) = (None, false);
        Self { hop, destination, baton, context, start, origin, is_dead_letter, is_closed }
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
        self.destination.topic()
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
        self.is_closed = true;
        let time = now();
        self.write_span(time, Some((partition, offset)), None);
        self.hop.close_output(time, |sends| {
            sends.deliver(self.destination.clone(), (partition, offset), self.is_dead_letter);
            Ok(())
        });
    }

    /// Says that the broker has it, where the client does not tell at which place.
    pub fn acknowledged(mut self) {
        self.is_closed = true;
        let time = now();
        self.write_span(time, None, None);
        self.hop.close_output(time, |sends| {
            sends.deliver(self.destination.clone(), (UNPLACED, 0), self.is_dead_letter);
            Ok(())
        });
    }

    /// Says that the broker or the client refused it. The hop's record has then failed.
    pub fn undelivered(mut self, error_type: &str, message: &str) {
        self.is_closed = true;
        let error = (cut(error_type), cut(message));
        let time = now();
        self.write_span(time, None, Some(error));
        let origin = self.origin.take();
        self.hop.close_output(time, |sends| {
            sends.refuse(self.destination.clone(), error, self.is_dead_letter);
            let (error_type, reason) = (error.0.to_owned(), error.1.to_owned());
            Err(Unacknowledged::Failed { error_type, reason, origin })
        });
    }

    fn write_span(&self, end: u64, place: Option<(i32, i64)>, error: Option<(&str, &str)>) {
        if !self.context.flags.is_sampled() {
            return;
        }
        let head = SpanHead {
            context: &self.context,
            tracestate: self.baton.tracestate.as_str(),
            parent: Some(self.hop.span_id()),
            is_parent_remote: false,
            start: self.start,
            end,
        };
        self.hop.recorder().write(|room| {
            room.push(Signal::Spans, |out| {
                self.destination.template().write_span(Form::Usual, &head, out, |span| {
                    if let Some((partition, offset)) = place {
                        span.partition(key!(9, "messaging.destination.partition.id"), partition);
                        span.int(key!(9, "messaging.kafka.offset"), offset);
                    }
                    if let Some(link) = self.origin.as_ref().and_then(|origin| origin.link()) {
                        write_link(span, &link);
                    }
                    if let Some((error_type, message)) = error {
                        span.text_pair(9, "error.type", error_type);
                        write_exception(span, end, error_type, message);
                        write_error(span, message);
                    }
                });
            });
        });
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.is_closed {
            let time = now();
            self.write_span(time, None, None);
            self.hop.close_output(time, |_| Err(Unacknowledged::Unknown));
        }
    }
}
