//! The span of a request on its way out.

use super::describe::cut;
use crate::{
    hop::{LocalSpan, OTHER_METHOD, Recorder, SpanKind, Status, Value, http_method, http_name},
    propagate::Baton,
};

/// An HTTP request on its way out.
///
/// Inject [`Call::baton`] into its headers, then tell how it was answered. A call that is dropped
/// without a word was given up.
pub(super) struct Call {
    span: LocalSpan,
    is_ended: bool,
}

impl Call {
    /// Starts a call as a child of `parent`, or as a root where that has no context.
    pub(super) fn start(recorder: &Recorder, method: &str, parent: &Baton) -> Self {
        let name = http_name(method).to_owned();
        let mut span = LocalSpan::start(recorder, name, SpanKind::Client, parent);
        span.set("http.request.method", http_method(method));
        if http_method(method) == OTHER_METHOD {
            span.set("http.request.method_original", cut(method).to_owned());
        }
        Self { span, is_ended: false }
    }

    /// Returns what the request carries.
    pub(super) fn baton(&self) -> &Baton {
        self.span.baton()
    }

    /// Sets an attribute of the span.
    pub(super) fn set(&mut self, key: &'static str, value: impl Into<Value<'static>>) {
        self.span.set(key, value);
    }

    /// Says with which status it was answered; from 400 on the call has failed (HTTP semantic
    /// conventions, "Status").
    pub(super) fn answered(mut self, status: u16) {
        self.set("http.response.status_code", i64::from(status));
        let is_error = status >= 400;
        if is_error {
            self.set("error.type", status.to_string());
        }
        self.is_ended = true;
        let status = if is_error { Status::Error(String::new()) } else { Status::Unset };
        self.span.end(&status, None);
    }

    /// Says that there was no answer.
    pub(super) fn failed(mut self, error_type: &str, message: &str) {
        self.fail(error_type, message);
    }

    fn fail(&mut self, error_type: &str, message: &str) {
        let (error_type, message) = (cut(error_type), cut(message));
        self.is_ended = true;
        self.set("error.type", error_type.to_owned());
        self.span.end(&Status::Error(message.to_owned()), Some((error_type, message)));
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_ended {
            self.fail("canceled", "the request was given up before its answer");
        }
    }
}
