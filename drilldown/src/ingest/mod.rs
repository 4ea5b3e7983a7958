//! OTLP in: over gRPC and HTTP, into the store.

mod answer;
pub(crate) mod grpc;
pub(crate) mod http;

use crate::{
    model::{Delivery, Rejected},
    otlp::Malformed,
    query::id,
    store::{Error, Store},
};

/// A request larger than this is refused, however small it was made by compression.
const MAX_REQUEST: usize = 64 << 20;

/// Cuts the bytes of a request into what is to be kept.
type Cut = fn(&[u8]) -> Result<Delivery, Malformed>;

/// Keeps a delivery; once this returns it is on disk, and its sender may be told so.
fn keep(store: &dyn Store, mut delivery: Delivery) -> Result<Rejected, Error> {
    let rejected = std::mem::take(&mut delivery.rejected);
    delivery.arrived = id::now();
    store.keep(delivery)?;
    Ok(rejected)
}

fn not_well(error: &Error) -> String {
    format!("the store cannot keep this now, send it again later: {error}")
}
