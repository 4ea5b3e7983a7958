//! The embedded store: one SQLite file.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io::{Read, Write},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use prost::DecodeError;
use rusqlite::{Connection, Row, params};

use super::{
    Error, Store,
    commit::Commits,
    schema::{CHUNKS, TABLES, VERSION},
};
use crate::{
    model::{Delivery, Dropped, HopEvent, Id, Kind, LogLine, Reader, Span},
    otlp::read,
};

const FILE: &str = "telemetry.sqlite";

/// One writer and one reader connection on a file with a write-ahead log.
pub(crate) struct Sqlite {
    writer: Commits,
    reader: Mutex<Connection>,
    /// Held as long as the store is written to.
    _lock: Option<File>,
}

impl Sqlite {
    /// Opens the store in a folder, which is made if it is missing, for writing.
    ///
    /// # Errors
    ///
    /// Returns an error that says what to do where another process writes to it.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder)?;
        let lock = lock(folder)?;
        let file = folder.join(FILE);
        let writer = connect(&file)?;
        if version(&writer)? == 0 {
            writer.execute_batch(TABLES)?;
            writer.pragma_update(None, "user_version", VERSION)?;
        }
        check_version(&writer)?;
        let reader = Mutex::new(connect(&file)?);
        Ok(Self { writer: Commits::new(writer), reader, _lock: Some(lock) })
    }

    /// Opens the store in a folder for reading, beside whoever writes to it.
    ///
    /// # Errors
    ///
    /// Returns an error where there is no store.
    pub(crate) fn look(folder: &Path) -> Result<Self, Error> {
        let file = folder.join(FILE);
        if !file.is_file() {
            return Err("there is none; `tracebaton serve --data` makes one".into());
        }
        let open = || -> Result<Connection, rusqlite::Error> {
            let connection = connect(&file)?;
            connection.pragma_update(None, "query_only", true)?;
            Ok(connection)
        };
        let reader = open()?;
        check_version(&reader)?;
        Ok(Self { writer: Commits::new(open()?), reader: Mutex::new(reader), _lock: None })
    }

    fn read(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chunks<T>(
        &self,
        trace_id: Id,
        kind: Kind,
        read: fn(&[u8]) -> Result<Vec<T>, DecodeError>,
    ) -> Result<Vec<T>, Error> {
        let connection = self.read();
        let mut statement = connection.prepare_cached(CHUNKS)?;
        let mut rows = statement.query(params![trace_id.0, kind as i64])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.extend(read(row.get_ref(0)?.as_blob()?)?);
        }
        Ok(found)
    }
}

fn connect(file: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(file)?;
    // Chunks have some kilobytes: larger pages hold them whole.
    connection.pragma_update(None, "page_size", 16_384)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // With FULL every commit is synced: what was acknowledged survives a loss of power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(connection)
}

fn version(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn check_version(connection: &Connection) -> Result<(), Error> {
    match version(connection)? {
        VERSION => Ok(()),
        _ => Err("another version of tracebaton made it; choose another folder by --data".into()),
    }
}

/// Takes the folder for this process; the lock goes with the process, whatever ends it.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let mut file =
        File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            write!(file, "{}", std::process::id())?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            file.read_to_string(&mut owner)?;
            let what = "has it open; stop that one, or choose another folder by --data";
            Err(format!("another `tracebaton serve` (process {owner}) {what}").into())
        }
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

impl Store for Sqlite {
    fn keep(&self, delivery: Delivery) -> Result<(), Error> {
        self.writer.keep(delivery)
    }

    fn spans(&self, trace_id: Id) -> Result<Vec<Span>, Error> {
        let own = trace_id.to_string();
        let mut spans = self.chunks(trace_id, Kind::Span, read::spans)?;
        spans.retain(|span| {
            span.trace_id == own || span.links.iter().any(|link| link.trace_id == own)
        });
        let mut known = BTreeSet::new();
        spans.retain(|span| known.insert((span.trace_id.clone(), span.span_id.clone())));
        Ok(spans)
    }

    fn logs(&self, trace_id: Id) -> Result<Vec<LogLine>, Error> {
        let mut logs = self.chunks(trace_id, Kind::Log, read::logs)?;
        logs.sort_by_key(|line| line.time);
        let mut known = BTreeSet::new();
        logs.retain(|line| known.insert(serde_json::to_string(line).unwrap_or_default()));
        Ok(logs)
    }

    fn hops(&self, trace_id: Id) -> Result<Vec<HopEvent>, Error> {
        let own = trace_id.to_string();
        let mut hops = self.chunks(trace_id, Kind::Hop, read::hops)?;
        hops.retain(|hop| hop.trace_id == own || hop.members.contains(&own));
        hops.sort_by(|a, b| a.order().cmp(&b.order()));
        hops.dedup();
        Ok(hops)
    }

    fn readers(&self, topic: &str) -> Result<Vec<Reader>, Error> {
        let connection = self.read();
        let mut statement = connection.prepare_cached(
            "SELECT topic, consumer_group, part, first, last, since, time, service FROM reader \
             WHERE topic = ?",
        )?;
        let read = |row: &Row<'_>| {
            Ok(Reader {
                topic: row.get(0)?,
                group: row.get(1)?,
                partition: row.get(2)?,
                first: row.get(3)?,
                last: row.get(4)?,
                since: row.get(5)?,
                time: row.get(6)?,
                service: row.get(7)?,
            })
        };
        Ok(statement.query_map([topic], read)?.collect::<Result<_, _>>()?)
    }

    fn dropped(&self, since: i64) -> Result<Vec<Dropped>, Error> {
        let connection = self.read();
        let mut statement = connection
            .prepare_cached("SELECT time, service, ledger FROM dropped WHERE time >= ?")?;
        let read = |row: &Row<'_>| {
            Ok(Dropped { time: row.get(0)?, service: row.get(1)?, ledger: row.get(2)? })
        };
        Ok(statement.query_map([since], read)?.collect::<Result<_, _>>()?)
    }

    fn heard(&self, from: i64, to: i64) -> Result<Vec<String>, Error> {
        let connection = self.read();
        let mut statement = connection.prepare_cached(
            "SELECT DISTINCT service FROM heard WHERE minute BETWEEN ?1 / 60000000000 \
             AND ?2 / 60000000000 AND last >= ?1 AND first <= ?2 ORDER BY 1",
        )?;
        let services = statement.query_map([from, to], |row| row.get(0))?;
        Ok(services.collect::<Result<_, _>>()?)
    }

    fn oldest(&self) -> Result<Option<i64>, Error> {
        Ok(self.read().query_row("SELECT min(first) FROM heard", [], |row| row.get(0))?)
    }
}
