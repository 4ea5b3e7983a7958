//! Requests that go out.

use std::{convert::Infallible, future};

use http::{HeaderMap, Request, Response};
use tower::{Layer, Service, ServiceExt, service_fn};
use tracebaton::{
    otel::{self, FutureExt},
    propagate::Baton,
    tower::{ClientLayer, TraceLayer},
    wire::TraceContext,
};

use super::{answer, get};
use crate::support::{
    PARENT, TRACE,
    telemetry::{Telemetry, attributes, hex, recorder},
};

async fn echo(request: Request<String>) -> Result<Response<HeaderMap>, Infallible> {
    Ok(Response::new(request.headers().clone()))
}

#[tokio::test]
async fn a_request_carries_its_own_span_below_the_current_one() {
    let recorder = recorder();
    let client = ClientLayer::default().with_recorder(&recorder).layer(service_fn(echo));
    let context = Some(TraceContext::parse(PARENT).unwrap());
    let mut outgoing = get(&[("traceparent", b"stale"), ("traceparent", b"staler")]);
    *outgoing.uri_mut() = "https://me:secret@stock.example/items?sig=1".parse().unwrap();
    let response = client
        .oneshot(outgoing)
        .with_context(otel::cx(&Baton { context, ..Baton::default() }))
        .await;
    let Ok(response) = response;
    let sent: Vec<_> = response.body().get_all("traceparent").iter().collect();
    let telemetry = Telemetry::of(&recorder);
    let span = telemetry.span("GET");
    assert_eq!(sent, [&format!("00-{TRACE}-{}-01", hex(&span.span_id))]);
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    assert_eq!(span.kind, 3);
    let attributes = attributes(&span.attributes);
    assert_eq!(attributes["url.full"], "https://stock.example/items?sig=REDACTED");
    assert_eq!(attributes["server.address"], "stock.example");
    assert_eq!(attributes["server.port"], "443");
    assert_eq!(attributes["http.response.status_code"], "200");
}

#[tokio::test]
async fn a_request_in_a_handler_belongs_to_the_handlers_trace() {
    let recorder = recorder();
    let client = ClientLayer::default().with_recorder(&recorder).layer(service_fn(echo));
    let server = TraceLayer::default().with_recorder(&recorder);
    let response = answer(&server, get(&[("x-trace-id", b"order-1234")]), move |_| {
        let client = client.clone();
        async move {
            let Ok(response) = client.oneshot(get(&[])).await;
            Ok(Response::new(response.body()["x-trace-id"].to_str().unwrap().to_owned()))
        }
    });
    assert_eq!(response.await.body(), "order-1234");
    let telemetry = Telemetry::of(&recorder);
    let [call, request] = &telemetry.spans[..] else { panic!("{telemetry:?}") };
    assert_eq!(call.trace_id, request.trace_id);
    assert_eq!(call.parent_span_id, request.span_id);
}

#[tokio::test]
async fn without_a_trace_a_request_starts_one() {
    let client = ClientLayer::default().layer(service_fn(echo));
    let Ok(response) = client.oneshot(get(&[])).await;
    let sent = response.body()["traceparent"].to_str().unwrap();
    assert!(TraceContext::parse(sent).unwrap().flags.is_random());
}

#[tokio::test]
async fn an_error_is_told_and_passed_on() {
    let recorder = recorder();
    let layer = ClientLayer::default().with_recorder(&recorder);
    let refuse = service_fn(|_: Request<String>| async { Err::<Response<()>, _>("refused") });
    assert_eq!(layer.layer(refuse).oneshot(get(&[])).await.unwrap_err(), "refused");
    let missing = service_fn(|_: Request<String>| async {
        Ok::<_, Infallible>(Response::builder().status(404).body(()).unwrap())
    });
    assert_eq!(layer.layer(missing).oneshot(get(&[])).await.unwrap().status(), 404);
    let mut silent = layer.layer(service_fn(|_: Request<String>| {
        future::pending::<Result<Response<()>, Infallible>>()
    }));
    drop(silent.ready().await.unwrap().call(get(&[])));
    let telemetry = Telemetry::of(&recorder);
    let types: Vec<_> = telemetry
        .spans
        .iter()
        .map(|span| {
            assert_eq!(span.status.as_ref().unwrap().code, 2);
            attributes(&span.attributes)["error.type"].clone()
        })
        .collect();
    assert_eq!(types, ["&str", "404", "canceled"]);
}
