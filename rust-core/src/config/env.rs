//! Settings of the environment.

use std::{env, ffi::OsString, path::PathBuf};

use super::{
    error::{ConfigError, Origin},
    key::KEYS,
    settings::Settings,
    value::Value,
};
use crate::propagate::Propagation;

/// The variable that names a file to be read first.
const FILE: &str = "TRACEBATON_CONFIG";
/// What the names of variables start with; a key follows, in upper case, with `_` for each dot.
const PREFIX: &str = "TRACEBATON_TRACING_";

impl Settings {
    /// Reads the file that `TRACEBATON_CONFIG` names, if it is set, and then the variables
    /// `TRACEBATON_TRACING_*`: `TRACEBATON_TRACING_TRUST` sets `trust`.
    ///
    /// An empty variable is as one that is not set.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names the variable, or the file and line.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_vars(env::vars_os())
    }

    /// Reads settings from variables that are given, as [`Settings::from_env`] does.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names the variable, or the file and line.
    pub fn from_vars<N: Into<OsString>, V: Into<OsString>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, ConfigError> {
        let mut settings = Self::default();
        let mut own = Vec::new();
        for (name, value) in variables {
            let (Ok(name), value) = (name.into().into_string(), value.into()) else { continue };
            if value.is_empty() {
                continue;
            }
            if name == FILE {
                settings = Self::from_yaml(PathBuf::from(value))?;
            } else if let Some(rest) = name.strip_prefix(PREFIX) {
                own.push((key_of(rest), name, value));
            }
        }
        for (key, name, value) in own {
            let read = match value.into_string() {
                Ok(text) => settings.set(&key, &Value::Text(text)),
                Err(_) => Err(ConfigError::bad(&key, "the value is not UTF-8")),
            };
            read.map_err(|error| error.at(Origin::Variable(name), &key))?;
        }
        Ok(settings)
    }
}

/// Returns the key of a variable; a name that is no key's is returned as it would be written.
fn key_of(rest: &str) -> String {
    let is_key = |key: &&&str| key.replace('.', "_").eq_ignore_ascii_case(rest);
    KEYS.iter().find(is_key).map_or_else(|| rest.to_ascii_lowercase(), |key| (*key).to_owned())
}

impl Propagation {
    /// Reads how batons are read and written from the environment ([`Settings::from_env`]).
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names the variable, or the file and line.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Settings::from_env()?.propagation())
    }
}
