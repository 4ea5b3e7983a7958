//! Batches on their way into tables, by number.

use std::{cell::RefCell, collections::BTreeMap};

use napi_derive::napi;
use tracebaton::{
    carrier::Medium,
    hop::{Coordinates, Insert, Recorder},
    propagate,
};

use crate::{
    baton::{Baton, wrong},
    fast::{self, Stood, propagation},
    headers::{self, Value},
    hop::{stood, too_many},
};

/// So many of a thread may be open at once. Of one more, the oldest is left: its records are pending.
const MAX_OPEN: usize = 1 << 12;

#[derive(Default)]
struct Open {
    last: u32,
    /// The oldest comes first.
    inserts: BTreeMap<u32, Insert>,
}

thread_local! {
    static OPEN: RefCell<Open> = RefCell::default();
}

/// Calls `each` with a batch that is open.
fn with<T>(number: u32, each: impl FnOnce(&mut Insert) -> T) -> Option<T> {
    OPEN.with_borrow_mut(|open| open.inserts.get_mut(&number).map(each))
}

fn take(number: u32) -> Option<Insert> {
    OPEN.with_borrow_mut(|open| open.inserts.remove(&number))
}

/// Adds a record to a batch; tells whether there is such a topic and such a batch.
pub(crate) fn add(number: u32, at: Stood, baton: &propagate::Baton) -> bool {
    let add = |input: &Coordinates| with(number, |insert| insert.add(input, baton)).is_some();
    fast::with_input(at, add).unwrap_or(false)
}

/// Tells whether any batch of this thread is still open.
pub(crate) fn has_open() -> bool {
    OPEN.with_borrow(|open| !open.inserts.is_empty())
}

/// Leaves every batch of this thread that is still open.
pub(crate) fn leave_all() {
    let open = OPEN.with_borrow_mut(|open| std::mem::take(&mut open.inserts));
    open.into_values().for_each(Insert::leave_pending);
}

/// Starts a batch for a table and returns its number.
#[napi]
pub fn start_insert(table: String) -> u32 {
    let insert = Insert::start(Recorder::global(), &table);
    let (number, oldest) = OPEN.with_borrow_mut(|open| {
        // 0 is nobody's.
        open.last = open.last.checked_add(1).unwrap_or(1);
        open.inserts.insert(open.last, insert);
        let is_full = open.inserts.len() > MAX_OPEN;
        (open.last, is_full.then(|| open.inserts.pop_first()).flatten())
    });
    if let Some((_, oldest)) = oldest {
        oldest.leave_pending();
    }
    number
}

/// Returns the batch's name; none once the batch has ended.
#[napi]
pub fn insert_batch_id(insert: u32) -> Option<String> {
    with(insert, |insert| insert.batch_id().to_owned())
}

/// Names the batch otherwise.
///
/// # Errors
///
/// Throws where the batch has ended: it has been told by its other name.
#[napi]
pub fn set_insert_batch_id(insert: u32, batch_id: String) -> napi::Result<()> {
    with(insert, |insert| insert.set_batch_id(&batch_id)).ok_or_else(has_ended)
}

/// Returns what is current while an attempt goes on; none once the batch has ended.
#[napi]
pub fn insert_baton(insert: u32) -> Option<Baton> {
    with(insert, |insert| Baton(insert.baton().clone()))
}

/// Returns how many records are in; none once the batch has ended.
#[napi]
pub fn insert_length(insert: u32) -> Option<f64> {
    with(insert, |insert| insert.len() as f64)
}

/// Adds a record, whatever its headers are.
///
/// # Errors
///
/// Throws where the offset is not a whole number, the batch has ended, or there are more topics than numbers.
#[napi]
pub fn add_to_insert(
    insert: u32,
    topic: u32,
    partition: i32,
    offset: String,
    names: Vec<String>,
    values: Vec<Value>,
) -> napi::Result<()> {
    let at = stood(topic, partition, &offset)?;
    let baton = propagation().extract(&headers::read(names, values, Medium::Kafka)).baton;
    with(insert, |_| ()).ok_or_else(has_ended)?;
    add(insert, at, &baton).then_some(()).ok_or_else(too_many)
}

/// Takes a record out and starts its own hop; leaves on the desk what `fastBegin` leaves there.
///
/// # Errors
///
/// As `addToInsert`.
#[napi]
pub fn take_out_of_insert(
    insert: u32,
    topic: u32,
    partition: i32,
    offset: String,
    names: Vec<String>,
    values: Vec<Value>,
) -> napi::Result<()> {
    let at = stood(topic, partition, &offset)?;
    let extracted = propagation().extract(&headers::read(names, values, Medium::Kafka));
    let take_out = |input: &Coordinates| with(insert, |of| of.take_out(input, &extracted.baton));
    let hop = fast::with_input(at, take_out).ok_or_else(too_many)?.ok_or_else(has_ended)?;
    if let Some(linked) = extracted.linked {
        hop.link(linked);
    }
    fast::tell_started(hop);
    Ok(())
}

fn has_ended() -> napi::Error {
    wrong("the batch has ended")
}

/// Says that the table has the batch.
#[napi]
pub fn insert_passed(insert: u32) {
    if let Some(insert) = take(insert) {
        insert.passed();
    }
}

/// Says that the batch was given up: nothing else took its records.
#[napi]
pub fn insert_failed(insert: u32, error_type: String, message: String) {
    if let Some(insert) = take(insert) {
        insert.failed(&error_type, &message);
    }
}

/// Leaves a batch that nobody holds any more, with the hops of what was taken out of it: all of it is
/// pending. One that has ended stays as it is.
#[napi]
pub fn leave_insert(insert: u32, hops: Vec<u32>) {
    if let Some(insert) = take(insert) {
        insert.leave_pending();
        hops.into_iter().for_each(fast::leave_pending);
    }
}

/// Says that an attempt failed and another will follow.
#[napi]
pub fn insert_blocked(insert: u32, error_type: String, message: String) {
    with(insert, |insert| insert.blocked(&error_type, &message));
}
