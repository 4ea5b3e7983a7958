//! The decisions that all languages share: which format counts, whom to trust, what to refuse.

mod baton;
mod carried;
mod compact;
mod count;
mod extract;
mod field;
mod foreign;
mod inject;
mod legacy;
mod names;
mod payload;
mod process;
mod slots;
mod trust;

pub use baton::{Baton, Extracted, Format, Place, Refusal, Source, UnknownFormat};
pub use carried::{ActiveSpan, Carried};
pub use compact::Compact;
pub use count::refusals;
pub use extract::Places;
#[cfg(feature = "otel")]
pub(crate) use extract::Single;
pub use names::LegacyNames;
pub use payload::{DEFAULT_PATHS, DEFAULT_PAYLOAD_BYTES, DEFAULT_TARGET, PayloadError};
pub use trust::{Trust, UnknownTrust};

use std::borrow::Cow;

use self::{payload::Paths, slots::Slots};
use crate::wire::Baggage;

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
    slots: Slots,
    /// Whether formats and trust are the default's.
    is_usual: bool,
    /// Whether the default's formats are written, all baggage, and under five different names.
    writes_usual: bool,
    payload_paths: Paths,
    payload_bytes: usize,
    payload_target: Cow<'static, str>,
    baggage_keys: Option<Vec<String>>,
}

impl Default for Propagation {
    fn default() -> Self {
        let read = vec![Format::TraceContext, Format::Baggage, Format::Legacy];
        let legacy_names = LegacyNames::default();
        Self {
            slots: Slots::new(&read, &legacy_names),
            read,
            is_usual: true,
            writes_usual: true,
            write: vec![Format::TraceContext, Format::Baggage, Format::Legacy],
            trust: Trust::Continue,
            legacy_names,
            payload_paths: Paths::new(DEFAULT_PATHS.map(Cow::Borrowed)),
            payload_bytes: DEFAULT_PAYLOAD_BYTES,
            payload_target: Cow::Borrowed(DEFAULT_TARGET),
            baggage_keys: None,
        }
    }
}

impl Propagation {
    /// Sets the formats to read; the first that names a trace counts.
    #[must_use]
    pub fn with_read(mut self, formats: impl Into<Vec<Format>>) -> Self {
        self.read = formats.into();
        self.with_slots()
    }

    /// Sets the formats to write.
    #[must_use]
    pub fn with_write(mut self, formats: impl Into<Vec<Format>>) -> Self {
        self.write = formats.into();
        self.with_slots()
    }

    /// Sets what to do with a context that comes from outside.
    #[must_use]
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self.with_slots()
    }

    /// Sets the header names of the legacy id.
    #[must_use]
    pub fn with_legacy_names(mut self, names: LegacyNames) -> Self {
        self.legacy_names = names;
        self.with_slots()
    }

    /// Sets the dotted paths at which payloads are searched, in order.
    #[must_use]
    pub fn with_payload_paths(mut self, paths: impl IntoIterator<Item = String>) -> Self {
        self.payload_paths = Paths::new(paths.into_iter().map(Cow::Owned));
        self
    }

    /// Sets how many bytes of a payload are looked at.
    #[must_use]
    pub fn with_payload_bytes(mut self, most: usize) -> Self {
        self.payload_bytes = most;
        self
    }

    /// Sets the dotted path of the object into which a payload's baton is written, and reads it there
    /// too. The empty path is the payload itself.
    #[must_use]
    pub fn with_payload_target(mut self, path: impl Into<String>) -> Self {
        let path = path.into();
        self.payload_paths = self.payload_paths.with_target(&path);
        self.payload_target = path.into();
        self
    }

    /// Lets only these baggage keys in and out, compared without case: where keys are part of a
    /// header's name they have none.
    #[must_use]
    pub fn with_baggage_keys(mut self, keys: impl IntoIterator<Item = String>) -> Self {
        self.baggage_keys = Some(keys.into_iter().collect());
        self.with_slots()
    }

    /// Returns what to do with a context that comes from outside.
    #[must_use]
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// Prepares what follows from formats, names and trust.
    fn with_slots(mut self) -> Self {
        self.slots = Slots::new(&self.read, &self.legacy_names);
        self.is_usual = self.read == [Format::TraceContext, Format::Baggage, Format::Legacy]
            && self.trust == Trust::Continue
            && self.legacy_names.trace_ids().iter().all(|id| id.format.is_none());
        self.writes_usual = self.write == [Format::TraceContext, Format::Baggage, Format::Legacy]
            && self.baggage_keys.is_none()
            && self.legacy_names.are_apart();
        self
    }

    /// Returns the baggage that may pass.
    fn allowed<'a>(&self, baggage: &'a Baggage) -> Cow<'a, Baggage> {
        let Some(keys) = &self.baggage_keys else { return Cow::Borrowed(baggage) };
        let mut baggage = baggage.clone();
        baggage.retain(|key| keys.iter().any(|known| known.eq_ignore_ascii_case(key)));
        Cow::Owned(baggage)
    }
}
