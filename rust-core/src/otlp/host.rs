//! Spans for the host's own SDK instead of the endpoint.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;

use crate::hop::FinishedSpan;

/// Where the spans of hops go instead of the endpoint: to whoever records the host's own spans.
///
/// It is called from a thread of the exporter's that has nothing else to do, one call at a time, with
/// spans that have ended; those that wait for it count towards the memory limit. The ledger and log
/// lines go to the endpoint as ever. For OpenTelemetry's SDK there is `tracebaton::otel::spans_to`.
#[derive(Clone)]
pub struct SpanHost(Arc<dyn Fn(Vec<FinishedSpan>) -> usize + Send + Sync>);

impl SpanHost {
    /// Hands spans to `take`, which returns how many it took; the others count as refused. So do all of
    /// them where it panics.
    #[must_use]
    pub fn new(take: impl Fn(Vec<FinishedSpan>) -> usize + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    /// Hands over encoded spans; returns how many were taken.
    pub(super) fn take(&self, encoded: &[Bytes]) -> u64 {
        let spans = encoded.iter().flat_map(|chunk| FinishedSpan::read_all(chunk)).collect();
        catch_unwind(AssertUnwindSafe(|| (self.0)(spans))).unwrap_or(0) as u64
    }
}

impl fmt::Debug for SpanHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpanHost")
    }
}
