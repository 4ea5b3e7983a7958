//! Tests of the public surface, in one binary.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[cfg(feature = "config")]
mod configuration;
mod hostile;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "log")]
mod log;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(feature = "otel")]
mod passing;
mod properties;
#[cfg(all(feature = "otel", feature = "log"))]
mod sdk;
mod support;
#[cfg(feature = "tower")]
mod tower;
mod vectors;
