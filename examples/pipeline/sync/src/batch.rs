//! One batch: rows that map go in together, the rest to the dead letters, each with its fate told.

use std::{collections::BTreeMap, time::Duration};

use clickhouse::Client;
use rdkafka::{
    message::{Message, OwnedMessage},
    producer::FutureProducer,
};
use tokio::sync::watch;
use tracebaton::{
    Baton, Propagation,
    hop::{Coordinates, Hop, Insert, Recorder},
    kafka::{Record, SendError, coordinates, extract, send_all},
    otel::{self, FutureExt},
};

use crate::{
    DEAD_LETTERS, GROUP, row,
    table::{self, InsertError},
};

pub(crate) struct Sink {
    client: Client,
    producer: FutureProducer,
    propagation: Propagation,
    stop: watch::Receiver<bool>,
}

/// A record that maps: its message, its line, where it stood and what it carries.
struct Mapped<'m> {
    message: &'m OwnedMessage,
    line: Vec<u8>,
    input: Coordinates,
    baton: Baton,
}

impl Sink {
    pub(crate) fn new(producer: FutureProducer, url: &str, stop: watch::Receiver<bool>) -> Self {
        let client = Client::default().with_url(url);
        Self { client, producer, propagation: Propagation::default(), stop }
    }

    /// Creates the table, as soon as ClickHouse answers; false where the process stops first.
    pub(crate) async fn create_table(&self) -> bool {
        let mut pause = Duration::from_millis(200);
        while let Err(error) = table::create(&self.client).await {
            tracing::warn!(%error, "cannot create the table yet");
            if !self.pause(&mut pause).await {
                return false;
            }
        }
        true
    }

    /// Brings every record of a batch into the table or to the dead letters. Tells whether all are
    /// there: false only where the process is to stop before.
    pub(crate) async fn insert(&self, batch: &[OwnedMessage]) -> bool {
        let mut whole = Insert::start(Recorder::global(), table::NAME);
        let mut rows = Vec::with_capacity(batch.len());
        for message in batch {
            let input = coordinates(message, GROUP);
            let baton = extract(&self.propagation, message).baton;
            match row::line(message.payload()) {
                Ok(line) => {
                    whole.add(&input, &baton);
                    rows.push(Mapped { message, line, input, baton });
                }
                Err(reason) => {
                    let hop = whole.take_out(&input, &baton);
                    if !self.dead_letter(&hop, message, "mapping", &reason).await {
                        return false;
                    }
                }
            }
        }
        // Halves of a batch that was refused are put on this stack until the poison is alone.
        let mut parts = vec![(whole, rows)];
        while let Some((insert, mut rows)) = parts.pop() {
            let Err((mut insert, reason)) = self.insert_part(insert, &rows).await else { continue };
            let Some(reason) = reason else { return false };
            if let [only] = &rows[..] {
                let hop = insert.take_out(&only.input, &only.baton);
                if !self.dead_letter(&hop, only.message, "refused_by_clickhouse", &reason).await {
                    return false;
                }
                continue;
            }
            let second = rows.split_off(rows.len() / 2);
            parts.extend([second, rows].map(|rows| (gather(&rows), rows)));
        }
        true
    }

    /// Inserts some rows, trying again for as long as the server is not well. Gives the batch back
    /// with ClickHouse's reason where the rows are at fault, without one where the process stops.
    async fn insert_part(
        &self,
        mut insert: Insert,
        rows: &[Mapped<'_>],
    ) -> Result<(), (Insert, Option<String>)> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut pause = Duration::from_millis(200);
        loop {
            let lines = rows.iter().flat_map(|row| row.line.iter().copied()).collect();
            match table::insert(&self.client, insert.batch_id(), lines).await {
                Ok(()) => {
                    log_inserted(insert.batch_id(), rows).await;
                    insert.passed();
                    return Ok(());
                }
                Err(InsertError::Rows(reason)) => return Err((insert, Some(reason))),
                Err(InsertError::Server(reason)) => {
                    tracing::warn!(batch = insert.batch_id(), reason, "cannot insert yet");
                    insert.blocked("clickhouse_unavailable", &reason);
                    if !self.pause(&mut pause).await {
                        return Err((insert, None));
                    }
                }
            }
        }
    }

    /// Sends a record to the dead letters with its context; false where the process stops first.
    ///
    /// What Kafka will never take, because it is too large, goes without key and payload: where it
    /// stands in the topic it came from, and why it is here, is in the headers and in the trace.
    async fn dead_letter(
        &self,
        hop: &Hop,
        message: &OwnedMessage,
        error_type: &str,
        reason: &str,
    ) -> bool {
        let mut pause = Duration::from_millis(200);
        let mut is_whole = true;
        loop {
            hop.dead_lettered(error_type, reason);
            let sent = self.send_dead_letter(hop, message, is_whole).await;
            async {
                match &sent {
                    Ok(()) => {
                        tracing::error!(error_type, reason, is_whole, "sent to the dead letters");
                    }
                    Err(error) => {
                        tracing::error!(error_type, reason, is_whole, %error, "no dead letter sent");
                    }
                }
            }
            .with_context(otel::cx(hop.baton()))
            .await;
            match sent {
                Ok(()) => break,
                Err(error) if error.is_retryable() => {
                    if !self.pause(&mut pause).await {
                        return false;
                    }
                }
                Err(_) if is_whole => is_whole = false,
                Err(error) => {
                    // Whoever waited here would hold up everything behind this record for good.
                    hop.failed(error_type, &format!("{reason}; no dead letter: {error}"));
                    break;
                }
            }
        }
        hop.end();
        true
    }

    async fn send_dead_letter(
        &self,
        hop: &Hop,
        message: &OwnedMessage,
        is_whole: bool,
    ) -> Result<(), SendError> {
        let mut record = Record::default();
        if is_whole {
            record.key = message.key().map(<[u8]>::to_vec);
            record.payload = message.payload().unwrap_or_default().to_vec();
        } else {
            let (topic, partition) = (message.topic(), message.partition());
            let place = format!("{topic}/{partition}/{}", message.offset());
            record.headers.push(("tracebaton-left-out".to_owned(), place.into_bytes()));
        }
        let sent = send_all(&self.producer, &self.propagation, hop, DEAD_LETTERS, [record]).await;
        sent.into_iter().try_for_each(|result| result.map(drop))
    }

    /// Waits, longer each time; tells whether to go on.
    async fn pause(&self, pause: &mut Duration) -> bool {
        let mut stop = self.stop.clone();
        let stopping = stop.wait_for(|is_stopping| *is_stopping);
        let is_stopping = tokio::time::timeout(*pause, stopping).await.is_ok();
        *pause = (*pause * 2).min(Duration::from_secs(10));
        !is_stopping
    }
}

fn gather(rows: &[Mapped<'_>]) -> Insert {
    let mut insert = Insert::start(Recorder::global(), table::NAME);
    for row in rows {
        insert.add(&row.input, &row.baton);
    }
    insert
}

/// Logs one line for every trace in a batch, in that trace's own context.
async fn log_inserted(batch_id: &str, rows: &[Mapped<'_>]) {
    let mut traces: BTreeMap<_, (usize, &Baton)> = BTreeMap::new();
    for row in rows {
        let trace_id = row.baton.context.map(|context| context.trace_id);
        traces.entry(trace_id).or_insert((0, &row.baton)).0 += 1;
    }
    for (count, baton) in traces.into_values() {
        async { tracing::info!(table = table::NAME, count, batch_id, "inserted") }
            .with_context(otel::cx(baton))
            .await;
    }
}
