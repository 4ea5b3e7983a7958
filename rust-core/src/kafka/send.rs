//! Traced producing: many records, bounded in flight, each with an answer of its own.

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::OwnedHeaders,
    producer::{DeliveryFuture, FutureProducer, FutureRecord},
};

use super::headers::OwnedBaton;
use crate::{
    carrier::CarrierMut,
    hop::{Hop, Output},
    propagate::Propagation,
};

/// How many records of one call may be on their way at once.
const MAX_IN_FLIGHT: usize = 1024;
/// How long a full queue is waited for before a record is given up.
const FULL_QUEUE_WAIT: Duration = Duration::from_secs(5);

/// A record to send.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The key, which decides the partition.
    pub key: Option<Vec<u8>>,
    /// The payload.
    pub payload: Vec<u8>,
    /// Headers besides the baton's.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Why a record was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendError {
    code: Option<RDKafkaErrorCode>,
    message: String,
}

impl SendError {
    /// Returns librdkafka's code, unless the producer was shut down.
    #[must_use]
    pub fn code(&self) -> Option<RDKafkaErrorCode> {
        self.code
    }

    /// Tells whether the same record may go through later: the broker was out of reach or the queue
    /// was full.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        !matches!(
            self.code,
            Some(
                RDKafkaErrorCode::MessageSizeTooLarge
                    | RDKafkaErrorCode::InvalidMessage
                    | RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::InvalidTopic
            )
        )
    }

    fn kind(&self) -> String {
        self.code.map_or("Canceled".to_owned(), |code| format!("{code:?}"))
    }
}

impl From<&KafkaError> for SendError {
    fn from(error: &KafkaError) -> Self {
        Self { code: error.rdkafka_error_code(), message: error.to_string() }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SendError {}

/// Sends records to a topic as outputs of a hop, and returns partition and offset, or the error, of
/// each in order. Dead letters, which are sent after [`Hop::dead_lettered`], say in their headers what
/// failed, where and why ([`Hop::error_headers`]).
///
/// At most 1,024 are on their way at once, and a full producer queue is waited for: the caller is
/// slowed down instead of the queue growing. Records may be made one by one as they are asked for; what
/// makes them goes from thread to thread with the future.
pub fn send_all<C, R>(
    producer: &FutureProducer<C>,
    propagation: &Propagation,
    hop: &Hop,
    topic: &str,
    records: R,
) -> impl Future<Output = Vec<Result<(i32, i64), SendError>>> + Send
where
    C: ClientContext + 'static,
    R: IntoIterator<Item = Record, IntoIter: Send>,
{
    // `Send` is promised here, where the compiler knows whose lifetimes an iterator borrows. Inside of a
    // caller's future it does not any more, and calls the closures of most iterators "not general enough".
    send_each(producer, propagation, hop, topic, records.into_iter())
}

async fn send_each<C: ClientContext + 'static>(
    producer: &FutureProducer<C>,
    propagation: &Propagation,
    hop: &Hop,
    topic: &str,
    records: impl Iterator<Item = Record> + Send,
) -> Vec<Result<(i32, i64), SendError>> {
    let mut results = Vec::new();
    let mut waiting: VecDeque<(Output, DeliveryFuture)> = VecDeque::new();
    for record in records {
        let output = hop.output(topic);
        let mut headers = OwnedBaton(OwnedHeaders::new());
        for (name, value) in &record.headers {
            let header = rdkafka::message::Header { key: name, value: Some(value) };
            headers = OwnedBaton(headers.0.insert(header));
        }
        propagation.inject(output.baton(), &mut headers);
        if output.is_dead_letter() {
            for (name, text) in hop.error_headers() {
                headers.set(name, &text);
            }
        }
        let mut message =
            FutureRecord::<[u8], [u8]>::to(topic).payload(&record.payload).headers(headers.0);
        message.key = record.key.as_deref();
        let give_up = Instant::now() + FULL_QUEUE_WAIT;
        loop {
            match producer.send_result(message) {
                Ok(delivery) => {
                    waiting.push_back((output, delivery));
                    break;
                }
                Err((error, refused)) => {
                    let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                    if !is_full || Instant::now() >= give_up {
                        // Answers stay in order: settle all that is ahead of this one first.
                        drain(&mut waiting, &mut results, 0).await;
                        results.push(refuse(output, SendError::from(&error)));
                        break;
                    }
                    message = refused;
                    if waiting.is_empty() {
                        // The queue is full of others' records.
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    } else {
                        let keep = waiting.len() - 1;
                        drain(&mut waiting, &mut results, keep).await;
                    }
                }
            }
        }
        drain(&mut waiting, &mut results, MAX_IN_FLIGHT - 1).await;
    }
    drain(&mut waiting, &mut results, 0).await;
    results
}

/// Waits for the oldest deliveries until at most `keep` are left.
async fn drain(
    waiting: &mut VecDeque<(Output, DeliveryFuture)>,
    results: &mut Vec<Result<(i32, i64), SendError>>,
    keep: usize,
) {
    while waiting.len() > keep {
        let Some((output, delivery)) = waiting.pop_front() else { return };
        results.push(match delivery.await {
            Ok(Ok(place)) => {
                output.delivered(place.partition, place.offset);
                Ok((place.partition, place.offset))
            }
            Ok(Err((error, _))) => refuse(output, SendError::from(&error)),
            Err(_) => {
                let message = "the producer was shut down before the delivery".to_owned();
                refuse(output, SendError { code: None, message })
            }
        });
    }
}

fn refuse(output: Output, error: SendError) -> Result<(i32, i64), SendError> {
    output.undelivered(&error.kind(), &error.message);
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_may_send_what_it_makes_of_borrowed_values_one_by_one() {
        async fn handle(producer: FutureProducer, hop: Hop, body: String) -> usize {
            let lines = body.lines().filter(|line| !line.is_empty());
            let records = lines.map(|line| Record { payload: line.into(), ..Record::default() });
            send_all(&producer, &Propagation::default(), &hop, "orders", records).await.len()
        }
        /// As routers and runtimes take it.
        fn takes<F: Future<Output = usize> + Send + 'static>(
            _: impl Fn(FutureProducer, Hop, String) -> F,
        ) {
        }
        takes(handle);
    }
}
