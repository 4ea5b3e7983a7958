//! Layers for hyper and axum: on requests that come in, and on those that go out.

mod call;
mod client;
mod describe;
mod headers;
mod layer;
mod response;

pub use client::{ClientFuture, ClientLayer, ClientService};
pub use layer::{TraceLayer, TraceService};
pub use response::ResponseFuture;
