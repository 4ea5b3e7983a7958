//! A call to another service: a client span, and what the call carries. It is no hop of a record.

use super::{
    record::{Begun, OTHER, begin, cut, http_method, http_name},
    recorder::Recorder,
    span::{MAX_ATTRIBUTES, SpanKind, SpanRecord, Status, now},
    value::Value,
};
use crate::{
    propagate::Baton,
    wire::{SpanId, TraceContext},
};

/// An HTTP request on its way out.
///
/// Inject [`Call::baton`] into its headers, then tell how it was answered. A call that is dropped
/// without a word was given up.
pub(crate) struct Call {
    recorder: Recorder,
    name: String,
    baton: Baton,
    context: TraceContext,
    span_id: SpanId,
    parent: Option<SpanId>,
    start: u64,
    attributes: Vec<(&'static str, Value<'static>)>,
    is_ended: bool,
}

impl Call {
    /// Starts a call as a child of `parent`, or as a root where that has no context.
    pub(crate) fn start(recorder: &Recorder, method: &str, parent: &Baton) -> Self {
        let Begun { baton, context, span_id, parent } = begin(recorder, parent);
        let mut call = Self {
            recorder: recorder.clone(),
            name: http_name(method).to_owned(),
            baton,
            context,
            span_id,
            parent: parent.map(|above| above.span_id),
            start: now(),
            attributes: Vec::with_capacity(8),
            is_ended: false,
        };
        call.set("http.request.method", http_method(method));
        if http_method(method) == OTHER {
            call.set("http.request.method_original", cut(method).to_owned());
        }
        call
    }

    /// Returns what the request carries.
    pub(crate) fn baton(&self) -> &Baton {
        &self.baton
    }

    /// Sets an attribute of the span.
    pub(crate) fn set(&mut self, key: &'static str, value: impl Into<Value<'static>>) {
        if self.attributes.len() < MAX_ATTRIBUTES {
            self.attributes.push((key, value.into()));
        }
    }

    /// Says with which status it was answered; from 400 on the call has failed (HTTP semantic
    /// conventions, "Status").
    pub(crate) fn answered(mut self, status: u16) {
        self.set("http.response.status_code", i64::from(status));
        let is_error = status >= 400;
        if is_error {
            self.set("error.type", status.to_string());
        }
        let status = if is_error { Status::Error(String::new()) } else { Status::Unset };
        self.end(&status, None);
    }

    /// Says that there was no answer.
    pub(crate) fn failed(mut self, error_type: &str, message: &str) {
        self.fail(error_type, message);
    }

    fn fail(&mut self, error_type: &str, message: &str) {
        let (error_type, message) = (cut(error_type), cut(message));
        self.set("error.type", error_type.to_owned());
        self.end(&Status::Error(message.to_owned()), Some((error_type, message)));
    }

    fn end(&mut self, status: &Status, exception: Option<(&str, &str)>) {
        self.is_ended = true;
        self.recorder.span(&SpanRecord {
            trace_id: self.context.trace_id,
            span_id: self.span_id,
            parent: self.parent,
            parent_is_remote: false,
            flags: self.context.flags,
            tracestate: self.baton.tracestate.as_str(),
            name: &self.name,
            kind: SpanKind::Client,
            start: self.start,
            end: now(),
            attributes: &self.attributes,
            dropped_attributes: 0,
            links: &[],
            dropped_links: 0,
            status,
            exception,
        });
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_ended {
            self.fail("canceled", "the request was given up before its answer");
        }
    }
}
