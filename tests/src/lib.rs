//! The running relay, as a test looks at it: HTTP in front, Kafka in the middle, rows and drilldown
//! at the end.

mod kafka;
mod relay;

pub use kafka::{Message, read_topic};
pub use relay::{Answer, Relay, Sender, event};

/// The README's examples in Rust, which the documentation tests run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
