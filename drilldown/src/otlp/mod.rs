//! OTLP's own bytes: cut up by trace on the way in, understood on the way out.
//!
//! A span is written once and read seldom, if ever. So nothing is made of it when it comes in: its
//! bytes are checked, and kept as they are.

pub(crate) mod cut;
mod fields;
pub(crate) mod read;
mod schema;
#[cfg(test)]
mod tests;

pub(crate) use fields::Malformed;
