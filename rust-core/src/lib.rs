//! One trace through the whole relay: HTTP, Kafka, transforms in three languages, ClickHouse.
//!
//! A **baton** is what a request hands on: its trace id, its parent span, its state and its
//! baggage. This crate reads and writes it in every format the relay meets, records what became of
//! each record at every hop, and exports that as OTLP.
//!
//! The floors, bottom to top: [`error`], [`wire`], [`carrier`], [`propagate`], [`hop`], then one
//! module per foreign type, each behind the feature of its name.

pub mod carrier;
mod clock;
#[cfg(feature = "config")]
pub mod config;
pub mod error;
pub mod hop;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "otel")]
pub mod otel;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod propagate;
pub mod sample;
#[cfg(feature = "tower")]
pub mod tower;
pub mod wire;

pub use error::ParseError;
pub use propagate::{Baton, Propagation};
pub use wire::{Flags, SpanId, TraceContext, TraceId};

/// The examples of this crate's README, which the documentation tests run.
#[cfg(all(doctest, feature = "kafka", feature = "tower"))]
#[doc = include_str!("../README.md")]
struct Readme;
