//! New ids for the OpenTelemetry SDK, and roots that have a given trace id.

use std::cell::Cell;

use opentelemetry::{
    Context,
    trace::{self, SpanBuilder, Tracer},
};
use opentelemetry_sdk::trace::IdGenerator;

use super::context::given_trace;
use crate::wire::{SpanId, TraceId};

/// Makes trace ids as UUIDv7, and takes the given one where a legacy id has named the trace.
///
/// A legacy id has no span, so its root span has no parent: it is a root that has that trace id. An
/// SDK asks its generator for the id of a root without saying in which context it is to be; this
/// generator takes the current one, unless a [`BatonTracer`] says which it is.
#[derive(Clone, Debug, Default)]
pub struct BatonIdGenerator(());

impl IdGenerator for BatonIdGenerator {
    fn new_trace_id(&self) -> trace::TraceId {
        let given = match ASKED.get() {
            Asked::Nobody => Context::map_current(given_trace),
            Asked::Tracer(given) => given,
            Asked::Span(trace_id, _) => Some(trace_id),
        };
        trace::TraceId::from_bytes(given.unwrap_or_else(TraceId::generate).to_bytes())
    }

    fn new_span_id(&self) -> trace::SpanId {
        let given = match ASKED.get() {
            Asked::Span(_, span_id) => span_id,
            Asked::Nobody | Asked::Tracer(_) => SpanId::generate(),
        };
        trace::SpanId::from_bytes(given.to_bytes())
    }
}

/// Who wants an id.
#[derive(Clone, Copy)]
enum Asked {
    Nobody,
    Tracer(Option<TraceId>),
    /// A span that has its ids already.
    #[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "the exporter's host asks so"))]
    Span(TraceId, SpanId),
}

thread_local! {
    static ASKED: Cell<Asked> = const { Cell::new(Asked::Nobody) };
}

/// A tracer whose roots have the trace id that their context was given.
///
/// It is needed where spans are started in another context than the current one, as `tracing`'s are;
/// the provider must use the [`BatonIdGenerator`].
///
/// # Examples
///
/// ```
/// use opentelemetry::{Context, trace::{Span, Tracer, TracerProvider}};
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use tracebaton::{carrier::{List, Medium}, otel::{self, BatonIdGenerator, BatonTracer}, Propagation};
///
/// let provider = SdkTracerProvider::builder().with_id_generator(BatonIdGenerator::default()).build();
/// let tracer = BatonTracer::new(provider.tracer("orders"));
///
/// let headers = List::new(Medium::Http, [("x-trace-id", Some("order-1234"))]);
/// let cx = otel::cx(&Propagation::default().extract(&headers).baton);
/// let root = tracer.start_with_context("receive", &cx);
/// assert_eq!(root.span_context().trace_id().to_string(), "36e0ffa14b27b2d7eaf4d5a09cb36a2c");
/// ```
#[derive(Clone, Debug)]
pub struct BatonTracer<T>(T);

impl<T> BatonTracer<T> {
    /// Wraps a tracer.
    #[must_use]
    pub fn new(tracer: T) -> Self {
        Self(tracer)
    }
}

impl<T: Tracer> Tracer for BatonTracer<T> {
    type Span = T::Span;

    fn build_with_context(&self, builder: SpanBuilder, cx: &Context) -> T::Span {
        let _asked = Restore(ASKED.replace(Asked::Tracer(given_trace(cx))));
        self.0.build_with_context(builder, cx)
    }
}

/// Has the span that is started until this is dropped get these ids.
#[cfg(feature = "otlp")]
pub(super) fn asking_for(trace_id: TraceId, span_id: SpanId) -> impl Drop {
    Restore(ASKED.replace(Asked::Span(trace_id, span_id)))
}

/// Puts back who asked before, also when a span processor panics.
struct Restore(Asked);

impl Drop for Restore {
    fn drop(&mut self) {
        ASKED.set(self.0);
    }
}
