//! The exact text of each format, each with a strict reader and writer of its own.

mod context;
mod hex;
mod id;

pub use context::{Flags, TraceContext};
pub use id::{SpanId, TraceId};
