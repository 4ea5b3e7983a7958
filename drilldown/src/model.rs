//! What is kept of telemetry: spans, log lines, and the ledger's events.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// Attributes by name; bytes are written as hexadecimal digits.
pub(crate) type Attributes = Map<String, Json>;

/// A span.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Span {
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    pub(crate) parent_span_id: Option<String>,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) service: String,
    /// Nanoseconds since 1970.
    pub(crate) start: i64,
    /// Nanoseconds since 1970.
    pub(crate) end: i64,
    pub(crate) is_error: bool,
    pub(crate) status_message: String,
    pub(crate) attributes: Attributes,
    /// Trace id and span id of each linked span.
    pub(crate) links: Vec<(String, String)>,
}

/// A log line of an application.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct LogLine {
    pub(crate) trace_id: Option<String>,
    pub(crate) span_id: Option<String>,
    /// Nanoseconds since 1970.
    pub(crate) time: i64,
    pub(crate) level: String,
    pub(crate) service: String,
    pub(crate) message: String,
    pub(crate) attributes: Attributes,
}

/// What became of some records at one hop (`tracebaton.hop`).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct HopEvent {
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    /// Nanoseconds since 1970.
    pub(crate) time: i64,
    pub(crate) service: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) records_in: i64,
    pub(crate) passed: i64,
    pub(crate) filtered: i64,
    pub(crate) failed: i64,
    pub(crate) dead_lettered: i64,
    pub(crate) emitted: i64,
    pub(crate) unconfirmed: i64,
    pub(crate) topic: Option<String>,
    pub(crate) partition: Option<i64>,
    pub(crate) first: Option<i64>,
    pub(crate) last: Option<i64>,
    pub(crate) group: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) error_type: Option<String>,
    pub(crate) attempt: i64,
    pub(crate) batch_id: Option<String>,
    /// The trace ids of a batch's records; empty for a single record.
    pub(crate) members: Vec<String>,
    pub(crate) is_dead_letter: bool,
    pub(crate) http_status: Option<i64>,
}

impl HopEvent {
    /// Returns how many records have no fate yet.
    pub(crate) fn pending(&self) -> i64 {
        self.records_in - self.passed - self.filtered - self.failed - self.dead_lettered
    }

    /// Returns how many records it speaks of.
    pub(crate) fn records(&self) -> i64 {
        if self.members.is_empty() { self.records_in } else { self.members.len() as i64 }
    }
}

/// Evidence that a service had to drop (`tracebaton.dropped`).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Dropped {
    /// Nanoseconds since 1970.
    pub(crate) time: i64,
    pub(crate) service: String,
    pub(crate) ledger: i64,
}

/// What could not be taken of a request, for the answer to its sender (OTLP, "Partial Success").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(crate) count: i64,
    /// What is wrong with the first of them, and what would be right.
    pub(crate) why: String,
}

impl Rejected {
    /// Counts one more.
    pub(crate) fn add(&mut self, why: impl FnOnce() -> String) {
        if self.count == 0 {
            self.why = why();
        }
        self.count += 1;
    }
}

/// All that one request brought.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivery {
    pub(crate) rejected: Rejected,
    pub(crate) spans: Vec<Span>,
    pub(crate) logs: Vec<LogLine>,
    pub(crate) hops: Vec<HopEvent>,
    pub(crate) dropped: Vec<Dropped>,
}
