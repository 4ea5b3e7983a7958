//! The embedded store: one SQLite file.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io::{Read, Write},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, Row, Transaction, params};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::{
    Error, Reader, Store,
    schema::{READ_ON, TABLES},
};
use crate::model::{Delivery, Dropped, HopEvent, LogLine, Span};

const FILE: &str = "telemetry.sqlite";

/// One writer and one reader connection on a file with a write-ahead log.
pub(crate) struct Sqlite {
    writer: Mutex<Connection>,
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
        writer.execute_batch(TABLES)?;
        let reader = Mutex::new(connect(&file)?);
        Ok(Self { writer: Mutex::new(writer), reader, _lock: Some(lock) })
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
        Ok(Self { writer: Mutex::new(open()?), reader: Mutex::new(open()?), _lock: None })
    }

    fn read(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bodies<T: DeserializeOwned>(&self, sql: &str, trace_id: &str) -> Result<Vec<T>, Error> {
        let connection = self.read();
        let mut statement = connection.prepare_cached(sql)?;
        let body = |row: &Row<'_>| row.get::<_, String>(0);
        let rows = statement.query_map([trace_id], body)?.collect::<Result<Vec<_>, _>>()?;
        rows.iter().map(|body| Ok(serde_json::from_str(body)?)).collect()
    }
}

fn connect(file: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // With FULL every commit is synced: what was acknowledged survives a loss of power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(connection)
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
    fn keep(&self, delivery: &Delivery) -> Result<(), Error> {
        let mut connection = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction()?;
        for span in &delivery.spans {
            keep_span(&transaction, span)?;
        }
        for log in &delivery.logs {
            let (body, digest) = body(log)?;
            transaction
                .prepare_cached("INSERT OR IGNORE INTO log VALUES (?, ?, ?, ?)")?
                .execute(params![digest, log.trace_id, log.time, body])?;
        }
        for hop in &delivery.hops {
            keep_hop(&transaction, hop)?;
        }
        for dropped in &delivery.dropped {
            let (body, digest) = body(dropped)?;
            transaction
                .prepare_cached("INSERT OR IGNORE INTO dropped VALUES (?, ?, ?)")?
                .execute(params![digest, dropped.time, body])?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn spans(&self, trace_id: &str) -> Result<Vec<Span>, Error> {
        let linked = "SELECT body FROM span WHERE trace_id = ?1 UNION \
            SELECT body FROM link JOIN span USING (trace_id, span_id) WHERE linked_trace = ?1";
        self.bodies(linked, trace_id)
    }

    fn logs(&self, trace_id: &str) -> Result<Vec<LogLine>, Error> {
        self.bodies("SELECT body FROM log WHERE trace_id = ? ORDER BY time, rowid", trace_id)
    }

    fn hops(&self, trace_id: &str) -> Result<Vec<HopEvent>, Error> {
        let own = "SELECT body FROM hop WHERE trace_id = ?1 OR id IN \
            (SELECT hop FROM member WHERE trace_id = ?1) ORDER BY time, id";
        self.bodies(own, trace_id)
    }

    fn readers(&self, topic: &str) -> Result<Vec<Reader>, Error> {
        let connection = self.read();
        let mut statement = connection.prepare_cached(
            "SELECT consumer_group, part, first, last, since, time, service FROM reader \
             WHERE topic = ?",
        )?;
        let read = |row: &Row<'_>| {
            Ok(Reader {
                group: row.get(0)?,
                partition: row.get(1)?,
                first: row.get(2)?,
                last: row.get(3)?,
                since: row.get(4)?,
                time: row.get(5)?,
                service: row.get(6)?,
            })
        };
        Ok(statement.query_map([topic], read)?.collect::<Result<_, _>>()?)
    }

    fn dropped(&self, since: i64) -> Result<Vec<Dropped>, Error> {
        let connection = self.read();
        let mut statement =
            connection.prepare_cached("SELECT body FROM dropped WHERE time >= ? ORDER BY time")?;
        let rows = statement.query_map([since], |row| row.get::<_, String>(0))?;
        rows.map(|body| Ok(serde_json::from_str(&body?)?)).collect()
    }

    fn heard(&self, from: i64, to: i64) -> Result<Vec<(String, i64)>, Error> {
        let connection = self.read();
        let mut statement = connection.prepare_cached(
            "SELECT service, max(time) FROM hop WHERE time BETWEEN ? AND ? GROUP BY 1 ORDER BY 1",
        )?;
        let rows = statement.query_map([from, to], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn oldest(&self) -> Result<Option<i64>, Error> {
        Ok(self.read().query_row("SELECT min(time) FROM hop", [], |row| row.get(0))?)
    }
}

fn keep_span(transaction: &Transaction<'_>, span: &Span) -> Result<(), Error> {
    let (body, _) = body(span)?;
    transaction.prepare_cached("INSERT OR IGNORE INTO span VALUES (?, ?, ?)")?.execute(params![
        span.trace_id,
        span.span_id,
        body
    ])?;
    let linked: BTreeSet<&String> = span
        .links
        .iter()
        .map(|(trace_id, _)| trace_id)
        .filter(|id| **id != span.trace_id)
        .collect();
    for trace_id in linked {
        transaction
            .prepare_cached("INSERT OR IGNORE INTO link VALUES (?, ?, ?)")?
            .execute(params![trace_id, span.trace_id, span.span_id])?;
    }
    Ok(())
}

fn keep_hop(transaction: &Transaction<'_>, hop: &HopEvent) -> Result<(), Error> {
    let (body, digest) = body(hop)?;
    let added = transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO hop (digest, trace_id, time, service, body) \
             VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![digest, hop.trace_id, hop.time, hop.service, body])?;
    if added > 0 {
        let id = transaction.last_insert_rowid();
        for member in hop.members.iter().collect::<BTreeSet<_>>() {
            transaction
                .prepare_cached("INSERT OR IGNORE INTO member VALUES (?, ?)")?
                .execute(params![member, id])?;
        }
        keep_reader(transaction, hop)?;
    }
    Ok(())
}

fn keep_reader(transaction: &Transaction<'_>, hop: &HopEvent) -> Result<(), Error> {
    let (Some(topic), Some(group)) = (&hop.topic, &hop.group) else { return Ok(()) };
    let (partition, first) = match (hop.partition, hop.first) {
        (Some(partition), Some(first)) => (partition, first),
        _ => (-1, 0),
    };
    let (last, time) = (hop.last.unwrap_or(first), hop.time);
    transaction.prepare_cached(READ_ON)?.execute(params![
        topic,
        group,
        partition,
        first,
        last,
        time,
        time,
        hop.service
    ])?;
    Ok(())
}

/// Returns a row's JSON and the digest by which the same row is known again.
fn body<T: Serialize>(row: &T) -> Result<(String, Vec<u8>), Error> {
    let body = serde_json::to_string(row)?;
    let digest = Sha256::digest(body.as_bytes());
    Ok((body, digest.iter().take(16).copied().collect()))
}
