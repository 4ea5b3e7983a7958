//! What `ingest` refuses, it refuses clearly, and with the id.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::json;
use tracebaton_embedded::Part;
use tracebaton_tests::{Relay, event};

#[tokio::test(flavor = "multi_thread")]
async fn refused_requests_have_a_status_a_reason_and_the_id() {
    let mut relay = Relay::start().await.unwrap();
    let large = format!("[{}]", "0,".repeat(1 << 20));
    let json = Some("application/json");
    let cases = [
        ("POST", "/ingest/shop_events", json, "{".to_owned(), 400, "invalid_json"),
        ("POST", "/ingest/shop_events", json, "[{}]".to_owned(), 400, "invalid_records"),
        ("POST", "/ingest/nowhere", json, "{}".to_owned(), 404, "unknown_topic"),
        ("GET", "/elsewhere", None, String::new(), 404, "unknown_path"),
        ("GET", "/ingest/shop_events", None, String::new(), 405, "method_not_allowed"),
        ("POST", "/ingest/shop_events", json, large, 413, "body_too_large"),
        ("POST", "/ingest/shop_events", None, "{}".to_owned(), 415, "unsupported_media_type"),
    ];
    for (method, path, media_type, body, status, error) in cases {
        let url = format!("{}{path}", relay.stack.ingest());
        let mut request =
            Request::builder().method(method).uri(url).header("X-Trace-Id", "order-1234");
        if let Some(media_type) = media_type {
            request = request.header("content-type", media_type);
        }
        let request = request.body(Full::<Bytes>::from(body)).unwrap();
        let answer = relay.send(request).await.unwrap();
        let told = answer.json().unwrap();
        assert_eq!(
            (answer.status, told["error"].as_str()),
            (status, Some(error)),
            "{method} {path}"
        );
        assert_eq!(answer.trace_id(), "order-1234", "{method} {path}");
        assert_eq!(told["trace_id"], "order-1234");
        assert!(!told["message"].as_str().unwrap().is_empty());
    }

    // Part of a request: each record has its own answer, and its own fate.
    let body = json!([event("evt-1", "page_view"), { "event_id": "evt-2" }, 7]);
    let answer = relay.post(&body, &[]).await.unwrap();
    let told = answer.json().unwrap();
    assert_eq!((answer.status, &told["accepted"]), (207, &json!(1)), "{told:#}");
    let rejected: Vec<_> =
        told["rejected"].as_array().unwrap().iter().map(|one| one["index"].as_u64()).collect();
    assert_eq!(rejected, [Some(1), Some(2)]);
    let diagnosis = relay.await_verdict(answer.trace_id(), "PARTIAL_PRODUCE").await.unwrap();
    assert!(diagnosis["summary"].as_str().unwrap().contains("2 of 3"), "{diagnosis:#}");

    // No broker: 503, and the client may try again.
    relay.stack.take(Part::Broker).unwrap().kill().await.unwrap();
    let answer = relay.post(&event("evt-3", "page_view"), &[]).await.unwrap();
    assert_eq!((answer.status, answer.trace_id().len()), (503, 32), "{}", answer.body);
    assert_eq!(answer.json().unwrap()["error"], "kafka_unavailable");
    relay.await_verdict(answer.trace_id(), "REJECTED_HTTP").await.unwrap();
    relay.stop().await;
}
