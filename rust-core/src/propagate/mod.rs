//! The decisions that all languages share: which format counts, whom to trust, what to refuse.

mod baton;
mod carried;
mod extract;
mod field;
mod foreign;
mod inject;
mod legacy;
mod names;
mod payload;

pub use baton::{Baton, Extracted, Format, Place, Refusal, Source, UnknownFormat};
pub use carried::{ActiveSpan, Carried};
pub use extract::Places;
pub use names::LegacyNames;
pub use payload::{DEFAULT_PATHS, PayloadError};

use std::borrow::Cow;

use crate::wire::Baggage;

/// What to do with a context that comes from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Carry it on.
    #[default]
    Continue,
    /// Start a new trace that is linked to theirs.
    Restart,
    /// Take no notice of it.
    Ignore,
}

impl Trust {
    /// Returns the name that configuration uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Restart => "restart",
            Self::Ignore => "ignore",
        }
    }
}

/// How batons are read and written.
///
/// The default reads and writes W3C Trace Context, W3C Baggage and the legacy id.
///
/// # Examples
///
/// ```
/// use tracebaton::{carrier::{List, Medium}, propagate::Propagation};
///
/// let propagation = Propagation::default();
/// let incoming = List::new(Medium::Http, [("X-Trace-Id", Some("order-1234"))]);
/// let extracted = propagation.extract(&incoming);
/// assert_eq!(extracted.baton.legacy_text(), Some("order-1234"));
///
/// let mut outgoing = List::new(Medium::Kafka, [("trace_id", Some("old"))]);
/// propagation.inject(&extracted.baton, &mut outgoing);
/// assert_eq!(outgoing.entries(), [(b"trace_id".to_vec(), Some(b"order-1234".to_vec()))]);
/// ```
#[derive(Clone, Debug)]
pub struct Propagation {
    read: Vec<Format>,
    write: Vec<Format>,
    trust: Trust,
    legacy_names: LegacyNames,
    payload_paths: Vec<Cow<'static, str>>,
    payload_bytes: usize,
    baggage_keys: Option<Vec<String>>,
}

impl Default for Propagation {
    fn default() -> Self {
        Self {
            read: vec![Format::TraceContext, Format::Baggage, Format::Legacy],
            write: vec![Format::TraceContext, Format::Baggage, Format::Legacy],
            trust: Trust::Continue,
            legacy_names: LegacyNames::default(),
            payload_paths: DEFAULT_PATHS.map(Cow::Borrowed).to_vec(),
            payload_bytes: 64 << 10,
            baggage_keys: None,
        }
    }
}

impl Propagation {
    /// Sets the formats to read; the first that names a trace counts.
    #[must_use]
    pub fn with_read(mut self, formats: impl Into<Vec<Format>>) -> Self {
        self.read = formats.into();
        self
    }

    /// Sets the formats to write.
    #[must_use]
    pub fn with_write(mut self, formats: impl Into<Vec<Format>>) -> Self {
        self.write = formats.into();
        self
    }

    /// Sets what to do with a context that comes from outside.
    #[must_use]
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Sets the header names of the legacy id.
    #[must_use]
    pub fn with_legacy_names(mut self, names: LegacyNames) -> Self {
        self.legacy_names = names;
        self
    }

    /// Sets the dotted paths at which payloads are searched, in order.
    #[must_use]
    pub fn with_payload_paths(mut self, paths: impl IntoIterator<Item = String>) -> Self {
        self.payload_paths = paths.into_iter().map(Cow::Owned).collect();
        self
    }

    /// Lets only these baggage keys in and out, compared without case: where keys are part of a
    /// header's name they have none.
    #[must_use]
    pub fn with_baggage_keys(mut self, keys: impl IntoIterator<Item = String>) -> Self {
        self.baggage_keys = Some(keys.into_iter().collect());
        self
    }

    /// Returns what to do with a context that comes from outside.
    #[must_use]
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// Returns the baggage that may pass.
    fn allowed<'a>(&self, baggage: &'a Baggage) -> Cow<'a, Baggage> {
        let Some(keys) = &self.baggage_keys else { return Cow::Borrowed(baggage) };
        let mut baggage = baggage.clone();
        baggage.retain(|key| keys.iter().any(|known| known.eq_ignore_ascii_case(key)));
        Cow::Owned(baggage)
    }
}
