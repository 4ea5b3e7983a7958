//! Settings, and the rules that are made of them.

use std::sync::Arc;

use super::{error::ConfigError, key, value::Value};
use crate::{
    hop::Recorder,
    propagate::{Format, LegacyNames, Propagation, Trust},
};

/// Settings by key; one that is not set keeps its default.
///
/// Code, variables and files set the same keys ([`KEYS`](super::KEYS)); what is set later counts.
///
/// # Examples
///
/// ```
/// use tracebaton::{config::Settings, propagate::Trust};
///
/// let settings = Settings::default().with("trust", "restart")?.with("sample_rate", 0.1)?;
/// assert_eq!(settings.propagation().trust(), Trust::Restart);
/// assert_eq!(settings.sample_rate(), Some(0.1));
///
/// let error = Settings::default().with("trust", "maybe").unwrap_err();
/// let text = "trust: no such policy (there are continue, restart, ignore): maybe";
/// assert_eq!(error.to_string(), text);
/// # Ok::<(), tracebaton::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    pub(super) enabled: Option<bool>,
    pub(super) read: Option<Vec<Format>>,
    pub(super) write: Option<Vec<Format>>,
    pub(super) trust: Option<Trust>,
    pub(super) baggage_keys: Option<Vec<String>>,
    pub(super) sample_rate: Option<f64>,
    pub(super) headers: Option<Vec<String>>,
    pub(super) payload_fields: Option<Vec<String>>,
    pub(super) payload_bytes: Option<usize>,
    pub(super) trace_id_header: Option<String>,
    pub(super) span_id_header: Option<String>,
    pub(super) baggage_prefix: Option<String>,
    pub(super) payload_path: Option<String>,
}

impl Settings {
    /// Sets one key.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] where there is no such key, or it cannot have this value.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Result<Self, ConfigError> {
        self.set(key, &value.into())?;
        Ok(self)
    }

    pub(super) fn set(&mut self, key: &str, value: &Value) -> Result<(), ConfigError> {
        key::apply(self, key, value)
    }

    /// Returns the share of new traces that are sampled, if it is set: for
    /// [`Recorder::set_sample_rate`](crate::hop::Recorder::set_sample_rate), or for the sampler of an
    /// SDK.
    #[must_use]
    pub fn sample_rate(&self) -> Option<f64> {
        self.sample_rate
    }

    /// Returns how batons are read and written.
    #[must_use]
    pub fn propagation(&self) -> Propagation {
        if self.enabled == Some(false) {
            return Propagation::default().with_read([]).with_write([]).with_trust(Trust::Ignore);
        }
        let mut propagation = Propagation::default().with_legacy_names(self.legacy_names());
        if let Some(formats) = &self.read {
            propagation = propagation.with_read(formats.clone());
        }
        if let Some(formats) = &self.write {
            propagation = propagation.with_write(formats.clone());
        }
        if let Some(trust) = self.trust {
            propagation = propagation.with_trust(trust);
        }
        if let Some(keys) = &self.baggage_keys {
            propagation = propagation.with_baggage_keys(keys.iter().cloned());
        }
        if let Some(paths) = &self.payload_fields {
            propagation = propagation.with_payload_paths(paths.iter().cloned());
        }
        if let Some(bytes) = self.payload_bytes {
            propagation = propagation.with_payload_bytes(bytes);
        }
        if let Some(path) = &self.payload_path {
            propagation = propagation.with_payload_target(path);
        }
        propagation
    }

    /// Makes these the settings of the process: of [`Propagation::of_process`], and of the process's
    /// [`Recorder`].
    pub fn use_in_process(&self) {
        Arc::new(self.propagation()).set_for_process();
        if let Some(rate) = self.sample_rate {
            Recorder::global().set_sample_rate(rate);
        }
    }

    fn legacy_names(&self) -> LegacyNames {
        let mut names = LegacyNames::default();
        let others = self.headers.iter().flatten();
        let ids: Vec<&String> = self.trace_id_header.iter().chain(others).collect();
        if !ids.is_empty() {
            names = names.with_trace_ids(ids);
        }
        if let Some(name) = &self.span_id_header {
            names = names.with_span_id(name);
        }
        if let Some(prefix) = &self.baggage_prefix {
            names = names.with_baggage_prefix(prefix);
        }
        names
    }
}
