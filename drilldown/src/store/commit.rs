//! Commits: what comes in while one is under way goes into the next together.
//!
//! A commit waits for the disk, which takes about as long for one delivery as for many.

use std::{
    mem,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use rusqlite::{Connection, Transaction, params};

use super::{
    Error,
    schema::{HEAR, READ_ON},
};
use crate::model::{Chunk, Delivery, SETTLING};

/// The one connection that writes, and who waits for it.
pub(super) struct Commits {
    connection: Mutex<Connection>,
    waiting: Mutex<Vec<Waiting>>,
}

struct Waiting {
    delivery: Delivery,
    outcome: Arc<OnceLock<Result<(), String>>>,
}

impl Commits {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection: Mutex::new(connection), waiting: Mutex::default() }
    }

    /// Keeps a delivery. Of all who wait, the first to get the connection commits for the others.
    pub(super) fn keep(&self, delivery: Delivery) -> Result<(), Error> {
        let outcome = Arc::new(OnceLock::new());
        let own = Waiting { delivery, outcome: outcome.clone() };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(own);
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if outcome.get().is_none() {
            let all = mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            let kept = commit(&mut connection, &all).map_err(|error| error.to_string());
            for one in all {
                let _ = one.outcome.set(kept.clone());
            }
        }
        match outcome.get() {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(error.clone().into()),
            None => Err("the commit was given up".into()),
        }
    }
}

fn commit(connection: &mut Connection, all: &[Waiting]) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction()?;
    for waiting in all {
        let delivery = &waiting.delivery;
        for chunk in &delivery.chunks {
            keep_chunk(&transaction, chunk)?;
        }
        for reader in &delivery.readers {
            transaction.prepare_cached(READ_ON)?.execute(params![
                reader.topic,
                reader.group,
                reader.partition,
                reader.first,
                reader.last,
                reader.since,
                reader.time,
                reader.service,
                if delivery.arrived == 0 { reader.time } else { delivery.arrived },
                SETTLING
            ])?;
        }
        for ((text, trace_id), time) in &delivery.aliases {
            transaction
                .prepare_cached("INSERT OR IGNORE INTO alias VALUES (?, ?, ?)")?
                .execute(params![text, trace_id.0, time])?;
        }
        for ((minute, service), (first, last)) in &delivery.heard {
            transaction.prepare_cached(HEAR)?.execute(params![minute, service, first, last])?;
        }
        for dropped in &delivery.dropped {
            transaction
                .prepare_cached("INSERT OR IGNORE INTO dropped VALUES (?, ?, ?)")?
                .execute(params![dropped.time, dropped.service, dropped.ledger])?;
        }
    }
    transaction.commit()
}

fn keep_chunk(transaction: &Transaction<'_>, chunk: &Chunk) -> Result<(), rusqlite::Error> {
    let trace_id = chunk.trace_id.map(|id| id.0);
    let kind = chunk.kind as i64;
    transaction
        .prepare_cached("INSERT INTO chunk (trace_id, kind, body) VALUES (?, ?, ?)")?
        .execute(params![trace_id, kind, chunk.body])?;
    let row = transaction.last_insert_rowid();
    for mention in &chunk.mentions {
        transaction
            .prepare_cached("INSERT OR IGNORE INTO mention VALUES (?, ?, ?)")?
            .execute(params![mention.0, kind, row])?;
    }
    Ok(())
}
