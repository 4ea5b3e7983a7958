//! tracebaton for Node: convert, call, convert back. Every decision is made in the core.

#![allow(unreachable_pub, reason = "what is exported to JavaScript must be public to the macro")]
#![cfg_attr(
    test,
    allow(dead_code, reason = "nothing is registered for JavaScript in a test build")
)]

use napi_derive::napi;

mod baton;
mod fast;
mod headers;
mod hop;
mod host;
mod insert;
mod lifecycle;
mod log;
mod otel;
mod propagation;
mod settings;

/// The version this was built from; the JavaScript beside it must be of the same.
#[napi]
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
