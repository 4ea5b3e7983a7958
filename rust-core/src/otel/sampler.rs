//! Our sampler for the OpenTelemetry SDK.

use std::str::FromStr;

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceContextExt, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use super::context::{baton_of, is_open};
use crate::{
    propagate::Baton,
    sample::Sampler,
    wire::{self, Flags, TraceContext},
};

/// Keeps a share of new traces, the same ones at every hop; a child follows its parent.
///
/// Use it in place of the stock `TraceIdRatioBased`, which goes wrong with UUIDv7
/// ([`sample`](crate::sample)). Of a parent that left the decision open it decides as for a root.
///
/// # Examples
///
/// ```
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use tracebaton::otel::{BatonIdGenerator, BatonSampler};
///
/// let provider = SdkTracerProvider::builder()
///     .with_id_generator(BatonIdGenerator::default())
///     .with_sampler(BatonSampler::new(0.1))
///     .build();
/// ```
#[derive(Clone, Debug)]
pub struct BatonSampler(Sampler);

impl BatonSampler {
    /// Creates a sampler that keeps this share of new traces: none at 0, all at 1.
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self(Sampler::new(rate))
    }

    fn decide(&self, cx: &Context, trace_id: wire::TraceId) -> (bool, TraceState) {
        let span = cx.span();
        let parent = span.span_context();
        if parent.is_valid() && !is_open(cx) {
            return (parent.is_sampled(), parent.trace_state().clone());
        }
        let given = baton_of(cx)
            .filter(|baton| baton.context.is_some_and(|context| context.trace_id == trace_id));
        // An id of the SDK's own is random.
        let flags = Flags::RANDOM;
        let baton = given.unwrap_or_else(|| Baton {
            context: Some(TraceContext { trace_id, span_id: None, flags }),
            ..Baton::default()
        });
        let decided = self.0.decide_on(baton);
        let is_sampled = decided.context.is_some_and(|context| context.flags.is_sampled());
        let state = decided.tracestate.as_str();
        let state =
            if state.is_empty() { Ok(TraceState::NONE) } else { TraceState::from_str(state) };
        (is_sampled, state.unwrap_or_default())
    }
}

impl ShouldSample for BatonSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let (is_sampled, trace_state) = match wire::TraceId::from_bytes(trace_id.to_bytes()) {
            Some(trace_id) => self.decide(parent.unwrap_or(&Context::new()), trace_id),
            None => (false, TraceState::default()),
        };
        let decision =
            if is_sampled { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop };
        SamplingResult { decision, attributes: Vec::new(), trace_state }
    }
}
