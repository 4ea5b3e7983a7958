//! What is kept of telemetry: spans, log lines, and the ledger's events.

use std::{collections::BTreeMap, fmt};

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
    pub(crate) events: Vec<Event>,
    pub(crate) links: Vec<Link>,
}

/// Something that happened during a span, for instance an exception.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Event {
    /// Nanoseconds since 1970.
    pub(crate) time: i64,
    pub(crate) name: String,
    pub(crate) attributes: Attributes,
}

/// A span that another one points to, as a batch does to the records in it; in JSON a pair.
#[derive(Clone, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(from = "(String, String)", into = "(String, String)")]
pub(crate) struct Link {
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
}

impl From<(String, String)> for Link {
    fn from((trace_id, span_id): (String, String)) -> Self {
        Self { trace_id, span_id }
    }
}

impl From<Link> for (String, String) {
    fn from(link: Link) -> Self {
        (link.trace_id, link.span_id)
    }
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
        // A sender may claim more fates than records.
        let told = self.passed + self.filtered + self.failed + self.dead_lettered;
        (self.records_in - told).max(0)
    }

    /// Returns what events stand in order by: events that are the same stand side by side.
    pub(crate) fn order(&self) -> impl Ord + '_ {
        let place = (&self.topic, self.partition, self.first, self.last, &self.group);
        (self.time, &self.span_id, &self.kind, place, self.attempt, &self.reason)
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

/// The bytes of an id, not all zero; as text, hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id<const N: usize = 16>(pub(crate) [u8; N]);

impl<const N: usize> fmt::Display for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Id {
    /// Reads 32 hexadecimal digits; none where they are all zero.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|id| is_id && *id != 0)?;
        Some(Self(number.to_be_bytes()))
    }
}

/// What a chunk holds; the numbers are what the store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Span = 0,
    Log = 1,
    Hop = 2,
}

/// What a request says of one trace, as the bytes that it came in.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    /// Log lines may belong to no trace.
    pub(crate) trace_id: Option<Id>,
    pub(crate) kind: Kind,
    pub(crate) body: Vec<u8>,
    /// The other traces under which it is to be found: those that are linked, and those of the
    /// records of a batch.
    pub(crate) mentions: Vec<Id>,
}

/// A text that a client knows a trace by, where it does not stand for that trace's id by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alias {
    pub(crate) text: String,
    pub(crate) trace_id: Id,
    /// Nanoseconds since 1970.
    pub(crate) time: i64,
}

/// How far a consumer group has come in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) topic: String,
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
    /// When evidence of it came in last, in nanoseconds since 1970.
    pub(crate) arrived: i64,
    /// The highest offset that was known at `marked`.
    pub(crate) mark: i64,
    /// When `mark` was set, in nanoseconds since 1970.
    pub(crate) marked: i64,
    /// The highest offset that had been known for [`SETTLING`] at `marked`; -1 for none.
    pub(crate) settled: i64,
}

/// Events of a group do not arrive in the order of its offsets: transforms run side by side, and
/// exporters collect what they send. Evidence that a group went past a record proves nothing before
/// it is this many nanoseconds old.
pub(crate) const SETTLING: i64 = 5_000_000_000;

/// Nor does it while nothing more is heard of the group, as what is missing may be held up with the
/// rest; after this many nanoseconds it is taken to be silent.
const SILENCE: i64 = 3 * SETTLING;

impl Reader {
    /// Returns what an event tells of the group that read its input, if any did.
    pub(crate) fn of(event: &HopEvent) -> Option<Self> {
        let (partition, first) = match (event.partition, event.first) {
            (Some(partition), Some(first)) => (partition, first),
            _ => (-1, 0),
        };
        let last = event.last.unwrap_or(first);
        Some(Self {
            topic: event.topic.clone()?,
            group: event.group.clone()?,
            partition,
            first,
            last,
            since: event.time,
            time: event.time,
            service: event.service.clone(),
            arrived: event.time,
            mark: last,
            marked: event.time,
            settled: -1,
        })
    }

    /// Returns the last offset that the group went past on evidence that is old enough at `now`.
    pub(crate) fn past(&self, now: i64) -> i64 {
        match now {
            _ if self.arrived <= now - SILENCE => self.last,
            _ if self.marked <= now - SETTLING && self.arrived > self.marked => self.mark,
            _ => self.settled,
        }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.partition, &self.group, &self.topic) == (other.partition, &other.group, &other.topic)
    }

    /// Takes in what else is known of the same reader.
    pub(crate) fn read_on(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.since = self.since.min(other.since);
        if other.time >= self.time {
            (self.time, self.service) = (other.time, other.service);
        }
    }
}

/// All that one request brought.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivery {
    pub(crate) rejected: Rejected,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) readers: Vec<Reader>,
    /// Which services told of hops: the minute and the service, the first moment and the last.
    pub(crate) heard: BTreeMap<(i64, String), (i64, i64)>,
    pub(crate) dropped: Vec<Dropped>,
    /// The text and the trace of each [`Alias`], and when it was used first.
    pub(crate) aliases: BTreeMap<(String, Id), i64>,
    /// When it came, in nanoseconds since 1970; 0 where only its events tell the time.
    pub(crate) arrived: i64,
}
