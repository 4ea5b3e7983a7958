//! What happened at a hop: a span, a ledger event, a log line; plain data, encoded once.
//!
//! A **hop** is one thing that happens to a record: received over HTTP, sent to Kafka, processed by
//! a transform, inserted into a table. [`Hop`] is one record's (or one request's) hop, [`Output`]
//! a message on its way out of it, [`Batch`] the hop of messages that were polled together, [`Insert`]
//! that of a batch into a table. All of them hand what they saw to a [`Recorder`], which keeps it as OTLP bytes in bounded memory until an exporter
//! takes it.
//!
//! Two laws hold over the ledger (the records of every hop are counted by their [`Fate`]):
//!
//! 1. at a hop, per consumer group and input coordinate:
//!    `in = passed + filtered + failed + dead_lettered + pending`;
//! 2. between hops, per topic and group: `emitted = in + waiting + expired + unseen`.

mod batch;
mod consumer;
mod counts;
mod facts;
mod fate;
#[cfg(feature = "otlp")]
mod finished;
mod insert;
mod json;
mod ledger;
#[cfg(any(feature = "log", feature = "tower"))]
mod local;
mod log;
mod outcome;
mod output;
mod place;
mod proto;
mod record;
mod recorder;
mod sends;
mod settle;
mod shard;
mod span;
mod state;
mod taken;
mod tally;
mod template;
#[cfg(test)]
mod tests;
mod timestamp;
mod value;
mod waiting;

use crate::clock;

pub use batch::Batch;
pub use consumer::{Consumer, Destination};
pub use counts::{Counts, DropCause};
pub use fate::{Coordinates, Fate, Fates, HopKind};
#[cfg(feature = "otlp")]
pub use finished::{FinishedLink, FinishedSpan};
pub use insert::Insert;
pub use ledger::{LedgerEvent, Range};
pub use log::{Level, Log};
pub use output::Output;
pub use record::Hop;
pub use recorder::{Paused, Recorder};
pub use span::{Link, SpanKind, SpanRecord, Status};
pub use taken::Taken;
pub use value::Value;

pub use clock::now;

#[cfg(any(feature = "log", feature = "tower"))]
pub(crate) use local::LocalSpan;
pub(crate) use proto::{Key, ROOM, encoded_pair, key};
#[cfg(feature = "tower")]
pub(crate) use {
    facts::{Facts, attribute, pair},
    record::{describe_method, http_method, named},
};
#[cfg(feature = "otlp")]
pub(crate) use {proto::Writer, taken::Part, value::encode_pair};
