//! What a foreign format says of a trace.

use super::context::TraceContext;

/// A trace context as a foreign format has it: that may leave the sampling decision open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Where it stands in its trace.
    pub context: TraceContext,
    /// Whether every hop is asked to record it whatever its sampler says; implies sampled.
    pub is_debug: bool,
    /// Whether nobody has decided yet if it is sampled.
    pub is_deferred: bool,
}

impl Sighting {
    pub(super) fn new(mut context: TraceContext, sampled: Option<bool>, is_debug: bool) -> Self {
        let is_sampled = is_debug || sampled.unwrap_or(false);
        context.flags = context.flags.with_sampled(is_sampled);
        Self { context, is_debug, is_deferred: sampled.is_none() && !is_debug }
    }
}
