//! The exact text of each format, each with a strict reader and writer of its own.

pub mod b3;
mod baggage;
mod context;
pub mod datadog;
pub mod gcp;
mod hex;
mod id;
pub mod jaeger;
mod legacy;
mod plain;
mod random;
mod sighting;
mod text;
mod tracestate;
pub mod xray;

pub use baggage::{Baggage, BaggageEntry};
pub use context::{Flags, TraceContext};
pub use id::{SpanId, TraceId};
pub use legacy::{LegacyId, LegacyKind};
pub use random::forked;
pub use sighting::Sighting;
pub use tracestate::TraceState;

#[cfg(feature = "config")]
pub(crate) use baggage::is_token;
#[cfg(feature = "tower")]
pub(crate) use text::ascii;
#[cfg(feature = "otlp")]
pub(crate) use text::percent_decode;
pub(crate) use text::{text, trim};
