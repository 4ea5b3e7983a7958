//! Our baton as OpenTelemetry knows it: a propagator, and the context that futures run in.
//!
//! OpenTelemetry's own `SpanContext` cannot hold all that a baton holds: its `TraceState` refuses
//! keys of Level 2, and the SDK resets the random flag of traces it does not sample. The baton
//! therefore travels beside it, as a value in the [`Context`].

mod baggage;
mod context;
mod ids;
mod propagator;
mod sampler;
#[cfg(feature = "otlp")]
mod spans;
#[cfg_attr(
    not(any(feature = "http", feature = "kafka")),
    allow(dead_code, reason = "our own carriers are who listens")
)]
pub(crate) mod stale;
#[cfg_attr(not(feature = "kafka"), allow(dead_code, reason = "carriers for Kafka give texts back"))]
pub(crate) mod texts;
#[cfg_attr(
    not(all(feature = "http", feature = "kafka")),
    allow(dead_code, reason = "our own carriers are who answers")
)]
pub(crate) mod usual;

pub use context::{baton_of, current, cx, cx_in};
pub use ids::{BatonIdGenerator, BatonTracer};
pub use opentelemetry::{Context, context::FutureExt};
pub use propagator::BatonPropagator;
pub use sampler::BatonSampler;
#[cfg(feature = "otlp")]
pub use spans::spans_to;
