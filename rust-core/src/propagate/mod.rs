//! The decisions that all languages share.

use crate::wire::TraceContext;

/// What a request hands on.
#[derive(Clone, Debug, Default)]
pub struct Baton {
    /// Where it stands in its trace.
    pub context: Option<TraceContext>,
    /// The vendors' state.
    pub tracestate: String,
}

impl Baton {
    /// Returns the id as the client knows it, where that is not the trace id itself.
    #[must_use]
    pub fn legacy_text(&self) -> Option<&str> {
        None
    }
}
