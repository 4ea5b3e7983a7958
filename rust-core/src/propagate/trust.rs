//! Whom to believe.

use std::{fmt, str::FromStr};

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
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Continue, Self::Restart, Self::Ignore];

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

/// A name that is no policy's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownTrust(String);

impl fmt::Display for UnknownTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Trust::ALL.map(Trust::as_str).join(", ");
        write!(f, "no such policy (there are {known}): {}", self.0)
    }
}

impl std::error::Error for UnknownTrust {}

impl FromStr for Trust {
    type Err = UnknownTrust;

    /// Reads a policy's name.
    fn from_str(name: &str) -> Result<Self, UnknownTrust> {
        let known = Self::ALL.into_iter().find(|trust| trust.as_str() == name);
        known.ok_or_else(|| UnknownTrust(name.to_owned()))
    }
}
