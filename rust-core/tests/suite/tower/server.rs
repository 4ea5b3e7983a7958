//! Requests that come in.

use std::{convert::Infallible, future};

use http::{Request, Response, StatusCode};
use tower::{Layer, Service, ServiceExt};
use tracebaton::{Propagation, hop::Hop, otel, propagate::Trust, tower::TraceLayer, wire::TraceId};

use super::{Handler, answer, get, ok};
use crate::support::{
    PARENT, TRACE,
    telemetry::{Telemetry, attributes, hex, recorder},
};

fn trace_id(response: &Response<String>) -> &str {
    let mut values = response.headers().get_all("x-trace-id").iter();
    let value = values.next().expect("the id is on every response").to_str().unwrap();
    assert!(values.next().is_none(), "once");
    value
}

#[tokio::test]
async fn a_trace_is_continued_and_its_id_returned() {
    let recorder = recorder();
    let layer = TraceLayer::default().with_recorder(&recorder);
    let response = answer(&layer, get(&[("traceparent", PARENT.as_bytes())]), |request| {
        let hop = request.extensions().get::<Hop>().unwrap();
        assert_eq!(hop.trace_id(), TraceId::parse(TRACE).unwrap());
        hop.set_route("GET", "/orders/{id}");
        ok(request)
    });
    assert_eq!(trace_id(&response.await), TRACE);
    let telemetry = Telemetry::of(&recorder);
    let span = telemetry.span("GET /orders/{id}");
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    let attributes = attributes(&span.attributes);
    assert_eq!(attributes["http.request.method"], "GET");
    assert_eq!(attributes["http.route"], "/orders/{id}");
    assert_eq!(attributes["http.response.status_code"], "200");
    assert_eq!(attributes["url.path"], "/orders/7");
    assert_eq!(attributes["url.query"], "coupon=x");
    assert_eq!(attributes["url.scheme"], "http");
    assert_eq!(attributes["server.address"], "shop.example");
    assert_eq!(attributes["server.port"], "8080");
    assert_eq!(attributes["network.protocol.version"], "1.1");
    assert!(telemetry.logs.is_empty(), "a request without records is not in the ledger");
}

#[tokio::test]
async fn concurrent_requests_keep_their_ids_across_awaits() {
    const REQUESTS: usize = 1_000;
    let gate = tokio::sync::Barrier::new(REQUESTS);
    let gate = std::sync::Arc::new(gate);
    let service = TraceLayer::default().layer(Handler(move |request: Request<String>| {
        let gate = gate.clone();
        async move {
            let own = request.headers()["x-trace-id"].to_str().unwrap().to_owned();
            let current = || otel::current().unwrap().legacy_text().unwrap().to_owned();
            assert_eq!(current(), own);
            for _ in 0..3 {
                // Every other request is inside the handler now, on this thread or another.
                gate.wait().await;
                assert_eq!(current(), own);
                tokio::task::yield_now().await;
                assert_eq!(current(), own);
            }
            Ok::<_, Infallible>(Response::new(own))
        }
    }));
    let answers: Vec<_> = (0..REQUESTS)
        .map(|index| {
            let id = format!("order-{index}");
            tokio::spawn(service.clone().oneshot(get(&[("x-trace-id", id.as_bytes())])))
        })
        .collect();
    for (index, answer) in answers.into_iter().enumerate() {
        let Ok(response) = answer.await.unwrap();
        assert_eq!(trace_id(&response), format!("order-{index}"));
        assert_eq!(*response.body(), format!("order-{index}"));
    }
    assert!(otel::current().is_none(), "nothing is left behind");
}

#[tokio::test]
async fn a_panic_is_answered_with_500_and_the_id() {
    let recorder = recorder();
    let layer = TraceLayer::default().with_recorder(&recorder);
    let request = || get(&[("x-trace-id", b"order-1234")]);
    let later = answer(&layer, request(), |_| async {
        tokio::task::yield_now().await;
        panic!("in the middle")
    });
    let later = later.await;
    assert_eq!(later.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(trace_id(&later), "order-1234");
    let at_once = answer(&layer, request(), |_| -> future::Ready<_> { panic!("at once") }).await;
    assert_eq!(at_once.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(trace_id(&at_once), "order-1234");
    let telemetry = Telemetry::of(&recorder);
    assert_eq!(telemetry.spans.len(), 2);
    for span in &telemetry.spans {
        assert_eq!(span.status.as_ref().unwrap().code, 2);
        assert_eq!(attributes(&span.attributes)["error.type"], "panic");
    }
    assert_eq!(telemetry.ledger("receive")[0]["tracebaton.records.failed"], "1");
}

#[tokio::test]
async fn every_status_carries_the_id_and_exposes_it() {
    let recorder = recorder();
    let layer = TraceLayer::default().with_recorder(&recorder);
    for status in [200, 204, 301, 304, 400, 401, 404, 413, 429, 500, 502, 503] {
        let response = answer(&layer, get(&[]), move |_| async move {
            let response = Response::builder().status(status).header("x-trace-id", "forged");
            Ok(response.body(String::new()).unwrap())
        });
        let response = response.await;
        assert_eq!(response.status(), status);
        let exposed = &response.headers()["access-control-expose-headers"];
        assert_eq!(exposed, "X-Trace-Id", "{status}");
        let telemetry = Telemetry::of(&recorder);
        let [span] = &telemetry.spans[..] else { panic!("{telemetry:?}") };
        assert_eq!(trace_id(&response), hex(&span.trace_id));
        let attributes = attributes(&span.attributes);
        // A 4xx is the client's fault: not an error of a server span (HTTP semantic conventions,
        // "Status", "error.type").
        assert_eq!(span.status.is_some(), status >= 500, "{status}");
        assert_eq!(attributes.contains_key("error.type"), status >= 500, "{status}");
        assert!(span.events.is_empty(), "a status is no exception");
        assert_eq!(telemetry.ledger("receive").len(), usize::from(status >= 400));
    }
}

#[tokio::test]
async fn what_the_service_exposes_stays_exposed() {
    let response = answer(&TraceLayer::default(), get(&[]), |_| async {
        let response = Response::builder()
            .header("access-control-expose-headers", "ETag")
            .header("access-control-expose-headers", "Link, x-trace-id");
        Ok(response.body(String::new()).unwrap())
    });
    let response = response.await;
    let exposed: Vec<_> =
        response.headers().get_all("access-control-expose-headers").iter().collect();
    assert_eq!(exposed, ["ETag", "Link, x-trace-id"]);
}

#[tokio::test]
async fn legacy_text_is_echoed_as_it_came() {
    for text in ["order-1234", "A/b:c", "01H3Z8X9Y2ABCDEFGHJKLMNPQR", &"x".repeat(128)] {
        let response = answer(&TraceLayer::default(), get(&[("X-Trace-Id", text.as_bytes())]), ok);
        assert_eq!(trace_id(&response.await), text);
    }
}

#[tokio::test]
async fn no_byte_is_echoed_that_was_not_checked() {
    let long = "x".repeat(129);
    let refused: [&[u8]; 9] = [
        b"a b",
        b"<script>",
        b"\xff\xfe",
        "naïve".as_bytes(),
        b"a;b",
        b"none",
        b"",
        b"%0d%0aSet-Cookie:x",
        long.as_bytes(),
    ];
    for bytes in refused {
        let response = answer(&TraceLayer::default(), get(&[("x-trace-id", bytes)]), ok).await;
        let id = trace_id(&response);
        assert!(id.parse::<TraceId>().is_ok(), "{bytes:?} came back as {id}");
    }
    let twice = get(&[("x-trace-id", b"order-1"), ("x-trace-id", b"order-2")]);
    let response = answer(&TraceLayer::default(), twice, ok).await;
    assert!(trace_id(&response).parse::<TraceId>().is_ok(), "of two ids neither counts");
}

#[tokio::test]
async fn trust_decides_what_becomes_of_a_foreign_trace() {
    let recorder = recorder();
    for (trust, continues, links) in
        [(Trust::Continue, true, 0), (Trust::Restart, false, 1), (Trust::Ignore, false, 0)]
    {
        let propagation = Propagation::default().with_trust(trust);
        let layer = TraceLayer::default().with_recorder(&recorder).with_propagation(propagation);
        let request = get(&[("traceparent", PARENT.as_bytes()), ("baggage", b"tenant=7")]);
        let response = answer(&layer, request, move |request| {
            let baggage = otel::current().unwrap().baggage;
            assert_eq!(baggage.get("tenant").is_some(), continues);
            ok(request)
        });
        let response = response.await;
        assert_eq!(trace_id(&response) == TRACE, continues, "{trust:?}");
        let telemetry = Telemetry::of(&recorder);
        let span = telemetry.span("GET");
        assert_eq!(span.parent_span_id.is_empty(), !continues);
        assert_eq!(span.links.len(), links, "{trust:?}");
        for link in &span.links {
            assert_eq!(hex(&link.trace_id), TRACE);
        }
    }
}

#[tokio::test]
async fn an_error_of_the_service_stays_an_error() {
    let recorder = recorder();
    let layer = TraceLayer::default().with_recorder(&recorder);
    let mut service = layer.layer(Handler(|_| async { Err("no answer") }));
    let error = service.ready().await.unwrap().call(get(&[])).await.unwrap_err();
    assert_eq!(error, "no answer");
    let telemetry = Telemetry::of(&recorder);
    let span = telemetry.span("GET");
    assert_eq!(attributes(&span.attributes)["error.type"], "service_error");
    assert_eq!(telemetry.ledger("receive")[0]["tracebaton.records.failed"], "1");
}

#[tokio::test]
async fn a_request_that_is_given_up_says_so() {
    let recorder = recorder();
    let layer = TraceLayer::default().with_recorder(&recorder);
    let mut service = layer.layer(Handler(|_| future::pending::<super::Answer<Infallible>>()));
    let pending = service.ready().await.unwrap().call(get(&[]));
    drop(pending);
    let telemetry = Telemetry::of(&recorder);
    assert_eq!(attributes(&telemetry.span("GET").attributes)["error.type"], "canceled");
}

#[tokio::test]
async fn a_client_cannot_make_up_span_names() {
    let recorder = recorder();
    let layer = TraceLayer::default().with_recorder(&recorder);
    let mut request = get(&[]);
    *request.method_mut() = "BREW".parse().unwrap();
    answer(&layer, request, ok).await;
    let telemetry = Telemetry::of(&recorder);
    let attributes = attributes(&telemetry.span("HTTP").attributes);
    assert_eq!(attributes["http.request.method"], "_OTHER");
    assert_eq!(attributes["http.request.method_original"], "BREW");
}

#[tokio::test]
async fn hosts_are_read_in_every_form() {
    for (host, address, port) in [
        ("shop.example", "shop.example", None),
        ("shop.example:81", "shop.example", Some("81")),
        ("[::1]", "::1", None),
        ("[::1]:81", "::1", Some("81")),
    ] {
        let recorder = recorder();
        let layer = TraceLayer::default().with_recorder(&recorder);
        let request = Request::get("/x").header("host", host).body(String::new()).unwrap();
        answer(&layer, request, ok).await;
        let telemetry = Telemetry::of(&recorder);
        let attributes = attributes(&telemetry.span("GET").attributes);
        assert_eq!(attributes["server.address"], address);
        assert_eq!(attributes.get("server.port").map(String::as_str), port);
    }
}

#[tokio::test]
async fn what_the_handler_says_counts_instead_of_what_was_seen() {
    let recorder = recorder();
    let layer = TraceLayer::default().with_recorder(&recorder);
    let response = answer(&layer, get(&[("user-agent", b"curl/8.5.0")]), |request| {
        let hop = request.extensions().get::<Hop>().unwrap();
        for path in ["/orders/8", "/orders/?"] {
            hop.set("url.path", path);
        }
        hop.set("server.port", 81);
        hop.set("http.response.status_code", 500);
        ok(request)
    });
    response.await;
    let telemetry = Telemetry::of(&recorder);
    let span = telemetry.span("GET");
    let all = attributes(&span.attributes);
    assert_eq!(all.len(), span.attributes.len(), "each key once: {:?}", span.attributes);
    assert_eq!((&*all["url.path"], &*all["server.port"]), ("/orders/?", "81"));
    assert_eq!(all["http.response.status_code"], "200", "the answer itself is told last");
    assert_eq!(all["user_agent.original"], "curl/8.5.0");
    assert_eq!(all["http.request.method"], "GET");
}

#[tokio::test]
async fn a_span_has_no_more_attributes_than_the_limit() {
    let recorder = recorder();
    let layer = TraceLayer::default().with_recorder(&recorder);
    let response = answer(&layer, get(&[]), |request| {
        let hop = request.extensions().get::<Hop>().unwrap();
        for number in 0..200 {
            hop.set(format!("key {number}"), number);
        }
        ok(request)
    });
    response.await;
    let telemetry = Telemetry::of(&recorder);
    let span = telemetry.span("GET");
    // What is told last, the status, is always there.
    assert_eq!(span.attributes.len(), 128 + 1);
    assert_eq!(span.dropped_attributes_count as usize, 200 + 7 - 128);
}

#[tokio::test]
async fn no_client_makes_an_event_large() {
    let recorder = recorder();
    let layer = TraceLayer::default().with_recorder(&recorder);
    let path = format!("/{}", "x".repeat(5_000));
    let request = Request::get(&path)
        .header("user-agent", b"caf\xc3\xa9".as_slice())
        .header("host", path.replace('/', ""))
        .body(String::new())
        .unwrap();
    let response = answer(&layer, request, |_| async {
        Ok(Response::builder().status(404).body(String::new()).unwrap())
    });
    response.await;
    let telemetry = Telemetry::of(&recorder);
    let attributes = attributes(&telemetry.span("GET").attributes);
    let [event] = &telemetry.ledger("receive")[..] else { panic!("{telemetry:?}") };
    for text in
        [&attributes["url.path"], &attributes["server.address"], &event["tracebaton.hop.name"]]
    {
        assert_eq!(text.len(), 1024);
    }
    assert!(!attributes.contains_key("user_agent.original"), "it is not ASCII");
    assert_eq!(event["http.response.status_code"], "404");
}
