//! Where telemetry is kept. The embedded store is a file; others can follow behind the same trait.

mod commit;
mod schema;
mod sqlite;

pub(crate) use sqlite::Sqlite;

use crate::model::{Delivery, Dropped, HopEvent, Id, LogLine, Reader, Span};

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// Keeps telemetry, and finds it again by trace.
pub(crate) trait Store: Send + Sync {
    /// Keeps a delivery whole; once this returns it survives the process and a loss of power.
    fn keep(&self, delivery: Delivery) -> Result<(), Error>;

    /// Returns the spans of a trace, and the spans that link to it, each once however often it came.
    fn spans(&self, trace_id: Id) -> Result<Vec<Span>, Error>;

    /// Returns the log lines of a trace by time.
    fn logs(&self, trace_id: Id) -> Result<Vec<LogLine>, Error>;

    /// Returns the ledger events of a trace by time, and those of batches it had records in.
    fn hops(&self, trace_id: Id) -> Result<Vec<HopEvent>, Error>;

    /// Returns who has ever read a topic, one row for every group and partition.
    fn readers(&self, topic: &str) -> Result<Vec<Reader>, Error>;

    /// Returns what services had to drop after `since`, in nanoseconds since 1970.
    fn dropped(&self, since: i64) -> Result<Vec<Dropped>, Error>;

    /// Returns which services told of hops between two moments, to the minute.
    fn heard(&self, from: i64, to: i64) -> Result<Vec<String>, Error>;

    /// Returns the trace that a client knows by this text; of several, the latest.
    fn alias(&self, text: &str) -> Result<Option<Id>, Error>;

    /// Tells whether anything is kept of a trace.
    fn knows(&self, trace_id: Id) -> Result<bool, Error>;

    /// Returns the moment of the oldest ledger event.
    fn oldest(&self) -> Result<Option<i64>, Error>;
}
