//! Batons in Kafka headers, and traced producing and consuming with rdkafka.

mod headers;
mod receive;
mod send;

pub use headers::{OwnedBaton, ReadHeaders};
pub use receive::{HasHeaders, add, coordinates, extract, process, take_out};
pub use send::{Record, SendError, send_all};
