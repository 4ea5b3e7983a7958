//! What senders and askers are answered, to good requests and to bad ones.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use opentelemetry_proto::tonic::collector::{
    logs::v1::{ExportLogsServiceResponse, logs_service_client::LogsServiceClient},
    trace::v1::{ExportTraceServiceResponse, trace_service_client::TraceServiceClient},
};
use prost::Message;
use serde_json::json;
use tonic::{Code, codec::CompressionEncoding, transport::Channel};

use crate::support::*;

const GZIP: (&str, &str) = ("Content-Encoding", "gzip");

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn spans_kept(server: &Server, trace: u64) -> usize {
    let answer = server.get(&format!("/api/v1/traces/{}", hex(&trace_id(trace))));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json().as_array().unwrap().len()
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

#[test]
fn protobuf_is_taken_plain_and_gzipped_and_answered_as_protobuf() {
    let server = Server::start();
    let body = spans_of("shop", vec![span(1, 1), span(1, 2)]).encode_to_vec();
    for (headers, body) in [(vec![PROTOBUF], body.clone()), (vec![PROTOBUF, GZIP], gzip(&body))] {
        let answer = server.post("/v1/traces", &headers, &body);
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        assert_eq!(answer.content_type, "application/x-protobuf");
        // The same spans again are kept once.
        assert_eq!(spans_kept(&server, 1), 2);
    }
    let answer = server.send_logs(vec![log(1, "hello")]);
    assert_eq!((answer.status, answer.content_type.as_str()), (200, "application/x-protobuf"));
}

#[test]
fn json_is_taken_as_the_standard_writes_it_and_answered_as_json() {
    let server = Server::start();
    // OTLP/JSON: ids as hex in any case, 64-bit numbers as text or number, enums as numbers.
    let spans = json!({ "resourceSpans": [{
        "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "web" } }] },
        "scopeSpans": [{ "spans": [{
            "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "eee19b7ec3c1b174",
            "parentSpanId": "EEE19B7EC3C1B173", "name": "I'm a server span", "kind": 2,
            "startTimeUnixNano": "1767960000000000000", "endTimeUnixNano": 1_767_960_001_000_000_000_i64,
            "attributes": [
                { "key": "n", "value": { "intValue": "7" } }, { "key": "m", "value": { "intValue": 8 } },
                { "key": "d", "value": { "doubleValue": 0.5 } }, { "key": "b", "value": { "boolValue": true } },
                { "key": "a", "value": { "arrayValue": { "values": [{ "stringValue": "x" }] } } },
                { "key": "kv", "value": { "kvlistValue": { "values": [{ "key": "k", "value": { "intValue": "1" } }] } } },
                { "key": "bytes", "value": { "bytesValue": "AQI=" } }
            ],
            "status": { "code": 2, "message": "no" }, "aFieldOfTomorrow": 1
        }] }]
    }] });
    let answer = server.post("/v1/traces", &[JSON], spans.to_string().as_bytes());
    assert_eq!((answer.status, answer.text().as_str()), (200, "{}"));
    assert_eq!(answer.content_type, "application/json");
    let kept = server.get("/api/v1/traces/5b8efff798038103d269b633813fc60c").json();
    let kept = &kept[0]["span"];
    assert_eq!(kept["service"], "web");
    assert_eq!(kept["kind"], "server");
    assert_eq!(kept["parent_span_id"], "eee19b7ec3c1b173");
    assert_eq!(kept["end"].as_i64().unwrap() - kept["start"].as_i64().unwrap(), 1_000_000_000);
    let attributes = json!({
        "n": 7, "m": 8, "d": 0.5, "b": true, "a": ["x"], "kv": { "k": 1 }, "bytes": "0102"
    });
    assert_eq!(kept["attributes"], attributes);
    assert_eq!((&kept["is_error"], &kept["status_message"]), (&json!(true), &json!("no")));

    let logs = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [{
        "timeUnixNano": "1767960000000000000", "severityNumber": 13,
        "body": { "stringValue": "careful" },
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"
    }] }] }] });
    let headers = [("Content-Type", "application/json; charset=utf-8"), GZIP];
    let answer = server.post("/v1/logs", &headers, &gzip(logs.to_string().as_bytes()));
    assert_eq!((answer.status, answer.text().as_str()), (200, "{}"));
    let kept = server.get("/api/v1/traces/5b8efff798038103d269b633813fc60c/logs").json();
    assert_eq!((&kept[0]["level"], &kept[0]["message"]), (&json!("WARN"), &json!("careful")));
}

#[test]
fn a_field_that_is_null_is_as_good_as_none() {
    let server = Server::start();
    let span = json!({
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "root",
        "parentSpanId": null, "attributes": [{ "key": "k", "value": null }], "status": null,
    });
    let spans =
        json!({ "resourceSpans": [{ "resource": null, "scopeSpans": [{ "spans": [span] }] }] });
    let answer = server.post("/v1/traces", &[JSON], spans.to_string().as_bytes());
    assert_eq!((answer.status, answer.json()), (200, json!({})));
    let kept = server.get("/api/v1/traces/5b8efff798038103d269b633813fc60c").json();
    assert_eq!(kept[0]["span"]["name"], "root");
    assert_eq!(kept[0]["span"]["parent_span_id"], json!(null));
    // What else is wrong is told of what was sent.
    let wrong = spans.to_string().replace("\"root\"", "7");
    let answer = server.post("/v1/traces", &[JSON], wrong.as_bytes());
    assert_eq!(answer.status, 400);
}

#[test]
fn an_empty_request_is_a_success() {
    let server = Server::start();
    assert_eq!(server.post("/v1/traces", &[PROTOBUF], b"").status, 200);
    assert_eq!(server.post("/v1/logs", &[JSON], b"{}").status, 200);
}

#[test]
fn spans_with_wrong_ids_are_rejected_and_the_others_kept() {
    let server = Server::start();
    let mut short = span(2, 2);
    short.trace_id.pop();
    let mut zero = span(2, 3);
    zero.span_id = vec![0; 8];
    let answer = server.send_spans(vec![span(2, 1), short, zero]);
    assert_eq!(answer.status, 200);
    let partial =
        ExportTraceServiceResponse::decode(&*answer.body).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 2);
    let message = partial.error_message;
    let zero = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"x"}]}]}]}"#;
    let answer = server.post("/v1/traces", &[JSON], zero.as_bytes()).json();
    assert_eq!(answer["partialSuccess"]["rejectedSpans"], "1", "{answer}");
    assert!(message.starts_with("span `span 2` has trace id `abab"), "{message}");
    assert!(message.contains("(15 bytes)") && message.contains("a trace id has 16 bytes"));
    assert_eq!(spans_kept(&server, 2), 1);
}

#[test]
fn a_log_line_with_a_wrong_id_is_kept_without_and_a_ledger_event_is_rejected() {
    let server = Server::start();
    let mut line = log(3, "whose?");
    line.trace_id.pop();
    let mut event = hop(3, "process", Vec::new());
    event.trace_id.clear();
    let answer = server.send_logs(vec![line, event]);
    assert_eq!(answer.status, 200);
    let partial =
        ExportLogsServiceResponse::decode(&*answer.body).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_log_records, 1);
    assert!(partial.error_message.starts_with("ledger event `tracebaton.hop` has trace id ``"));
}

#[test]
fn what_is_not_otlp_is_refused_with_a_status_that_says_so() {
    let server = Server::start();
    for (headers, body, says) in [
        (vec![PROTOBUF], b"\xff\xff garbage".to_vec(), "the body is not OTLP as protobuf"),
        (
            vec![PROTOBUF, GZIP],
            b"not gzip".to_vec(),
            "Content-Encoding is gzip and the body is not",
        ),
        (vec![PROTOBUF, GZIP], gzip(b"\xff"), "the body is not OTLP as protobuf"),
    ] {
        for path in ["/v1/traces", "/v1/logs"] {
            let answer = server.post(path, &headers, &body);
            assert_eq!((answer.status, answer.content_type.as_str()), (400, PROTOBUF.1));
            let status = Status::decode(&*answer.body).unwrap();
            assert_eq!(status.code, 3);
            assert!(status.message.starts_with(says), "{}", status.message);
        }
    }
    for body in ["{", "[]", r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}"#]
    {
        let answer = server.post("/v1/traces", &[JSON], body.as_bytes());
        assert_eq!((answer.status, answer.content_type.as_str()), (400, JSON.1), "{body}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("the body is not OTLP as JSON for this path"), "{message}");
    }
}

#[test]
fn an_unknown_content_type_or_encoding_says_which_are_known() {
    let server = Server::start();
    for headers in [vec![], vec![("Content-Type", "text/plain")]] {
        let answer = server.post("/v1/traces", &headers, b"");
        assert_eq!(answer.status, 415);
        let text = "Content-Type has to be application/x-protobuf or application/json\n";
        assert_eq!(answer.text(), text);
    }
    let answer = server.post("/v1/traces", &[PROTOBUF, ("Content-Encoding", "zstd")], b"");
    assert_eq!(answer.status, 415);
    assert!(answer.text().contains("Content-Encoding may be gzip or absent, not `zstd`"));
}

#[test]
fn a_request_too_large_is_refused_also_when_it_was_made_small() {
    let server = Server::start();
    let length = (65 << 20).to_string();
    let answer = server.post("/v1/traces", &[PROTOBUF, ("Content-Length", &length)], b"");
    assert_eq!(answer.status, 413);
    let chunked = ("Transfer-Encoding", "chunked");
    let answer = server.post("/v1/traces", &[PROTOBUF, chunked], b"no chunk\r\n\r\n");
    assert_eq!(answer.status, 400, "{}", answer.text());
    let bomb = gzip(&vec![0; 65 << 20]);
    let answer = server.post("/v1/traces", &[PROTOBUF, GZIP], &bomb);
    assert_eq!(answer.status, 413);
    assert!(answer.text().contains("a request may have 64 MiB: send smaller batches"));
}

#[test]
fn the_api_says_what_is_wrong_with_an_id_and_where_there_is_nothing() {
    let server = Server::start();
    let answer = server.get("/api/v1/traces/none");
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"], "`none` is what writers send who have no id");
    let answer = server.get("/api/v1/traces/none/diagnosis");
    assert_eq!((answer.status, &answer.json()["verdict"]), (200, &json!("ID_MALFORMED")));
    assert_eq!(server.get("/api/v1/traces/order-1").json(), json!([]));
    assert_eq!(server.get("/api/v1/nothing").status, 404);
    assert_eq!(server.get("/v1/traces").status, 405);
    assert_eq!(server.get("/health").json(), json!({ "status": "ok" }));
}

async fn channel(server: &Server) -> Channel {
    Channel::from_shared(format!("http://{}", server.grpc)).unwrap().connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_takes_the_same_and_tells_the_same() {
    let server = Server::start();
    let traces = TraceServiceClient::new(channel(&server).await);
    let request = || spans_of("shop", vec![span(4, 1), span(4, 2)]);
    let mut gzipped = traces.clone().send_compressed(CompressionEncoding::Gzip);
    let answer = gzipped.export(request()).await.unwrap().into_inner();
    assert_eq!(answer, ExportTraceServiceResponse::default());
    assert_eq!(spans_kept(&server, 4), 2);

    let mut wrong = span(4, 3);
    wrong.trace_id = vec![0; 16];
    let answer = traces.clone().export(spans_of("shop", vec![wrong])).await.unwrap().into_inner();
    assert_eq!(answer.partial_success.unwrap().rejected_spans, 1);

    let mut logs = LogsServiceClient::new(channel(&server).await);
    let answer = logs.export(logs_of("shop", vec![log(4, "hello")])).await.unwrap().into_inner();
    assert_eq!(answer, ExportLogsServiceResponse::default());

    let mut large = span(4, 5);
    large.name = "x".repeat(65 << 20);
    let error = traces.clone().export(spans_of("shop", vec![large])).await.unwrap_err();
    assert_eq!(error.code(), Code::OutOfRange, "{error}");

    // The bytes of a request for spans are none for log records.
    let mut grpc = tonic::client::Grpc::new(channel(&server).await);
    grpc.ready().await.unwrap();
    let call = |path: &'static str| {
        let codec = tonic_prost::ProstCodec::<_, ExportTraceServiceResponse>::default();
        (tonic::Request::new(request()), path.parse().unwrap(), codec)
    };
    let (request, path, codec) = call("/opentelemetry.proto.collector.logs.v1.LogsService/Export");
    let error = grpc.unary(request, path, codec).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().starts_with("this is not OTLP: "), "{error}");
    let (request, path, codec) = call("/opentelemetry.proto.collector.logs.v1.LogsService/Import");
    grpc.ready().await.unwrap();
    let error = grpc.unary(request, path, codec).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::Unimplemented, "the only method is Export"));
}
