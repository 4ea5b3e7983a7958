//! The whole relay on one machine: broker, ClickHouse, drilldown and the pipeline's services, as
//! child processes that end with this one. The demo and the end-to-end tests share it.
//!
//! Nothing is installed: the broker is built from `examples/embedded/broker`, ClickHouse comes as a
//! library out of an npm package. `KAFKA_BROKERS` and `CLICKHOUSE_URL` name real servers instead.

mod child;
mod layout;
mod part;
mod ports;
mod settled;
mod stack;

pub use child::Child;
pub use layout::Layout;
pub use part::Part;
pub use ports::{Ports, free_port};
pub use settled::is_settled;
pub use stack::Stack;
