//! Traced consumption: where a message stood, what it carries, and its hop.

use rdkafka::{
    Message,
    message::{BorrowedHeaders, BorrowedMessage, OwnedHeaders, OwnedMessage},
};

use super::headers::ReadHeaders;
use crate::{
    hop::{Batch, Consumer, Coordinates, Hop, Recorder},
    propagate::{Extracted, Propagation},
};

/// A message whose headers can be read as bytes.
pub trait HasHeaders: Message {
    /// Returns the headers, if there are any.
    fn read_headers(&self) -> Option<&BorrowedHeaders>;
}

impl HasHeaders for BorrowedMessage<'_> {
    fn read_headers(&self) -> Option<&BorrowedHeaders> {
        self.headers()
    }
}

impl HasHeaders for OwnedMessage {
    fn read_headers(&self) -> Option<&BorrowedHeaders> {
        self.headers().map(OwnedHeaders::as_borrowed)
    }
}

/// Reads the baton of a message. Never fails, whatever the headers are.
#[must_use]
pub fn extract(propagation: &Propagation, message: &impl HasHeaders) -> Extracted {
    propagation.extract(&ReadHeaders(message.read_headers()))
}

/// Says where a message stood.
#[must_use]
pub fn coordinates(message: &impl Message, group: &str) -> Coordinates {
    Coordinates {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        group: Some(group.to_owned()),
    }
}

/// Starts the hop of one consumed message.
#[must_use]
pub fn process(
    recorder: &Recorder,
    propagation: &Propagation,
    message: &impl HasHeaders,
    group: &str,
) -> Hop {
    let baton = propagation.extract_baton(&ReadHeaders(message.read_headers()));
    let consumer = Consumer::of(message.topic(), Some(group));
    consumer.process(recorder, message.partition(), message.offset(), &baton)
}

/// Adds a consumed message to the batch it was polled in.
pub fn add(batch: &mut Batch, propagation: &Propagation, message: &impl HasHeaders, group: &str) {
    let baton = propagation.extract_baton(&ReadHeaders(message.read_headers()));
    batch.add(&coordinates(message, group), &baton);
}

/// Takes a message out of the batch it was polled in and starts its own hop.
#[must_use]
pub fn take_out(
    batch: &mut Batch,
    propagation: &Propagation,
    message: &impl HasHeaders,
    group: &str,
) -> Hop {
    let baton = propagation.extract_baton(&ReadHeaders(message.read_headers()));
    batch.take_out(&coordinates(message, group), &baton)
}
