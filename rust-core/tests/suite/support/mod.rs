//! What several tests need.

#![allow(dead_code, reason = "which helpers are used depends on the features")]

#[cfg(feature = "otlp")]
pub(crate) mod endpoints;
#[cfg(feature = "otel")]
pub(crate) mod kept;
#[cfg(feature = "otlp")]
pub(crate) mod load;
#[cfg(feature = "otlp")]
pub(crate) mod path;
#[cfg(feature = "otlp")]
pub(crate) mod raw;
#[cfg(feature = "otlp")]
pub(crate) mod sink;
pub(crate) mod telemetry;

use std::time::{Duration, Instant};

pub(crate) const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
pub(crate) const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Waits until `found` finds something, at most twenty seconds.
pub(crate) fn wait_for<T>(what: &str, found: impl FnMut() -> Option<T>) -> T {
    wait_long_for(what, Duration::from_secs(20), found)
}

/// Waits until `found` finds something.
pub(crate) fn wait_long_for<T>(
    what: &str,
    at_most: Duration,
    mut found: impl FnMut() -> Option<T>,
) -> T {
    let give_up = Instant::now() + at_most;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < give_up, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
