//! A span that is no hop of a record: work inside the process, or a call to another.

use std::borrow::Cow;

#[cfg(feature = "tower")]
use super::facts::Facts;
use super::{
    clock::now,
    counts::Signal,
    proto::Writer,
    record::{Begun, begin},
    recorder::Recorder,
    span::{MAX_ATTRIBUTES, SpanKind, SpanRecord, Status},
    value::Value,
};
use crate::{
    propagate::Baton,
    wire::{SpanId, TraceContext},
};

/// A span below whatever is current when it starts.
pub(crate) struct LocalSpan {
    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: SpanKind,
    recorder: Recorder,
    baton: Baton,
    context: TraceContext,
    parent: Option<SpanId>,
    start: u64,
    attributes: Vec<(&'static str, Value<'static>)>,
    dropped_attributes: u32,
}

impl LocalSpan {
    /// Starts a child of `parent`, or a root where that has no context.
    pub(crate) fn start(
        recorder: &Recorder,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        parent: &Baton,
    ) -> Self {
        let Begun { baton, context, parent, .. } = begin(recorder, parent);
        Self {
            name: name.into(),
            kind,
            recorder: recorder.clone(),
            baton,
            context,
            parent: parent.map(|above| above.span_id),
            start: now(),
            attributes: Vec::new(),
            dropped_attributes: 0,
        }
    }

    /// Returns what is handed on from inside the span.
    pub(crate) fn baton(&self) -> &Baton {
        &self.baton
    }

    /// Sets an attribute; the last value of a key stays.
    #[cfg_attr(not(feature = "log"), allow(dead_code, reason = "a call has its facts"))]
    pub(crate) fn set(&mut self, key: &'static str, value: impl Into<Value<'static>>) {
        let value = value.into();
        if let Some((_, old)) = self.attributes.iter_mut().find(|(known, _)| *known == key) {
            *old = value;
        } else if self.attributes.len() < MAX_ATTRIBUTES {
            self.attributes.push((key, value));
        } else {
            self.dropped_attributes += 1;
        }
    }

    /// Records the span.
    #[cfg(feature = "log")]
    pub(crate) fn end(&self, status: &Status) {
        self.record(status, None, |_| ());
    }

    /// Records the span of which these facts are known besides.
    #[cfg(feature = "tower")]
    pub(crate) fn end_with(&self, facts: &Facts, status: &Status, exception: Option<(&str, &str)>) {
        self.record(status, exception, |span| span.raw(facts.encoded()));
    }

    fn record(
        &self,
        status: &Status,
        exception: Option<(&str, &str)>,
        write_more: impl FnOnce(&mut Writer<'_>),
    ) {
        let Some(span_id) = self.context.span_id.filter(|_| self.context.flags.is_sampled()) else {
            return;
        };
        let record = SpanRecord {
            trace_id: self.context.trace_id,
            span_id,
            parent: self.parent,
            parent_is_remote: false,
            flags: self.context.flags,
            tracestate: self.baton.tracestate.as_str(),
            name: &self.name,
            kind: self.kind,
            start: self.start,
            end: now(),
            attributes: &self.attributes,
            dropped_attributes: self.dropped_attributes,
            links: &[],
            dropped_links: 0,
            status,
            exception,
        };
        self.recorder.write(|room| {
            room.push(Signal::Spans, |out| record.encode_linked(out, write_more));
        });
    }
}
