//! Questions to the store: what the CLI and the API both speak.

pub(crate) mod absent;
mod batches;
mod between;
pub(crate) mod diagnose;
mod elapsed;
mod excess;
mod findings;
pub(crate) mod id;
mod inputs;
pub(crate) mod ledger;
pub(crate) mod logs;
mod onward;
mod order;
mod others;
mod ranges;
mod silent;
#[cfg(test)]
mod tests;
pub(crate) mod trace;
mod untold;
pub(crate) mod verdict;
