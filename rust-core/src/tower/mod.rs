//! A layer for hyper and axum: it takes or makes the id, and returns it on every response.

mod layer;
mod response;

pub use layer::{TraceLayer, TraceService};
pub use response::ResponseFuture;
