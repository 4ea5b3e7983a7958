//! The calls that every message makes, on the bare N-API: conversions by macro cost more than what they call.
//!
//! JavaScript holds numbers: of a topic, of a hop, of an output of that hop. What comes back besides a
//! text stands in an array that both sides see (`REPLY`).

mod call;
mod calls;
mod carrier;
mod slab;

pub(crate) use call::MAX_SAFE;
pub(crate) use carrier::{forget_rules, is_plain, propagation, role_of};
pub(crate) use slab::{hop_of, put, put_output, take_output, topic, with_input, with_output};
