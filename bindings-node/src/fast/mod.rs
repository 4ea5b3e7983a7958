//! The calls that every message makes, on the bare N-API: conversions by macro cost more than what they call.
//!
//! JavaScript holds numbers: of a topic, of a hop, of an output of that hop.

mod call;
mod calls;
mod carrier;
mod desk;
mod slab;

pub(crate) use call::MAX_SAFE;
pub(crate) use calls::tell_started;
pub(crate) use carrier::{forget_rules, propagation, role_of};
pub(crate) use slab::{
    Stood, add, await_delivery, close_failed, has_open, hop_of, leave_all, leave_pending,
    put_output, refuse_all, start, take_output, topic, with_input, with_output,
};
