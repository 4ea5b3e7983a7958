//! How a hop becomes a span and ledger events once it is settled.

use std::sync::PoisonError;

use super::{
    clock::now,
    counts::Signal,
    fate::{Fate, Fates, HopKind},
    ledger::LedgerEvent,
    proto::{Writer, key},
    record::Hop,
    shard::Room,
    span::{write_error, write_exception, write_link},
    state::{Inner, Lost, Rare, STATUS_CODE, State, UNCONFIRMED},
    template::{EventHead, Form, OPERATION, SpanHead},
    value::{Value, encode_pair},
};

impl Inner {
    /// Ends the hop and settles it at once: outputs nobody has told of yet are unconfirmed.
    pub(super) fn close(&self) {
        self.close_in(&mut self.lock());
    }

    /// Closes the hop if nothing but word of its outputs is missing.
    pub(super) fn close_if_done(&self) {
        let mut state = self.lock();
        if state.end.is_some() || state.fate.is_some() {
            self.close_in(&mut state);
        }
    }

    /// Closes the hop, as nobody will hear more of it; unless it is done, it is pending.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.is_pending |= state.end.is_none();
        self.close_in(&mut state);
    }

    fn close_in(&self, state: &mut State) {
        if !state.is_settled {
            let time = now();
            state.end.get_or_insert(time);
            let made = self.outputs.count();
            state.unconfirmed += made.saturating_sub(state.told);
            state.told = made;
            self.write(state, time);
        }
    }

    /// Writes the span and the ledger events, once; it is settled now, and its span has ended when
    /// it was said to have.
    pub(super) fn write(&self, state: &mut State, time: u64) {
        if !state.is_settled {
            state.is_settled = true;
            if let Some(ticket) = state.waiting.take() {
                self.recorder.waits_no_more(&ticket);
            }
            let lost = take_out_lost(state);
            if self.template.kind == HopKind::Insert {
                state.fail_untold();
            }
            self.recorder.write(|room| {
                state.sends.write_span(self, room);
                if self.context.flags.is_sampled() {
                    let end = state.end.unwrap_or(time);
                    room.push(Signal::Spans, |out| self.write_span(state, end, out));
                }
                self.write_events(state, time, room);
            });
            for Lost { origin, error_type, reason } in lost {
                let hop = Hop::process(&self.recorder, &origin.input, &origin.baton);
                hop.failed(&error_type, &reason);
                hop.end();
            }
        }
    }

    fn write_span(&self, state: &State, end: u64, out: &mut Vec<u8>) {
        let head = SpanHead {
            context: &self.context,
            tracestate: self.baton.tracestate.as_str(),
            parent: self.parent.map(|parent| parent.span_id),
            // Above a batch is its own poll.
            is_parent_remote: state.rare.as_deref().is_none_or(|rare| rare.tally.is_none()),
            start: self.start,
            end,
            place: self.place,
            // A record's hop is linked to where the record came from.
            link: self.parent.as_ref().filter(|_| self.place.is_some()),
        };
        let rare = state.rare.as_deref();
        let form = if rare.is_some_and(Rare::has_operation) { Form::Bare } else { Form::Usual };
        self.template.write_span(form, &head, out, |span| {
            if let Some(legacy) = self.baton.legacy_text() {
                span.text_pair(9, "tracebaton.legacy_id", legacy);
            }
            span.text(5, state.span_name());
            span.raw(state.facts.encoded());
            if let Some(status) = state.status {
                span.int(key!(9, STATUS_CODE), i64::from(status));
            }
            if let Some(rare) = rare {
                if form == Form::Bare {
                    rare.write_operation(span, self.template.kind);
                }
                rare.write_span(span, end, state.is_error());
            }
        });
    }

    fn write_events(&self, state: &State, time: u64, room: &mut Room<'_>) {
        let rare = state.rare.as_deref();
        if let Some((rare, tally)) = rare.and_then(|rare| Some((rare, rare.tally.as_ref()?))) {
            self.write_batch(state, rare, time, |event, fate| tally.write(room, event, fate));
            return state.sends.write(self, time, room);
        }
        let fates = match (self.template.kind, rare.and_then(|rare| rare.fates), state.fate) {
            (_, Some(fates), _) => fates,
            // A request without records, for instance a health check, has no place in the ledger.
            (HopKind::Receive, None, None) => Fates::default(),
            // Nor has a batch that is left before it is told which records are in it.
            (HopKind::Process, None, _) if self.place.is_none() => Fates::default(),
            (_, None, _) => Fates::one(state.fate()),
        };
        if fates.records_in > 0 {
            let emitted = state.sends.emitted() + state.unconfirmed;
            let (context, place) = (&self.context, self.place);
            let head = EventHead { time, context, fates, emitted, place };
            room.push(Signal::Ledger, |out| {
                self.template.write_event(&head, out, |event| {
                    if state.attempt > 1 {
                        event.int_pair(6, "tracebaton.attempt", i64::from(state.attempt));
                    }
                    if state.unconfirmed > 0 {
                        let unconfirmed = state.unconfirmed.cast_signed();
                        event.int_pair(6, UNCONFIRMED, unconfirmed);
                    }
                    if let Some(legacy) = self.baton.legacy_text() {
                        event.text_pair(6, "tracebaton.legacy_id", legacy);
                    }
                    if !state.name().is_empty() {
                        event.text_pair(6, "tracebaton.hop.name", state.name());
                    }
                    if let Some(rare) = rare {
                        rare.write_event(event);
                    }
                    if let Some(status) = state.status() {
                        encode_pair(event, 6, STATUS_CODE, &status);
                    }
                });
            });
        }
        state.sends.write(self, time, room);
    }

    /// Hands `write` what the events of a batch have in common, and the fate of its records.
    fn write_batch(
        &self,
        state: &State,
        rare: &Rare,
        time: u64,
        write: impl FnOnce(&LedgerEvent<'_>, Option<Fate>),
    ) {
        let mut extra: Vec<(&str, Value<'_>)> = Vec::new();
        if state.unconfirmed > 0 {
            extra.push((UNCONFIRMED, state.unconfirmed.cast_signed().into()));
        }
        let event = LedgerEvent {
            time,
            trace_id: self.context.trace_id,
            span_id: self.span_id,
            flags: self.context.flags,
            kind: self.template.kind,
            name: "",
            fates: Fates::default(),
            emitted: state.sends.emitted() + state.unconfirmed,
            range: None,
            reason: rare.reason.as_deref(),
            error_type: rare.error_type.as_deref(),
            attempt: state.attempt,
            extra: &extra,
        };
        write(&event, state.fate());
    }
}

/// Takes the records out of a batch that were lost on their own, each once: they have events of their
/// own. Where the whole batch has failed they are part of it.
fn take_out_lost(state: &mut State) -> Vec<Lost> {
    let (fate, Some(rare)) = (state.fate, state.rare.as_deref_mut()) else { return Vec::new() };
    let mut lost = std::mem::take(&mut rare.lost);
    let tally = rare.tally.as_mut().filter(|_| fate != Some(Fate::Failed));
    match tally {
        Some(tally) => lost.retain(|lost| tally.remove(&lost.origin.input)),
        None => lost.clear(),
    }
    lost
}

impl Rare {
    /// Tells whether an attribute was set that templates have.
    fn has_operation(&self) -> bool {
        self.attributes.iter().any(|(key, _)| OPERATION.contains(&&**key))
    }

    /// Writes which operation the span is as far as that was not set.
    fn write_operation(&self, span: &mut Writer<'_>, kind: HopKind) {
        for key in OPERATION {
            if kind == HopKind::Process && !self.attributes.iter().any(|(own, _)| own == key) {
                span.text_pair(9, key, kind.as_str());
            }
        }
    }

    fn write_span(&self, span: &mut Writer<'_>, end: u64, is_error: bool) {
        if let Some(batch_id) = &self.batch_id {
            span.text_pair(9, "tracebaton.batch.id", batch_id);
        }
        for (key, value) in &self.attributes {
            encode_pair(span, 9, key, value);
        }
        if self.dropped_attributes > 0 {
            span.uint(10, u64::from(self.dropped_attributes));
        }
        match &self.tally {
            Some(tally) => tally.write_links(&self.links, span),
            None => self.links.iter().for_each(|link| write_link(span, link)),
        }
        if self.dropped_links > 0 {
            span.uint(14, u64::from(self.dropped_links));
        }
        if !is_error {
            return;
        }
        if let Some(error_type) = &self.error_type {
            span.text_pair(9, "error.type", error_type);
        }
        if let Some(reason) = &self.reason {
            // What a status says needs no words (HTTP semantic conventions, "Status").
            write_error(span, if self.is_exception { reason } else { "" });
            if let Some(error_type) = self.error_type.as_ref().filter(|_| self.is_exception) {
                write_exception(span, end, error_type, reason);
            }
        }
    }

    fn write_event(&self, event: &mut Writer<'_>) {
        if let Some(reason) = &self.reason {
            event.text_pair(6, "tracebaton.reason", reason);
        }
        if let Some(error_type) = &self.error_type {
            event.text_pair(6, "error.type", error_type);
        }
        if let Some(batch_id) = &self.batch_id {
            event.text_pair(6, "tracebaton.batch.id", batch_id);
        }
    }
}

impl Drop for Inner {
    /// Ends what was not ended: with the last handle the last output is gone too.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !state.is_settled {
            self.close();
        }
    }
}
