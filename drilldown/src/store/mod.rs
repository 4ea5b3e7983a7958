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

    /// Returns who has ever read a topic, one row for every group and partition.
    fn readers(&self, topic: &str) -> Result<Vec<Reader>, Error>;

    /// Returns what services had to drop after `since`, in nanoseconds since 1970.
    fn dropped(&self, since: i64) -> Result<Vec<Dropped>, Error>;

    /// Returns which services were heard between two moments, and when last.
    fn heard(&self, from: i64, to: i64) -> Result<Vec<(String, i64)>, Error>;

    /// Returns the moment of the oldest ledger event.
    fn oldest(&self) -> Result<Option<i64>, Error>;
}

/// How far a consumer group has come in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) group: String,
    /// -1 where the group does not tell what it read.
    pub(crate) partition: i64,
    /// The lowest offset it is known to have read.
    pub(crate) first: i64,
    /// The highest offset it is known to have read.
    pub(crate) last: i64,
    /// When it was first heard, in nanoseconds since 1970.
    pub(crate) since: i64,
    /// When it was last heard, in nanoseconds since 1970.
    pub(crate) time: i64,
    /// The service that was heard last.
    pub(crate) service: String,
}
