//! Ids, sampling and given roots in the OpenTelemetry SDK, and through `tracing`.

use std::{collections::HashMap, time::SystemTime};

use opentelemetry::{
    Context,
    baggage::{BaggageExt, KeyValueMetadata},
    propagation::TextMapPropagator,
    trace::{FutureExt, Span, SpanId, SpanKind, TraceContextExt, TraceId, Tracer, TracerProvider},
};
use opentelemetry_sdk::trace::{IdGenerator, Sampler, SamplingDecision, ShouldSample, SpanData};
use tracebaton::{
    Propagation,
    carrier::{List, Medium},
    otel::{self, BatonIdGenerator, BatonPropagator, BatonSampler, BatonTracer},
    propagate::Format,
};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

use crate::support::kept::Kept;

/// `order-1234` as a trace id.
const MAPPED: &str = "36e0ffa14b27b2d7eaf4d5a09cb36a2c";
const RATES: [f64; 4] = [0.01, 0.1, 0.5, 0.9];
const IDS: usize = 1_000_000;

fn cx_of(headers: &[(&str, &str)]) -> Context {
    let headers = headers.iter().map(|(name, value)| (*name, Some(*value)));
    let formats = [Format::TraceContext, Format::B3, Format::Baggage, Format::Legacy];
    let extracted =
        Propagation::default().with_read(formats).extract(&List::new(Medium::Http, headers));
    otel::cx(&extracted.baton)
}

fn sent(cx: &Context) -> Vec<(String, String)> {
    let mut sent = std::collections::HashMap::new();
    opentelemetry::propagation::TextMapPropagator::inject_context(
        &BatonPropagator::default(),
        cx,
        &mut sent,
    );
    let mut sent: Vec<_> = sent.into_iter().collect();
    sent.sort();
    sent
}

fn sampled(sampler: &dyn ShouldSample, ids: &[TraceId]) -> usize {
    let cx = Context::new();
    let is_sampled = |id: &&TraceId| {
        let result = sampler.should_sample(Some(&cx), **id, "s", &SpanKind::Internal, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    };
    ids.iter().filter(is_sampled).count()
}

/// The n-th number of a SplitMix64 sequence.
fn mixed(n: u64) -> u64 {
    let n = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}

/// Returns how far the sampler's count is from what the rate asks for, in standard deviations.
fn distance(rate: f64, ids: &[TraceId]) -> f64 {
    let (count, wanted) = (sampled(&BatonSampler::new(rate), ids) as f64, ids.len() as f64 * rate);
    let distance = (count - wanted).abs() / (wanted * (1.0 - rate)).sqrt();
    println!("rate {rate}: {count} of {}, {distance:.2} sigma", ids.len());
    distance
}

#[test]
fn our_sampler_keeps_its_share_of_uuid_v7_where_the_stock_one_goes_wrong() {
    // The bits are passed in, so that the outcome does not hang on luck.
    let bits = |n| u128::from(mixed(2 * n)) << 64 | u128::from(mixed(2 * n + 1));
    let id = |n| tracebaton::TraceId::from_parts(SystemTime::now(), bits(n)).to_bytes();
    let ids: Vec<TraceId> = (0..IDS as u64).map(|n| TraceId::from_bytes(id(n))).collect();
    std::thread::scope(|scope| {
        for rate in RATES {
            let ids = &ids;
            scope.spawn(move || {
                assert!(distance(rate, ids) < 3.0, "rate {rate}");
                // The two bits of the variant are all it looks at.
                let stock = sampled(&Sampler::TraceIdRatioBased(rate), ids);
                assert_eq!(stock, if rate <= 0.5 { 0 } else { IDS }, "stock at {rate}");
            });
        }
    });
}

#[test]
fn ids_of_the_generator_are_sampled_by_their_share() {
    let ids: Vec<TraceId> =
        (0..IDS / 10).map(|_| BatonIdGenerator::default().new_trace_id()).collect();
    for rate in RATES {
        assert!(distance(rate, &ids) < 6.0, "rate {rate}");
    }
}

#[test]
fn a_child_never_decides_again() {
    let kept = Kept::default();
    for (own, theirs) in [(0.0, "01"), (1.0, "00")] {
        let tracer = kept.provider(BatonSampler::new(own)).tracer("t");
        let parent = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{theirs}");
        let cx = cx_of(&[("traceparent", &parent), ("tracestate", "ot=th:c,a=1")]);
        let child = tracer.start_with_context("child", &cx);
        assert_eq!(child.span_context().is_sampled(), theirs == "01");
        assert_eq!(child.span_context().trace_state().header(), "ot=th:c,a=1");
        let local = tracer.start_with_context("local", &cx.with_span(child));
        assert_eq!(local.span_context().is_sampled(), theirs == "01");
    }
}

#[test]
fn the_threshold_goes_along_and_every_hop_agrees() {
    let kept = Kept::default();
    let tracer = kept.provider(BatonSampler::new(0.5)).tracer("t");
    let next = Sampler::ParentBased(Box::new(BatonSampler::new(0.5)));
    for _ in 0..200 {
        let cx = Context::new().with_span(tracer.start_with_context("root", &Context::new()));
        let span = cx.span();
        let root = span.span_context();
        let state = if root.is_sampled() { "ot=th:8" } else { "" };
        assert_eq!(root.trace_state().header(), state);
        let again = sampled(&next, &[root.trace_id()]);
        assert_eq!(again == 1, root.is_sampled());
    }
}

#[test]
fn a_decision_that_was_left_open_is_taken_as_for_a_root() {
    let kept = Kept::default();
    let deferred = format!("{MAPPED}-b7ad6b7169203331");
    for rate in [0.0, 1.0] {
        let tracer = kept.provider(BatonSampler::new(rate)).tracer("t");
        let cx = cx_of(&[("b3", &deferred)]);
        let span = tracer.start_with_context("open", &cx);
        assert_eq!(span.span_context().is_sampled(), rate == 1.0);
        let cx = cx.with_span(span);
        assert!(!otel::baton_of(&cx).unwrap().is_deferred);
    }
}

fn assert_given_root(span: &SpanData) {
    assert_eq!(span.span_context.trace_id().to_string(), MAPPED);
    assert_eq!(span.parent_span_id, SpanId::INVALID, "a phantom parent");
    assert_ne!(span.span_context.span_id(), SpanId::INVALID);
}

#[test]
fn a_legacy_id_is_the_trace_of_a_root_without_a_parent() {
    let kept = Kept::default();
    let provider = kept.provider(BatonSampler::new(1.0));
    let cx = cx_of(&[("x-trace-id", "order-1234"), ("baggage", "a=1")]);

    // In a context that is not the current one.
    let tracer = BatonTracer::new(provider.tracer("t"));
    let root = cx.with_span(tracer.start_with_context("root", &cx));
    let child = tracer.start_with_context("child", &root);
    let parent = child.span_context().clone();
    drop(child);
    let outgoing = sent(&root);
    assert_eq!(outgoing[0], ("baggage".into(), "a=1".into()));
    assert!(outgoing[1].1.starts_with(&format!("00-{MAPPED}-")), "{outgoing:?}");
    assert!(outgoing[1].1.ends_with("-01"), "not said to be random: {outgoing:?}");
    assert_eq!(outgoing[3], ("x-trace-id".into(), "order-1234".into()));
    drop(root);
    let spans = kept.take();
    assert_eq!(spans[0].span_context.trace_id(), parent.trace_id());
    assert_ne!(spans[0].parent_span_id, SpanId::INVALID);
    assert_given_root(&spans[1]);

    // In the current context, with any tracer of the provider.
    let guard = cx.attach();
    provider.tracer("plain").start("root");
    drop(guard);
    assert_given_root(&kept.take()[0]);

    // While a span of another trace is active.
    let guard =
        Context::new().with_span(tracer.start_with_context("poll", &Context::new())).attach();
    drop(tracer.start_with_context("root", &cx_of(&[("x-trace-id", "order-1234")])));
    drop(guard);
    assert_given_root(&kept.take()[0]);

    // A root of another context is of another trace.
    let guard = cx_of(&[("x-trace-id", "order-1234")]).attach();
    let other = tracer.start_with_context("other", &Context::new());
    assert_ne!(other.span_context().trace_id().to_string(), MAPPED);
    drop(guard);
    let fresh = tracer.start("fresh");
    assert_ne!(fresh.span_context().trace_id().to_string(), MAPPED);
}

#[test]
fn a_legacy_id_is_the_trace_of_a_tracing_span_without_a_parent() {
    let kept = Kept::default();
    let provider = kept.provider(BatonSampler::new(1.0));
    let tracer = BatonTracer::new(provider.tracer("t"));
    let layer = tracing_opentelemetry::layer().with_tracer(tracer);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let root = tracing::info_span!("root");
        root.set_parent(cx_of(&[("x-trace-id", "order-1234")])).unwrap();
        root.in_scope(|| tracing::info_span!("child").in_scope(|| ()));
        drop(root);
        tracing::info_span!("unrelated").in_scope(|| ());
    });
    let spans = kept.take();
    assert_given_root(&spans[1]);
    assert_eq!(spans[0].parent_span_id, spans[1].span_context.span_id());
    assert_ne!(spans[2].span_context.trace_id().to_string(), MAPPED);
}

#[test]
fn the_application_reads_and_changes_baggage_by_opentelemetry_s_own_means() {
    let propagator = BatonPropagator::default();
    let incoming = HashMap::from([("baggage".to_owned(), "z=1,a=%C3%A9;p=1,b=2".to_owned())]);
    let cx = propagator.extract_with_context(&Context::new(), &incoming);
    assert_eq!(cx.baggage().len(), 3);
    let (value, properties) = cx.baggage().get_with_metadata("a").unwrap();
    assert_eq!((value.as_str(), properties.as_str()), ("é", "p=1"));
    let sent = |cx: &Context| {
        let mut outgoing = HashMap::new();
        propagator.inject_context(cx, &mut outgoing);
        outgoing.remove("baggage").unwrap_or_default()
    };
    assert_eq!(sent(&cx), "z=1,a=%C3%A9;p=1,b=2", "as it came");
    let more = [KeyValueMetadata::new("b", "3", ""), KeyValueMetadata::new("c", "4", "q")];
    assert_eq!(sent(&cx.with_baggage(more)), "b=3,c=4;q");
    assert_eq!(sent(&cx.with_cleared_baggage()), "");
    // Nothing came: it is the application's own.
    let own = Context::new().with_baggage([KeyValueMetadata::new("own", "1", "")]);
    assert_eq!(sent(&own), "own=1");
    // Another message's context has its own baggage, not that of where it is handled.
    let bare =
        HashMap::from([("traceparent".to_owned(), format!("00-{MAPPED}-b7ad6b7169203331-01"))]);
    assert_eq!(sent(&propagator.extract_with_context(&own, &bare)), "");
}

#[tokio::test]
async fn baggage_that_came_alone_goes_along_with_the_trace_that_is_begun() {
    let kept = Kept::default();
    let tracer = kept.provider(BatonSampler::new(1.0)).tracer("t");
    let cx = cx_of(&[("baggage", "a=1")]);
    async {
        let cx = Context::current().with_span(tracer.start("root"));
        assert_eq!(sent(&cx)[0], ("baggage".into(), "a=1".into()));
    }
    .with_context(cx)
    .await;
}

#[test]
fn the_sdk_gives_no_child_the_random_flag_that_its_parent_has_not() {
    // What comes without the flag is kept in OpenTelemetry's own span alone.
    let samplers =
        [Sampler::AlwaysOn, Sampler::AlwaysOff, Sampler::ParentBased(Box::new(Sampler::AlwaysOff))];
    for sampler in samplers {
        let tracer = Kept::default().provider(sampler).tracer("t");
        for flags in ["00", "01"] {
            let parent = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
            let cx = cx_of(&[("traceparent", &parent)]);
            let child = cx.with_span(tracer.start_with_context("child", &cx));
            let context = otel::baton_of(&child).unwrap().context.unwrap();
            assert!(!context.flags.is_random(), "{flags}");
            assert_eq!(context.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        }
        for flags in ["02", "03"] {
            let parent = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
            let cx = cx_of(&[("traceparent", &parent)]);
            let child = cx.with_span(tracer.start_with_context("child", &cx));
            assert!(otel::baton_of(&child).unwrap().context.unwrap().flags.is_random(), "{flags}");
        }
    }
}

#[test]
fn what_an_outer_context_carries_is_not_taken_for_the_inner_ones() {
    let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let outer = cx_of(&[("traceparent", text), ("baggage", "a=1"), ("x-trace-id", "order-1234")]);
    let plain =
        Propagation::default().extract(&List::new(Medium::Http, [("traceparent", Some(text))]));
    let inner = otel::cx_in(&outer, &plain.baton);
    assert_eq!(otel::baton_of(&inner), Some(plain.baton));
}
