//! Faults at full size: minutes of outages, millions of hops. Everything here is about time or
//! memory, so one test runs after the other, and each says what it measured.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod latency;
mod memory;
mod outage;
#[path = "../suite/support/mod.rs"]
mod support;
