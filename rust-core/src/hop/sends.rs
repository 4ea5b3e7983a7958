//! What the outputs of one hop came to, by topic and partition.

use super::{
    consumer::Destination,
    counts::Signal,
    fate::{Fate, Fates},
    output::SendSpan,
    proto::{Writer, key},
    shard::Room,
    state::Inner,
    template::EventHead,
    value::{Value, encode_pair},
};
/// What the outputs of one hop came to.
///
/// A hop sends to few places, most often to one: a list is searched faster than anything else, and
/// its first place needs no memory of its own.
#[derive(Default)]
pub(super) struct Sends {
    first: Option<Delivered>,
    /// The span of the first message, which is written together with its hop's, unless it is made of one
    /// message of a batch.
    span: Option<SendSpan>,
    more: Vec<Delivered>,
    refused: Vec<Refused>,
}

/// The partition of what is acknowledged and nobody told where; no real one is negative.
pub(super) const UNPLACED: i32 = -1;

struct Delivered {
    destination: Destination,
    partition: i32,
    is_dead_letter: bool,
    count: u64,
    first: i64,
    last: i64,
}

struct Refused {
    destination: Destination,
    error_type: String,
    reason: String,
    is_dead_letter: bool,
    count: u64,
}

impl Refused {
    fn is(&self, topic: &str, error: (&str, &str), is_dead_letter: bool) -> bool {
        (self.destination.topic(), self.is_dead_letter) == (topic, is_dead_letter)
            && (self.error_type.as_str(), self.reason.as_str()) == error
    }
}

impl Sends {
    /// Counts a message that the broker has put where its span says; where the span is not kept, it
    /// is returned, to be written.
    #[inline]
    #[must_use]
    pub(super) fn deliver(
        &mut self,
        destination: Destination,
        span: SendSpan,
        is_dead_letter: bool,
    ) -> Option<(Destination, SendSpan)> {
        let (partition, offset) = span.place;
        let mut places = self.first.iter_mut().chain(&mut self.more);
        let known = places.find(|known| {
            (known.partition, known.is_dead_letter) == (partition, is_dead_letter)
                && known.destination.topic() == destination.topic()
        });
        if let Some(range) = known {
            range.count += 1;
            range.first = range.first.min(offset);
            range.last = range.last.max(offset);
            return Some((destination, span));
        }
        let place = |destination| {
            let (first, last) = (offset, offset);
            Delivered { destination, partition, is_dead_letter, count: 1, first, last }
        };
        if self.first.is_none() && span.origin.is_none() {
            self.first = Some(place(destination));
            self.span = Some(span);
            return None;
        }
        // A batch may be killed before it ends: that one of its records was sent on, no other span tells.
        if self.first.is_none() {
            self.first = Some(place(destination.clone()));
            return Some((destination, span));
        }
        self.more.push(place(destination.clone()));
        Some((destination, span))
    }

    /// Counts a message that was refused: events that say the same are one, or whoever reads them
    /// would take the second for the first that came twice.
    pub(super) fn refuse(
        &mut self,
        destination: Destination,
        (error_type, reason): (&str, &str),
        is_dead_letter: bool,
    ) {
        let (topic, error) = (destination.topic(), (error_type, reason));
        if let Some(known) =
            self.refused.iter_mut().find(|known| known.is(topic, error, is_dead_letter))
        {
            known.count += 1;
            return;
        }
        let (error_type, reason) = (error_type.to_owned(), reason.to_owned());
        self.refused.push(Refused { destination, error_type, reason, is_dead_letter, count: 1 });
    }

    fn delivered(&self) -> impl Iterator<Item = &Delivered> {
        self.first.iter().chain(&self.more)
    }

    /// Returns how many messages the broker has acknowledged.
    pub(super) fn emitted(&self) -> u64 {
        self.delivered().map(|range| range.count).sum()
    }

    /// Writes the span that was kept.
    pub(super) fn write_span(&self, hop: &Inner, room: &mut Room<'_>) {
        if let (Some(first), Some(span)) = (&self.first, &self.span) {
            span.write(hop, &first.destination, None, room);
        }
    }

    /// Writes the `send` events: one per topic and partition, and one for all that were
    /// refused in the same way.
    pub(super) fn write(&self, hop: &Inner, time: u64, room: &mut Room<'_>) {
        let (context, legacy) = (&hop.context, hop.baton.legacy_text());
        for sent in self.delivered() {
            let (fates, emitted) = (Fates::all(sent.count, Some(Fate::Passed)), sent.count);
            let place = (sent.partition != UNPLACED).then_some((sent.partition, sent.first));
            let head = EventHead { time, context, fates, emitted, place };
            room.push(Signal::Ledger, |out| {
                sent.destination.template().write_event(&head, out, |event| {
                    if sent.last != sent.first {
                        event.int(key!(6, "tracebaton.offset.last"), sent.last);
                    }
                    write_rest(event, sent.is_dead_letter, legacy);
                });
            });
        }
        for refused in &self.refused {
            let fates = Fates::all(refused.count, Some(Fate::Failed));
            let head = EventHead { time, context, fates, emitted: 0, place: None };
            room.push(Signal::Ledger, |out| {
                refused.destination.template().write_event(&head, out, |event| {
                    event.text_pair(6, "tracebaton.reason", &refused.reason);
                    event.text_pair(6, "error.type", &refused.error_type);
                    write_rest(event, refused.is_dead_letter, legacy);
                });
            });
        }
    }
}

#[inline]
fn write_rest(event: &mut Writer<'_>, is_dead_letter: bool, legacy: Option<&str>) {
    if is_dead_letter {
        encode_pair(event, 6, "tracebaton.dead_letter", &Value::Bool(true));
    }
    if let Some(legacy) = legacy {
        event.text_pair(6, "tracebaton.legacy_id", legacy);
    }
}
