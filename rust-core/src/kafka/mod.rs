//! Batons in Kafka headers, and traced producing and consuming with rdkafka.

mod headers;
mod receive;
mod send;

pub use headers::{OwnedBaton, ReadHeaders};
pub use receive::{HasHeaders, coordinates, extract, process};
pub use send::{Record, SendError, send_all};
