//! Questions to the store: what the CLI and the API both speak.

pub(crate) mod diagnose;
pub(crate) mod id;
pub(crate) mod ledger;
pub(crate) mod trace;
