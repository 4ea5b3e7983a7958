//! A word between our propagator and our own carriers, through OpenTelemetry's injector.
//!
//! An injector can set headers and not remove them. Where headers were copied from what came in, those that
//! belong to another `traceparent` would go on beside ours: a new one deletes the `tracestate` (Trace
//! Context, "Processing Model"), and baggage that is not the context's is somebody else's. So our
//! propagator says by where the text of `traceparent` stands what it takes the place of. Any other
//! injector sees the name alone.

use std::ptr;

const BYTES: usize = "traceparent".len();
/// The texts stand in front of others, so that no name stands where they do.
static WITH_BAGGAGE: &str = "traceparent, in place of baggage too";
static WITHOUT: &str = "traceparent, in place of its state";

/// Returns the name of `traceparent`, in place of what stands beside it; of baggage only where that is written.
#[inline]
pub(super) fn parent(writes_baggage: bool) -> &'static str {
    let text = if writes_baggage { WITH_BAGGAGE } else { WITHOUT };
    text.get(..BYTES).unwrap_or_default()
}

/// Returns the names that are to go where this one is written.
#[inline]
pub(crate) fn besides(key: &str) -> &'static [&'static str] {
    if ptr::eq(key.as_ptr(), WITH_BAGGAGE.as_ptr()) {
        &["tracestate", "baggage"]
    } else if ptr::eq(key.as_ptr(), WITHOUT.as_ptr()) {
        &["tracestate"]
    } else {
        &[]
    }
}
