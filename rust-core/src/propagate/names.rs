//! The header names of the legacy id: the one part of the wire that every company spells its own way.

use std::borrow::Cow;

use super::{baton::Format, foreign::format_of};
use crate::carrier::Medium;

/// The headers in which an id of the old kind, its span and its baggage are found.
///
/// # Examples
///
/// ```
/// use tracebaton::{carrier::{List, Medium}, propagate::{LegacyNames, Propagation}};
///
/// let names = LegacyNames::default().with_trace_ids(["X-Request-Id"]);
/// let propagation = Propagation::default().with_legacy_names(names);
/// let incoming = List::new(Medium::Http, [("x-request-id", Some("order-1234"))]);
/// assert_eq!(propagation.extract(&incoming).baton.legacy_text(), Some("order-1234"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyNames {
    /// In the order they are looked at.
    trace_ids: Vec<IdName>,
    /// As it is written over HTTP.
    written: Cow<'static, str>,
    span_id: Cow<'static, str>,
    baggage_prefix: Cow<'static, str>,
}

/// A header that names a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IdName {
    /// Lower case.
    pub(super) name: Cow<'static, str>,
    /// The format to which the name belongs, where it is not just a legacy id's.
    pub(super) format: Option<Format>,
}

impl IdName {
    fn new(name: impl Into<Cow<'static, str>>) -> Self {
        let name = name.into();
        Self { format: format_of(&name), name }
    }
}

impl Default for LegacyNames {
    fn default() -> Self {
        Self {
            trace_ids: ["x-trace-id", "trace_id"].map(IdName::new).to_vec(),
            written: Cow::Borrowed(Medium::Http.legacy_name()),
            span_id: Cow::Borrowed("x-span-id"),
            baggage_prefix: Cow::Borrowed("x-baggage-"),
        }
    }
}

impl LegacyNames {
    /// Sets the names of the id in the order they are looked at; the first is the one that is
    /// written over HTTP. Kafka's `trace_id` is always read last, and written there.
    ///
    /// A name that belongs to another format, `X-B3-TraceId` for instance, is read as that format
    /// where its place in the order is, and never written here.
    #[must_use]
    pub fn with_trace_ids<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let kafka = Medium::Kafka.legacy_name();
        let mut written = None;
        self.trace_ids.clear();
        for name in names {
            let name: String = name.into();
            let id = IdName::new(name.to_ascii_lowercase());
            if written.is_none() && id.format.is_none() && id.name != kafka {
                written = Some(name);
            }
            self.trace_ids.push(id);
        }
        self.written = written.map_or(Cow::Borrowed(Medium::Http.legacy_name()), Cow::Owned);
        if !self.trace_ids.iter().any(|id| id.name == kafka) {
            self.trace_ids.push(IdName::new(kafka));
        }
        self
    }

    /// Sets the name of the span id.
    #[must_use]
    pub fn with_span_id(mut self, name: impl Into<String>) -> Self {
        self.span_id = name.into().to_ascii_lowercase().into();
        self
    }

    /// Sets what the names of baggage start with.
    #[must_use]
    pub fn with_baggage_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.baggage_prefix = prefix.into().to_ascii_lowercase().into();
        self
    }

    pub(super) fn trace_ids(&self) -> &[IdName] {
        &self.trace_ids
    }

    pub(super) fn written(&self, medium: Medium) -> &str {
        if medium == Medium::Http { &self.written } else { medium.legacy_name() }
    }

    /// Tells whether what is written has names that nothing else has that is written by default.
    pub(super) fn are_apart(&self) -> bool {
        let ids = [&*self.written, Medium::Kafka.legacy_name()];
        let taken = ["traceparent", "tracestate", "baggage", &self.span_id];
        ids.iter().all(|id| taken.iter().all(|name| !id.eq_ignore_ascii_case(name)))
            && taken.iter().take(3).all(|name| *name != self.span_id)
    }

    pub(super) fn span_id(&self) -> &Cow<'static, str> {
        &self.span_id
    }

    pub(super) fn baggage_prefix(&self) -> &Cow<'static, str> {
        &self.baggage_prefix
    }
}
