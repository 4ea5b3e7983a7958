//! What a tower layer adds to a request.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use opentelemetry_instrumentation_tower::http::server as peer;
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tower::{Layer, Service, service_fn};
use tracebaton::{hop::Recorder, tower::TraceLayer};

use crate::{
    carriers::{PARENT, http_headers},
    measure::{Clock, Row, is_ours_only, median, time},
};

const COUNT: usize = 5_000;
const ROUNDS: usize = 21;

type Body = http_body_util::Empty<hyper::body::Bytes>;

fn handle(_: Request<Body>) -> Ready<Result<Response<Body>, Infallible>> {
    ready(Ok(Response::new(Body::new())))
}

fn ask<S: Service<Request<Body>, Response: Sized>>(service: &mut S, count: usize) {
    let mut task = Context::from_waker(Waker::noop());
    for _ in 0..count {
        let mut request = Request::new(Body::new());
        *request.uri_mut() = http::Uri::from_static("/orders/7");
        *request.headers_mut() = http_headers(&[("traceparent", PARENT)]);
        let answer = pin!(service.call(request)).poll(&mut task);
        assert!(matches!(answer, Poll::Ready(Ok(_))));
    }
}

pub(crate) fn run(provider: SdkTracerProvider, recorder: &Recorder) -> Row {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    opentelemetry::global::set_tracer_provider(provider.clone());
    let mut bare = service_fn(handle);
    let mut ours = TraceLayer::default().with_recorder(recorder).layer(service_fn(handle));
    let layer = peer::LayerBuilder::builder().with_metrics(false).build();
    let mut theirs = layer.expect("the default is right").layer(service_fn(handle));
    let peers = if is_ours_only() { 0 } else { COUNT };
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..ROUNDS + 2 {
        let measured = [
            time(Clock::Thread, COUNT, |count| ask(&mut bare, count)),
            time(Clock::Thread, COUNT, |count| ask(&mut ours, count)),
            time(Clock::Thread, COUNT, |_| ask(&mut theirs, peers)),
        ];
        provider.force_flush().expect("the endpoint is there");
        if round >= 2 {
            for (times, measured) in times.iter_mut().zip(measured) {
                times.push(measured);
            }
        }
    }
    let [bare, ours, theirs] = times.map(median);
    let row = Row {
        metric: "rust.http.layer",
        peer_name: "opentelemetry-instrumentation-tower",
        ours: ours - bare,
        peer: theirs - bare,
    };
    println!("{row}");
    row
}
