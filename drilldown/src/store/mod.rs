//! Where telemetry is kept. The embedded store is a file; others can follow behind the same trait.

mod schema;
mod sqlite;

pub(crate) use sqlite::Sqlite;

use crate::model::{Delivery, Dropped, HopEvent, LogLine, Span};

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// Keeps telemetry, and finds it again by trace.
pub(crate) trait Store: Send + Sync {
    /// Keeps a delivery whole; once this returns it survives the process. What is kept already is
    /// not kept twice.
    fn keep(&self, delivery: &Delivery) -> Result<(), Error>;

    /// Returns the spans of a trace, and the spans that link to it.
    fn spans(&self, trace_id: &str) -> Result<Vec<Span>, Error>;

    /// Returns the log lines of a trace by time.
    fn logs(&self, trace_id: &str) -> Result<Vec<LogLine>, Error>;

    /// Returns the ledger events of a trace by time, and those of batches it had records in.
    fn hops(&self, trace_id: &str) -> Result<Vec<HopEvent>, Error>;

    /// Returns the consumer groups that have ever read a topic.
    fn groups(&self, topic: &str) -> Result<Vec<String>, Error>;

    /// Returns the last offset a group is known to have read of a partition, and who read it when.
    fn position(&self, topic: &str, group: &str, partition: i64)
    -> Result<Option<Position>, Error>;

    /// Returns what services had to drop after `since`, in nanoseconds since 1970.
    fn dropped(&self, since: i64) -> Result<Vec<Dropped>, Error>;

    /// Returns which services were heard between two moments, and when last.
    fn heard(&self, from: i64, to: i64) -> Result<Vec<(String, i64)>, Error>;

    /// Returns the moment of the oldest ledger event.
    fn oldest(&self) -> Result<Option<i64>, Error>;
}

/// How far a consumer group has come in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) offset: i64,
    pub(crate) service: String,
    /// Nanoseconds since 1970.
    pub(crate) time: i64,
}
