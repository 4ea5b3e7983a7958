//! Answers as text for a terminal.

mod text;
mod verdict;
mod waterfall;

pub(crate) use text::{json, logs, plain, width};
pub(crate) use verdict::verdict;
pub(crate) use waterfall::waterfall;
