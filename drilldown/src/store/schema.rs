//! The tables of the embedded store.

/// Rows are found by trace; a row that comes twice has the same key and is kept once.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS span (
    trace_id TEXT NOT NULL, span_id TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (trace_id, span_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS link (
    linked_trace TEXT NOT NULL, trace_id TEXT NOT NULL, span_id TEXT NOT NULL,
    PRIMARY KEY (linked_trace, trace_id, span_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log (
    digest BLOB NOT NULL UNIQUE, trace_id TEXT, time INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS log_trace ON log (trace_id, time);
CREATE TABLE IF NOT EXISTS hop (
    id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, trace_id TEXT NOT NULL,
    time INTEGER NOT NULL, service TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS hop_trace ON hop (trace_id, time);
CREATE INDEX IF NOT EXISTS hop_time ON hop (time, service);
CREATE TABLE IF NOT EXISTS member (
    trace_id TEXT NOT NULL, hop INTEGER NOT NULL, PRIMARY KEY (trace_id, hop)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reader (
    topic TEXT NOT NULL, consumer_group TEXT NOT NULL, part INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, since INTEGER NOT NULL, time INTEGER NOT NULL,
    service TEXT NOT NULL, PRIMARY KEY (topic, consumer_group, part)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dropped (
    digest BLOB NOT NULL UNIQUE, time INTEGER NOT NULL, body TEXT NOT NULL
);
";

/// Moves on what is known of a reader.
pub(super) const READ_ON: &str = "
INSERT INTO reader VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (topic, consumer_group, part) DO UPDATE SET
    first = min(first, excluded.first), last = max(last, excluded.last),
    since = min(since, excluded.since),
    service = iif(excluded.time >= time, excluded.service, service),
    time = max(time, excluded.time)
";
