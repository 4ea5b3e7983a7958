//! The span of a request on its way out.

use http::{Uri, Version};

use super::describe::{cut, describe_sent, describe_version};
use crate::{
    hop::{
        Facts, LocalSpan, Recorder, SpanKind, Status, attribute, describe_method, http_method,
        named,
    },
    propagate::Baton,
};

/// An HTTP request on its way out.
///
/// Inject [`Call::baton`] into its headers, then tell how it was answered. A call that is dropped
/// without a word was given up.
pub(super) struct Call {
    span: LocalSpan,
    facts: Facts,
    is_ended: bool,
}

impl Call {
    /// Starts a call as a child of `parent`, or as a root where that has no context.
    pub(super) fn start(recorder: &Recorder, method: &str, uri: &Uri, parent: &Baton) -> Self {
        let known = http_method(method);
        let name = named(known);
        let span = LocalSpan::start(recorder, name, SpanKind::Client, parent);
        let mut facts = Facts::new("", name);
        describe_method(&mut facts, known, method);
        describe_sent(&mut facts, uri);
        Self { span, facts, is_ended: false }
    }

    /// Returns what the request carries.
    pub(super) fn baton(&self) -> &Baton {
        self.span.baton()
    }

    /// Says with which status it was answered; from 400 on the call has failed (HTTP semantic
    /// conventions, "Status").
    pub(super) fn answered(mut self, status: u16, version: Version) {
        describe_version(&mut self.facts, version);
        self.facts.int(attribute!("http.response.status_code"), i64::from(status));
        let is_error = status >= 400;
        if is_error {
            self.facts.text(attribute!("error.type"), &status.to_string());
        }
        self.is_ended = true;
        let status = if is_error { Status::Error(String::new()) } else { Status::Unset };
        self.span.end_with(&self.facts, &status, None);
    }

    /// Says that there was no answer.
    pub(super) fn failed(mut self, error_type: &str, message: &str) {
        self.fail(error_type, message);
    }

    fn fail(&mut self, error_type: &str, message: &str) {
        let (error_type, message) = (cut(error_type), cut(message));
        self.is_ended = true;
        self.facts.text(attribute!("error.type"), error_type);
        let status = Status::Error(message.to_owned());
        self.span.end_with(&self.facts, &status, Some((error_type, message)));
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_ended {
            self.fail("canceled", "the request was given up before its answer");
        }
    }
}
