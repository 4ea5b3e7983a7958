//! Spans that OpenTelemetry's SDK has exported.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, ShouldSample, SpanData, SpanExporter},
};
use tracebaton::otel::BatonIdGenerator;

#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

impl Kept {
    /// Returns a provider with our ids that exports to this.
    pub(crate) fn provider(&self, sampler: impl ShouldSample + 'static) -> SdkTracerProvider {
        SdkTracerProvider::builder()
            .with_id_generator(BatonIdGenerator::default())
            .with_sampler(sampler)
            .with_simple_exporter(self.clone())
            .build()
    }

    /// Takes all there is.
    pub(crate) fn take(&self) -> Vec<SpanData> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}
