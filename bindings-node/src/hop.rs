//! Hops and their outputs, by number: what not every message needs.

use napi::bindgen_prelude::Either3;
use napi_derive::napi;
use tracebaton::{
    carrier::{CarrierMut, Medium},
    hop::{Hop, Value as Attribute},
    propagate,
    wire::{LegacyId, TraceContext},
};

use crate::{
    baton::{Baton, wrong},
    fast::{self, MAX_SAFE},
    headers::{self, Rewritten, Value},
};

/// Gives a topic, with the group that reads it, a number; 0 where there are too many.
#[napi]
pub fn topic_number(topic: String, group: Option<String>) -> u32 {
    fast::topic(&topic, group.as_deref())
}

/// What the header of a name is to a message: 0 nothing, 1 and 2 one of the usual two, 3 another that
/// is read.
#[napi]
pub fn role_of(name: String) -> u32 {
    fast::role_of(&name)
}

/// Starts the hop of one consumed message, whatever its headers are, and leaves on the desk what
/// `fastBegin` leaves there. `batch` is the hop of the batch that it leaves, or 0.
///
/// # Errors
///
/// Throws where the offset is not a whole number, or there are more topics than numbers.
#[napi]
pub fn begin(
    topic: u32,
    partition: i32,
    offset: String,
    names: Vec<String>,
    values: Vec<Value>,
    batch: u32,
) -> napi::Result<()> {
    let at = stood(topic, partition, &offset)?;
    let extracted = fast::propagation().extract(&headers::read(names, values, Medium::Kafka));
    let hop = fast::start(at, batch, &extracted.baton).ok_or_else(too_many)?;
    if let Some(linked) = extracted.linked {
        hop.link(linked);
    }
    fast::tell_started(hop);
    Ok(())
}

/// Adds a message to the batch that is being polled, whatever its headers are.
///
/// # Errors
///
/// As `begin`.
#[napi]
pub fn add(
    topic: u32,
    partition: i32,
    offset: String,
    names: Vec<String>,
    values: Vec<Value>,
) -> napi::Result<()> {
    let at = stood(topic, partition, &offset)?;
    let extracted = fast::propagation().extract(&headers::read(names, values, Medium::Kafka));
    fast::add(at, &extracted.baton).then_some(()).ok_or_else(too_many)
}

pub(crate) fn stood(topic: u32, partition: i32, offset: &str) -> napi::Result<fast::Stood> {
    let offset = offset.parse().map_err(|_| wrong("offset must be a whole number"))?;
    Ok(fast::Stood { topic, partition, offset })
}

pub(crate) fn too_many() -> napi::Error {
    wrong("there are too many topics")
}

/// Returns what an open hop hands on.
#[napi]
pub fn hop_baton(hop: u32) -> Option<Baton> {
    fast::hop_of(hop).map(|hop| Baton(hop.baton().clone()))
}

/// Makes the baton of a hop that is closed out of what was kept of it.
#[napi]
pub fn baton_from(traceparent: String, legacy_id: Option<String>) -> Baton {
    let legacy = legacy_id.and_then(|text| LegacyId::parse_bytes(text.as_bytes()).ok().flatten());
    Baton(propagate::Baton {
        context: TraceContext::parse(&traceparent).ok(),
        legacy,
        ..propagate::Baton::default()
    })
}

/// Starts a message on its way out and returns its number in the hop.
#[napi]
pub fn emit(hop: u32, topic: String) -> Option<u32> {
    let start = |hop: &Hop, _: &[_]| Some(hop.output(&topic));
    fast::put_output(hop, start, |_| ()).map(|(number, ())| number)
}

/// Writes the context of an output to headers of these names, and tells what stays and what comes. A
/// dead letter says besides what went wrong.
#[napi]
pub fn output_headers(
    hop: u32,
    output: u32,
    names: Vec<String>,
    is_dead_letter: bool,
) -> Rewritten {
    let errors = fast::hop_of(hop).filter(|_| is_dead_letter).map(|hop| hop.error_headers());
    headers::rewrite(names, Medium::Kafka, |list| {
        fast::with_output(hop, output, |output| fast::propagation().inject(output.baton(), list));
        for (name, value) in errors.unwrap_or_default() {
            list.set(name, &value);
        }
    })
}

/// Says where the broker put an output; the first word on a delivery counts.
///
/// # Errors
///
/// Throws where the offset is not a whole number.
#[napi]
pub fn delivered(hop: u32, output: u32, partition: i32, offset: String) -> napi::Result<()> {
    let offset = offset.parse().map_err(|_| wrong("offset must be a whole number"))?;
    if let Some(output) = fast::take_output(hop, output) {
        output.delivered(partition, offset);
    }
    Ok(())
}

/// Says that the broker or the client refused an output.
#[napi]
pub fn undelivered(hop: u32, output: u32, error_type: String, message: String) {
    if let Some(output) = fast::take_output(hop, output) {
        output.undelivered(&error_type, &message);
    }
}

/// Says that the broker has an output, where the client does not tell at which place.
#[napi]
pub fn acknowledged(hop: u32, output: u32) {
    if let Some(output) = fast::take_output(hop, output) {
        output.acknowledged();
    }
}

/// Says that a client will report the delivery of an output: its hop waits for it.
#[napi]
pub fn await_delivery(hop: u32, output: u32) {
    fast::await_delivery(hop, output);
}

/// Ends a hop that has failed: it settles at once.
#[napi]
pub fn close_failed(hop: u32) {
    fast::close_failed(hop);
}

/// Says of the outputs of which no client will report that they were not sent.
#[napi]
pub fn refuse_all(hop: u32, error_type: String, message: String) {
    fast::refuse_all(hop, &error_type, &message);
}

/// Gives an output up: nobody will tell what became of it.
#[napi]
pub fn release(hop: u32, output: u32) {
    drop(fast::take_output(hop, output));
}

/// Sets an attribute of the span.
#[napi]
pub fn set_attribute(hop: u32, key: String, value: Either3<String, f64, bool>) {
    let value = match value {
        Either3::A(text) => Attribute::from(text),
        Either3::B(number) if number.fract() == 0.0 && number.abs() <= MAX_SAFE => {
            Attribute::from(number as i64)
        }
        Either3::B(number) => Attribute::from(number),
        Either3::C(flag) => Attribute::from(flag),
    };
    if let Some(hop) = fast::hop_of(hop) {
        hop.set(key, value);
    }
}

/// Says that the record was left out on purpose.
#[napi]
pub fn filtered(hop: u32, reason: String) {
    if let Some(hop) = fast::hop_of(hop) {
        hop.filtered(&reason);
    }
}

/// Says that the record could not be handled and nothing else took it.
#[napi]
pub fn failed(hop: u32, error_type: String, message: String) {
    if let Some(hop) = fast::hop_of(hop) {
        hop.failed(&error_type, &message);
    }
}

/// Says that the record could not be handled and goes to a dead-letter topic.
#[napi]
pub fn dead_lettered(hop: u32, error_type: String, message: String) {
    if let Some(hop) = fast::hop_of(hop) {
        hop.dead_lettered(&error_type, &message);
    }
}
