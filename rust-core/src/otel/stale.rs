//! A word between our propagator and our own carriers, through OpenTelemetry's injector.
//!
//! An injector can set headers and not remove them. Where headers were copied from what came in, those that
//! belong to another `traceparent` would go on beside ours: a new one deletes the `tracestate` (Trace
//! Context, "Processing Model"), and baggage that is not the context's is somebody else's. So our
//! propagator says by where the text of `traceparent` stands what it takes the place of, and by where that
//! of the id's name stands that it comes right after. Any other injector sees the names alone.

use std::ptr;

use super::usual::LEGACY;

const BYTES: usize = "traceparent".len();
/// The texts stand in front of others, so that no name stands where they do.
static WITH_BAGGAGE: &str = "traceparent, in place of baggage too";
static WITHOUT: &str = "traceparent, in place of its state";

static NEXT_ID: &str = "x-trace-id, next";

/// Returns the name of the id where it is written right after a `traceparent`, to the same injector.
#[inline]
pub(super) fn next_id() -> &'static str {
    NEXT_ID.get(..LEGACY.len()).unwrap_or_default()
}

/// Tells whether this is the name of an id before which a `traceparent` was written.
#[cfg_attr(not(feature = "kafka"), allow(dead_code, reason = "Kafka's headers are who listens"))]
#[inline]
pub(crate) fn is_next(key: &str) -> bool {
    ptr::eq(key.as_ptr(), NEXT_ID.as_ptr())
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_what_they_say_wherever_they_stand() {
        assert_eq!(
            (parent(true), parent(false), next_id()),
            ("traceparent", "traceparent", LEGACY)
        );
        assert!(is_next(next_id()) && !is_next(LEGACY) && !is_next(parent(true)));
        assert!(besides(next_id()).is_empty() && besides("traceparent").is_empty());
    }
}
