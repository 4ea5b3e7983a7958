//! The embedded store: one SQLite file.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::{Error, Position, Store, schema::TABLES};
use crate::model::{Delivery, Dropped, HopEvent, LogLine, Span};

/// One writer and one reader connection on a file with a write-ahead log.
pub(crate) struct Sqlite {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

impl Sqlite {
    /// Opens the store in a folder, which is made if it is missing.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder)?;
        let file = folder.join("telemetry.sqlite");
        let connect = || -> Result<Connection, rusqlite::Error> {
            let connection = Connection::open(&file)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            // With FULL every commit is synced: what was acknowledged survives a loss of power.
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.busy_timeout(std::time::Duration::from_secs(10))?;
            Ok(connection)
        };
        let writer = connect()?;
        writer.execute_batch(TABLES)?;
        Ok(Self { writer: Mutex::new(writer), reader: Mutex::new(connect()?) })
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

    fn groups(&self, topic: &str) -> Result<Vec<String>, Error> {
        let connection = self.read();
        let mut statement = connection.prepare_cached(
            "SELECT DISTINCT consumer_group FROM hop \
             WHERE topic = ? AND consumer_group IS NOT NULL ORDER BY 1",
        )?;
        let groups = statement.query_map([topic], |row| row.get(0))?;
        Ok(groups.collect::<Result<_, _>>()?)
    }

    fn position(
        &self,
        topic: &str,
        group: &str,
        partition: i64,
    ) -> Result<Option<Position>, Error> {
        let connection = self.read();
        let mut statement = connection.prepare_cached(
            "SELECT last, service, time FROM hop \
             WHERE topic = ? AND consumer_group = ? AND part = ? AND last IS NOT NULL \
             ORDER BY last DESC, time DESC LIMIT 1",
        )?;
        let read = |row: &Row<'_>| {
            Ok(Position { offset: row.get(0)?, service: row.get(1)?, time: row.get(2)? })
        };
        Ok(statement.query_row(params![topic, group, partition], read).optional()?)
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
    let last = hop.last.or(hop.first);
    let added = transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO hop (digest, trace_id, time, service, topic, consumer_group, \
             part, last, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            digest,
            hop.trace_id,
            hop.time,
            hop.service,
            hop.topic,
            hop.group,
            hop.partition,
            last,
            body
        ])?;
    if added > 0 {
        let id = transaction.last_insert_rowid();
        for member in hop.members.iter().collect::<BTreeSet<_>>() {
            transaction
                .prepare_cached("INSERT OR IGNORE INTO member VALUES (?, ?)")?
                .execute(params![member, id])?;
        }
    }
    Ok(())
}

/// Returns a row's JSON and the digest by which the same row is known again.
fn body<T: Serialize>(row: &T) -> Result<(String, Vec<u8>), Error> {
    let body = serde_json::to_string(row)?;
    let digest = Sha256::digest(body.as_bytes());
    Ok((body, digest.iter().take(16).copied().collect()))
}
