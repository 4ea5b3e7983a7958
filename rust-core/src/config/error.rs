//! A wrong key or value, and where it stands.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// What is wrong with a configuration; the strings are the same in every language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigErrorKind {
    /// There is no such key.
    UnknownKey,
    /// The key is known, its value is not one it can have.
    BadValue,
    /// The file is not YAML.
    Syntax,
    /// The file cannot be read.
    Unreadable,
}

impl ConfigErrorKind {
    /// Returns the name that bindings use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown_key",
            Self::BadValue => "bad_value",
            Self::Syntax => "syntax",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Code,
    Variable(String),
    File(PathBuf, Option<usize>),
}

/// A configuration that cannot be taken.
///
/// Its text names the file and line, or the variable, and then the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    kind: ConfigErrorKind,
    origin: Origin,
    key: String,
    what: String,
}

impl ConfigError {
    pub(super) fn new(kind: ConfigErrorKind, key: &str, what: impl fmt::Display) -> Self {
        Self { kind, origin: Origin::Code, key: key.to_owned(), what: what.to_string() }
    }

    pub(super) fn bad(key: &str, what: impl fmt::Display) -> Self {
        Self::new(ConfigErrorKind::BadValue, key, what)
    }

    /// Says where it is; `key` is the key as it is written there.
    pub(super) fn at(self, origin: Origin, key: &str) -> Self {
        Self { origin, key: key.to_owned(), ..self }
    }

    /// Returns what is wrong.
    #[must_use]
    pub fn kind(&self) -> ConfigErrorKind {
        self.kind
    }

    /// Returns the key as it was written; empty where the whole file is meant.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the file it is in, unless it is not in one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.origin {
            Origin::File(path, _) => Some(path),
            _ => None,
        }
    }

    /// Returns the line of the file, the first being 1.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match &self.origin {
            Origin::File(_, line) => *line,
            _ => None,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Code => {}
            Origin::Variable(name) => write!(f, "{name}: ")?,
            Origin::File(path, None) => write!(f, "{}: ", path.display())?,
            Origin::File(path, Some(line)) => write!(f, "{}:{line}: ", path.display())?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for ConfigError {}
