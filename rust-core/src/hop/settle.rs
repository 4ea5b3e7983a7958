//! What a hop knows, and how it becomes a span and ledger events once it is settled.

use std::{
    borrow::Cow,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    fate::{Coordinates, Fate, Fates, HopKind},
    ledger::{LedgerEvent, Range},
    output::Sends,
    recorder::Recorder,
    span::{Link, SpanKind, SpanRecord, Status, now},
    tally::Tally,
    value::{Digits, Value},
};
use crate::{
    propagate::Baton,
    wire::{SpanId, TraceContext},
};

/// What is fixed when the hop starts.
pub(super) struct Inner {
    pub(super) recorder: Recorder,
    pub(super) kind: HopKind,
    pub(super) span_kind: SpanKind,
    pub(super) input: Option<Coordinates>,
    pub(super) batch_id: Option<String>,
    /// What this hop hands on: the record's baton with this hop's span id in it.
    pub(super) baton: Baton,
    pub(super) context: TraceContext,
    pub(super) span_id: SpanId,
    pub(super) parent: Option<Link>,
    pub(super) start: u64,
    pub(super) state: Mutex<State>,
}

/// What changes while the hop goes on.
pub(super) struct State {
    pub(super) name: String,
    pub(super) span_name: String,
    pub(super) attributes: Vec<(Cow<'static, str>, Value<'static>)>,
    pub(super) dropped_attributes: u32,
    pub(super) links: Vec<Link>,
    pub(super) dropped_links: u32,
    pub(super) fate: Option<Fate>,
    pub(super) reason: Option<String>,
    pub(super) error_type: Option<String>,
    /// Whether an error was told, rather than read from an HTTP status.
    pub(super) is_exception: bool,
    pub(super) fates: Option<Fates>,
    /// The records of a batch.
    pub(super) tally: Option<Tally>,
    pub(super) attempt: u32,
    pub(super) open: usize,
    pub(super) unconfirmed: u64,
    pub(super) sends: Sends,
    pub(super) end: Option<u64>,
    /// Whether the recorder knows that the hop waits for its outputs.
    pub(super) is_waiting: bool,
    pub(super) is_settled: bool,
}

impl Inner {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the hop and settles it at once: outputs nobody has told of yet are unconfirmed.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.end.get_or_insert_with(now);
        if !state.is_settled {
            state.unconfirmed += std::mem::take(&mut state.open) as u64;
        }
        self.write(&mut state);
    }

    /// Writes the span and the ledger events, once.
    pub(super) fn write(&self, state: &mut State) {
        if !state.is_settled {
            state.is_settled = true;
            if std::mem::take(&mut state.is_waiting) {
                self.recorder.waits_no_more(self.span_id);
            }
            // The hop is settled now; its span has ended when it was said to have.
            let time = now();
            self.write_span(state, time);
            self.write_events(state, time);
        }
    }

    fn write_span(&self, state: &State, time: u64) {
        let is_error = state.is_error();
        let status = match (&state.reason, is_error) {
            // What a status says needs no words (HTTP semantic conventions, "Status").
            (Some(_), true) if !state.is_exception => Status::Error(String::new()),
            (Some(reason), true) => Status::Error(reason.clone()),
            _ => Status::Unset,
        };
        let mut attributes: Vec<(&str, Value<'_>)> =
            Vec::with_capacity(state.attributes.len() + 10);
        let digits;
        if let Some(input) = &self.input {
            digits = Digits::of(input.partition);
            attributes.push(("messaging.system", "kafka".into()));
            attributes.push(("messaging.destination.name", input.topic.as_str().into()));
            attributes.push(("messaging.destination.partition.id", digits.as_str().into()));
            attributes.push(("messaging.kafka.offset", input.offset.into()));
            if let Some(group) = &input.group {
                attributes.push(("messaging.consumer.group.name", group.as_str().into()));
            }
        }
        if let Some(error_type) = state.error_type.as_ref().filter(|_| is_error) {
            attributes.push(("error.type", error_type.as_str().into()));
        }
        if let Some(legacy) = self.baton.legacy_text() {
            attributes.push(("tracebaton.legacy_id", legacy.into()));
        }
        if let Some(batch_id) = &self.batch_id {
            attributes.push(("tracebaton.batch.id", batch_id.as_str().into()));
        }
        attributes.extend(state.attributes.iter().map(|(key, value)| (&**key, value.borrowed())));
        let own = self.parent.filter(|_| self.input.is_some());
        let (all, one);
        let links: &[Link] = match own {
            Some(own) if state.links.is_empty() => {
                one = [own];
                &one
            }
            own => {
                all = own.into_iter().chain(state.links.iter().copied()).collect::<Vec<_>>();
                &all
            }
        };
        self.recorder.span(&SpanRecord {
            trace_id: self.context.trace_id,
            span_id: self.span_id,
            parent: self.parent.map(|parent| parent.span_id),
            // Above a batch is its own poll.
            parent_is_remote: self.parent.is_some() && state.tally.is_none(),
            flags: self.context.flags,
            tracestate: self.baton.tracestate.as_str(),
            name: &state.span_name,
            kind: self.span_kind,
            start: self.start,
            end: state.end.unwrap_or(time),
            attributes: &attributes,
            dropped_attributes: state.dropped_attributes,
            links,
            dropped_links: state.dropped_links,
            status: &status,
            exception: match (&state.error_type, &state.reason, is_error && state.is_exception) {
                (Some(error_type), Some(reason), true) => Some((error_type, reason)),
                _ => None,
            },
        });
    }

    fn write_events(&self, state: &State, time: u64) {
        let mut extra: Vec<(&str, Value<'_>)> = Vec::new();
        if state.unconfirmed > 0 {
            let unconfirmed = state.unconfirmed.cast_signed();
            extra.push((UNCONFIRMED, unconfirmed.into()));
        }
        if let Some(legacy) = self.baton.legacy_text() {
            extra.push(("tracebaton.legacy_id", legacy.into()));
        }
        if let Some(batch_id) = &self.batch_id {
            extra.push(("tracebaton.batch.id", batch_id.as_str().into()));
        }
        let status = state.attributes.iter().find(|(key, _)| key == STATUS_CODE);
        extra.extend(status.map(|(key, value)| (&**key, value.borrowed())));
        let fates = match (self.kind, state.fates, state.fate) {
            (_, Some(fates), _) => fates,
            // A request without records, for instance a health check, has no place in the ledger.
            (HopKind::Receive, None, None) => Fates::default(),
            (_, None, fate) => Fates::one(fate.or(Some(Fate::Passed))),
        };
        if fates.records_in > 0 {
            let event = LedgerEvent {
                time,
                trace_id: self.context.trace_id,
                span_id: self.span_id,
                flags: self.context.flags,
                kind: self.kind,
                name: &state.name,
                fates,
                emitted: state.sends.emitted() + state.unconfirmed,
                range: self.input.as_ref().map(Range::of),
                reason: state.reason.as_deref(),
                error_type: state.error_type.as_deref(),
                attempt: state.attempt,
                extra: &extra,
            };
            match &state.tally {
                Some(tally) => {
                    tally.write(&self.recorder, &event, state.fate.or(Some(Fate::Passed)));
                }
                None => self.recorder.ledger(&event),
            }
        }
        state.sends.write(&self.recorder, time, self.context, self.baton.legacy_text());
    }
}

pub(super) const UNCONFIRMED: &str = "tracebaton.outputs.unconfirmed";
pub(super) const STATUS_CODE: &str = "http.response.status_code";

impl State {
    /// Returns the status a request was answered with; 0 where there is none.
    fn http_status(&self) -> i64 {
        let status = self.attributes.iter().find(|(key, _)| key == STATUS_CODE);
        match status {
            Some((_, Value::Int(code))) => *code,
            _ => 0,
        }
    }

    /// Tells whether the hop went wrong on this side: a 4xx is the client's fault and leaves a
    /// server span's status unset (HTTP semantic conventions, "Status").
    fn is_error(&self) -> bool {
        matches!(self.fate, Some(Fate::Failed | Fate::DeadLettered))
            && self.fates.is_none_or(|fates| fates.passed == 0)
            && !(400..500).contains(&self.http_status())
    }
}

impl Drop for Inner {
    /// Ends what was not ended: with the last handle the last output is gone too.
    fn drop(&mut self) {
        let mut state = self.lock();
        state.end.get_or_insert_with(now);
        self.write(&mut state);
    }
}
