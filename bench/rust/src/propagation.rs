//! Reading and writing headers through OpenTelemetry's own trait.

use std::hint::black_box;

use http::HeaderMap;
use opentelemetry::{
    Context,
    baggage::BaggageExt,
    propagation::{TextMapCompositePropagator, TextMapPropagator},
    trace::TraceContextExt,
};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use rdkafka::message::OwnedHeaders;
use tracebaton::{
    http::{ReadHeaders, WriteHeaders},
    kafka::{self, OwnedBaton},
    otel::{BatonPropagator, baton_of},
};

use crate::{
    carriers::{
        BAGGAGE, PARENT, PeerExtractor, PeerInjector, RANDOM_PARENT, STATE, http_headers,
        kafka_headers,
    },
    measure::{Clock, Pair, Row},
};

const COUNT: usize = 20_000;
const ROUNDS: usize = 21;

type Measure = fn() -> Row;

pub(crate) fn run(wanted: impl Fn(&str) -> bool, rows: &mut Vec<Row>) {
    let pairs: [(&str, Measure); 10] = [
        ("rust.extract.http", extract_http),
        ("rust.extract.http.random", extract_http_random),
        ("rust.extract.http.stock", extract_http_stock),
        ("rust.extract.kafka", extract_kafka),
        ("rust.extract.full", extract_full),
        ("rust.extract.full.given", extract_full_given),
        ("rust.extract.full.stock", extract_full_stock),
        ("rust.inject.http", inject_http),
        ("rust.inject.http.stock", inject_http_stock),
        ("rust.inject.kafka", inject_kafka),
    ];
    rows.extend(pairs.into_iter().filter(|(name, _)| wanted(name)).map(|(_, measure)| measure()));
}

fn pair<'a>(
    metric: &'static str,
    peer_name: &'static str,
    mut ours: impl FnMut() + 'a,
    mut peer: impl FnMut() + 'a,
) -> Row {
    let pair = Pair {
        metric,
        peer_name,
        clock: Clock::Thread,
        count: COUNT,
        rounds: ROUNDS,
        ours: Box::new(move |count| (0..count).for_each(|_| ours())),
        peer: Box::new(move |count| (0..count).for_each(|_| peer())),
    };
    pair.measure()
}

/// Each with the carrier that it comes with.
fn extract_http() -> Row {
    let headers = http_headers(&[("traceparent", PARENT)]);
    let (ours, peer) = (BatonPropagator::default(), TraceContextPropagator::new());
    let cx = Context::new();
    pair(
        "rust.extract.http",
        "opentelemetry TraceContextPropagator",
        || drop(black_box(ours.extract_with_context(&cx, &ReadHeaders::new(black_box(&headers))))),
        || drop(black_box(peer.extract_with_context(&cx, &HeaderExtractor(black_box(&headers))))),
    )
}

/// With a parent whose id is random, as all of ours are.
fn extract_http_random() -> Row {
    let headers = http_headers(&[("traceparent", RANDOM_PARENT)]);
    let (ours, peer) = (BatonPropagator::default(), TraceContextPropagator::new());
    let cx = Context::new();
    pair(
        "rust.extract.http.random",
        "opentelemetry TraceContextPropagator",
        || drop(black_box(ours.extract_with_context(&cx, &ReadHeaders::new(black_box(&headers))))),
        || drop(black_box(peer.extract_with_context(&cx, &HeaderExtractor(black_box(&headers))))),
    )
}

/// Both with OpenTelemetry's carrier.
fn extract_http_stock() -> Row {
    let headers = http_headers(&[("traceparent", PARENT)]);
    let (ours, peer) = (BatonPropagator::default(), TraceContextPropagator::new());
    let cx = Context::new();
    pair(
        "rust.extract.http.stock",
        "opentelemetry TraceContextPropagator",
        || drop(black_box(ours.extract_with_context(&cx, &HeaderExtractor(black_box(&headers))))),
        || drop(black_box(peer.extract_with_context(&cx, &HeaderExtractor(black_box(&headers))))),
    )
}

fn extract_kafka() -> Row {
    let headers = kafka_headers(&[("traceparent", PARENT)]);
    let (ours, peer) = (BatonPropagator::default(), TraceContextPropagator::new());
    let cx = Context::new();
    pair(
        "rust.extract.kafka",
        "opentelemetry TraceContextPropagator",
        || {
            let carrier = kafka::ReadHeaders(Some(black_box(headers.as_borrowed())));
            drop(black_box(ours.extract_with_context(&cx, &carrier)));
        },
        || {
            let carrier = PeerExtractor(black_box(headers.as_borrowed()));
            drop(black_box(peer.extract_with_context(&cx, &carrier)));
        },
    )
}

fn composite() -> TextMapCompositePropagator {
    TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ])
}

fn full_headers() -> HeaderMap {
    http_headers(&[("traceparent", PARENT), ("tracestate", STATE), ("baggage", BAGGAGE)])
}

/// Ours passes state and baggage through; the peer has no such mode, and builds its tables.
fn extract_full() -> Row {
    let headers = full_headers();
    let (ours, peer) = (BatonPropagator::default().passing_through(), composite());
    let cx = Context::new();
    let check = baton_of(&ours.extract_with_context(&cx, &ReadHeaders::new(&headers)));
    let check = check.expect("a baton");
    assert_eq!((check.tracestate.as_str(), check.baggage.entries().len()), (STATE, 3));
    pair(
        "rust.extract.full",
        "opentelemetry composite propagator; ours passes state and baggage through",
        || drop(black_box(ours.extract_with_context(&cx, &ReadHeaders::new(black_box(&headers))))),
        || drop(black_box(peer.extract_with_context(&cx, &HeaderExtractor(black_box(&headers))))),
    )
}

/// Ours gives state and baggage to OpenTelemetry, as it does unless told otherwise.
fn extract_full_given() -> Row {
    let headers = full_headers();
    let (ours, peer) = (BatonPropagator::default(), composite());
    let cx = Context::new();
    let checks = [
        ours.extract_with_context(&cx, &ReadHeaders::new(&headers)),
        peer.extract_with_context(&cx, &HeaderExtractor(&headers)),
    ];
    for check in checks {
        assert_eq!(check.baggage().len(), 3);
        assert_eq!(check.span().span_context().trace_state().header(), STATE);
    }
    pair(
        "rust.extract.full.given",
        "opentelemetry composite propagator",
        || drop(black_box(ours.extract_with_context(&cx, &ReadHeaders::new(black_box(&headers))))),
        || drop(black_box(peer.extract_with_context(&cx, &HeaderExtractor(black_box(&headers))))),
    )
}

fn extract_full_stock() -> Row {
    let headers = full_headers();
    let (ours, peer) = (BatonPropagator::default(), composite());
    let cx = Context::new();
    pair(
        "rust.extract.full.stock",
        "opentelemetry composite propagator",
        || drop(black_box(ours.extract_with_context(&cx, &HeaderExtractor(black_box(&headers))))),
        || drop(black_box(peer.extract_with_context(&cx, &HeaderExtractor(black_box(&headers))))),
    )
}

fn traced() -> (BatonPropagator, Context, TraceContextPropagator, Context) {
    let headers = http_headers(&[("traceparent", PARENT)]);
    let (ours, peer) = (BatonPropagator::default(), TraceContextPropagator::new());
    let our_cx = ours.extract_with_context(&Context::new(), &HeaderExtractor(&headers));
    let peer_cx = peer.extract_with_context(&Context::new(), &HeaderExtractor(&headers));
    assert!(peer_cx.span().span_context().is_valid());
    (ours, our_cx, peer, peer_cx)
}

fn inject_http() -> Row {
    let (ours, our_cx, peer, peer_cx) = traced();
    let (mut our_headers, mut peer_headers) = (HeaderMap::new(), HeaderMap::new());
    pair(
        "rust.inject.http",
        "opentelemetry TraceContextPropagator",
        || {
            our_headers.clear();
            ours.inject_context(black_box(&our_cx), &mut WriteHeaders(&mut our_headers));
        },
        || {
            peer_headers.clear();
            peer.inject_context(black_box(&peer_cx), &mut HeaderInjector(&mut peer_headers));
        },
    )
}

fn inject_http_stock() -> Row {
    let (ours, our_cx, peer, peer_cx) = traced();
    let (mut our_headers, mut peer_headers) = (HeaderMap::new(), HeaderMap::new());
    pair(
        "rust.inject.http.stock",
        "opentelemetry TraceContextPropagator",
        || {
            our_headers.clear();
            ours.inject_context(black_box(&our_cx), &mut HeaderInjector(&mut our_headers));
        },
        || {
            peer_headers.clear();
            peer.inject_context(black_box(&peer_cx), &mut HeaderInjector(&mut peer_headers));
        },
    )
}

fn inject_kafka() -> Row {
    let (ours, our_cx, peer, peer_cx) = traced();
    pair(
        "rust.inject.kafka",
        "opentelemetry TraceContextPropagator",
        || {
            let mut headers = OwnedBaton(OwnedHeaders::new());
            ours.inject_context(black_box(&our_cx), &mut headers);
            drop(black_box(headers.0));
        },
        || {
            let mut headers = OwnedHeaders::new();
            peer.inject_context(black_box(&peer_cx), &mut PeerInjector(&mut headers));
            drop(black_box(headers));
        },
    )
}
