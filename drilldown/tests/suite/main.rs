//! The real binary, as its users start it: over the network and on the command line.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod answers;
mod cli;
mod docs;
mod durability;
mod exporters;
mod support;
mod terminal;
