//! The embedded store: one SQLite file.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use prost::DecodeError;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Error, Store,
    commit::Commits,
    schema::{ALIAS, CHUNKS, DROPPED, HEARD, KNOWS, READERS, TABLES, VERSION},
};
use crate::{
    model::{Delivery, Dropped, HopEvent, Id, Kind, LogLine, Reader, Span},
    otlp::read,
};

const FILE: &str = "telemetry.sqlite";
const MAX_IDLE: usize = 8;

/// One connection that writes to a file with a write-ahead log, and as many that read as questions
/// are asked at once.
pub(crate) struct Sqlite {
    writer: Option<Commits>,
    file: PathBuf,
    /// Connections that read and have nothing to do.
    idle: Mutex<Vec<Connection>>,
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
        let writer = Some(Commits::new(writer));
        Ok(Self { writer, file, idle: Mutex::default(), _lock: Some(lock) })
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
        let store = Self { writer: None, file, idle: Mutex::default(), _lock: None };
        store.read(check_version)?;
        Ok(store)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads on a connection of its own: a long answer holds up nobody.
    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let connection = connect(&self.file)?;
                connection.pragma_update(None, "query_only", true)?;
                connection
            }
        };
        let answer = read(&connection);
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
        answer
    }

    fn chunks<T>(
        &self,
        trace_id: Id,
        kind: Kind,
        read: fn(&[u8]) -> Result<Vec<T>, DecodeError>,
    ) -> Result<Vec<T>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(CHUNKS)?;
            let mut rows = statement.query(params![trace_id.0, kind as i64])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.extend(read(row.get_ref(0)?.as_blob()?)?);
            }
            Ok(found)
        })
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
        match &self.writer {
            Some(writer) => writer.keep(delivery),
            None => Err("the store is open for reading only".into()),
        }
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
                arrived: row.get(8)?,
                mark: row.get(9)?,
                marked: row.get(10)?,
                settled: row.get(11)?,
            })
        };
        self.read(|connection| {
            let mut statement = connection.prepare_cached(READERS)?;
            Ok(statement.query_map([topic], read)?.collect::<Result<_, _>>()?)
        })
    }

    fn dropped(&self, since: i64) -> Result<Vec<Dropped>, Error> {
        let read = |row: &Row<'_>| {
            Ok(Dropped { time: row.get(0)?, service: row.get(1)?, ledger: row.get(2)? })
        };
        self.read(|connection| {
            let mut statement = connection.prepare_cached(DROPPED)?;
            Ok(statement.query_map([since], read)?.collect::<Result<_, _>>()?)
        })
    }

    fn heard(&self, from: i64, to: i64) -> Result<Vec<String>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(HEARD)?;
            let services = statement.query_map([from, to], |row| row.get(0))?;
            Ok(services.collect::<Result<_, _>>()?)
        })
    }

    fn alias(&self, text: &str) -> Result<Option<Id>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(ALIAS)?;
            Ok(statement.query_row([text], |row| row.get(0)).optional()?.map(Id))
        })
    }

    fn knows(&self, trace_id: Id) -> Result<bool, Error> {
        self.read(|connection| {
            Ok(connection.prepare_cached(KNOWS)?.query_row([trace_id.0], |row| row.get(0))?)
        })
    }

    fn oldest(&self) -> Result<Option<i64>, Error> {
        let oldest = "SELECT min(first) FROM heard";
        self.read(|connection| Ok(connection.query_row(oldest, [], |row| row.get(0))?))
    }
}
