//! tracebaton for Node: convert, call, convert back. Every decision is made in the core.

#![allow(unreachable_pub, reason = "what is exported to JavaScript must be public to the macro")]

mod baton;
mod headers;
mod hop;
mod lifecycle;
mod log;
