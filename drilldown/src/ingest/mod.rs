//! OTLP in: over gRPC and HTTP, into the store.

mod answer;
mod convert;
pub(crate) mod grpc;
pub(crate) mod http;

use crate::{
    model::{Delivery, Rejected},
    store::{Error, Store},
};

/// A request larger than this is refused, however small it was made by compression.
const MAX_REQUEST: usize = 64 << 20;

/// Keeps a delivery; once this returns it is on disk, and its sender may be told so.
fn keep(store: &dyn Store, delivery: Delivery) -> Result<Rejected, Error> {
    store.keep(&delivery)?;
    Ok(delivery.rejected)
}

fn not_well(error: &Error) -> String {
    format!("the store cannot keep this now, send it again later: {error}")
}
