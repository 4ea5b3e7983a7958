//! The tables of the embedded store.

/// The version of the tables (`PRAGMA user_version`).
pub(super) const VERSION: i64 = 3;

/// What a request says of a trace is one row, found by the trace or by a mention of it. The rest is
/// what the ledger's events tell of others than their own trace, kept as it moves on.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS chunk (
    id INTEGER PRIMARY KEY, trace_id BLOB, kind INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS chunk_trace ON chunk (trace_id, kind);
CREATE TABLE IF NOT EXISTS mention (
    trace_id BLOB NOT NULL, kind INTEGER NOT NULL, chunk INTEGER NOT NULL,
    PRIMARY KEY (trace_id, kind, chunk)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reader (
    topic TEXT NOT NULL, consumer_group TEXT NOT NULL, part INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, since INTEGER NOT NULL, time INTEGER NOT NULL,
    service TEXT NOT NULL, arrived INTEGER NOT NULL, mark INTEGER NOT NULL,
    marked INTEGER NOT NULL, settled INTEGER NOT NULL, PRIMARY KEY (topic, consumer_group, part)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alias (
    text TEXT NOT NULL, trace_id BLOB NOT NULL, time INTEGER NOT NULL, PRIMARY KEY (text, trace_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heard (
    minute INTEGER NOT NULL, service TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (minute, service)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dropped (
    time INTEGER NOT NULL, service TEXT NOT NULL, ledger INTEGER NOT NULL,
    PRIMARY KEY (time, service, ledger)
) WITHOUT ROWID;
";

/// Moves on what is known of a reader. Of the way it came two places are kept beside the last: `mark`,
/// which was known at `marked`, and `settled`, which had been known for long by then.
pub(super) const READ_ON: &str = "
INSERT INTO reader VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?5, ?9, -1)
ON CONFLICT (topic, consumer_group, part) DO UPDATE SET
    first = min(first, excluded.first), last = max(last, excluded.last),
    since = min(since, excluded.since),
    service = iif(excluded.time >= time, excluded.service, service),
    time = max(time, excluded.time), arrived = max(arrived, excluded.arrived),
    settled = iif(excluded.arrived >= marked + ?10, mark, settled),
    mark = iif(excluded.arrived >= marked + ?10, max(last, excluded.last), mark),
    marked = iif(excluded.arrived >= marked + ?10, excluded.arrived, marked)
";

/// Moves on when a service was heard.
pub(super) const HEAR: &str = "
INSERT INTO heard VALUES (?, ?, ?, ?)
ON CONFLICT (minute, service) DO UPDATE SET
    first = min(first, excluded.first), last = max(last, excluded.last)
";

/// Finds the chunks of a trace, its own and those that mention it.
pub(super) const CHUNKS: &str = "
SELECT body FROM chunk WHERE id IN (
    SELECT id FROM chunk WHERE trace_id = ?1 AND kind = ?2
    UNION SELECT chunk FROM mention WHERE trace_id = ?1 AND kind = ?2
) ORDER BY id
";

/// Finds who reads a topic.
pub(super) const READERS: &str = "
SELECT topic, consumer_group, part, first, last, since, time, service, arrived, mark, marked, settled
FROM reader WHERE topic = ?
";

/// Finds what was dropped since a moment.
pub(super) const DROPPED: &str = "SELECT time, service, ledger FROM dropped WHERE time >= ?";

/// Finds who was heard between two moments.
pub(super) const HEARD: &str = "
SELECT DISTINCT service FROM heard
WHERE minute BETWEEN ?1 / 60000000000 AND ?2 / 60000000000 AND last >= ?1 AND first <= ?2
ORDER BY 1
";

/// Finds the trace of a client's text.
pub(super) const ALIAS: &str =
    "SELECT trace_id FROM alias WHERE text = ? ORDER BY time DESC, trace_id LIMIT 1";

/// Tells whether there is a chunk of a trace.
pub(super) const KNOWS: &str = "
SELECT EXISTS (SELECT 1 FROM chunk WHERE trace_id = ?1)
    OR EXISTS (SELECT 1 FROM mention WHERE trace_id = ?1)
";
