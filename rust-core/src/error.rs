//! What can be wrong with text from the wire, named once for all languages.

use std::fmt;

/// Why a text was refused; the strings are the same in every language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is longer or shorter than the format allows.
    BadLength,
    /// A byte stands where the format does not allow it.
    BadByte,
    /// The version is `ff`, or a version's own rules are broken.
    BadVersion,
    /// The trace id or the span id is all zeros.
    ZeroId,
    /// A header that may stand once stands several times.
    Duplicate,
    /// It names another trace than the header that goes before it.
    Conflict,
    /// There are more members than the format allows.
    TooMany,
    /// It is not text: not UTF-8, a header without a value, or a number in a payload.
    NotText,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::BadLength,
        Self::BadByte,
        Self::BadVersion,
        Self::ZeroId,
        Self::Duplicate,
        Self::Conflict,
        Self::TooMany,
        Self::NotText,
    ];

    /// Returns the name that logs, bindings and vectors use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadLength => "bad_length",
            Self::BadByte => "bad_byte",
            Self::BadVersion => "bad_version",
            Self::ZeroId => "zero_id",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::TooMany => "too_many",
            Self::NotText => "not_text",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is not what its format says, and where it stops being so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError {
    kind: ErrorKind,
    at: usize,
}

impl ParseError {
    /// Creates an error for the byte `at`.
    #[must_use]
    pub const fn new(kind: ErrorKind, at: usize) -> Self {
        Self { kind, at }
    }

    /// Returns what is wrong.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the position of the first byte that breaks the format.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.at)
    }
}

impl std::error::Error for ParseError {}
