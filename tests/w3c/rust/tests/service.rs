//! The service as the harness sees it: started as a process, spoken to over HTTP.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::{
    convert::Infallible,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpListener;
use tracebaton::TraceContext;

/// The service; it is ended with the test.
struct Service(Child, String);

impl Service {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_w3c-rust"));
        let mut child = command.arg("0").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self(child, url)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

type Seen = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// Keeps every request that comes in, and returns where.
async fn harness() -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let seen = Seen::default();
    let kept = seen.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let kept = kept.clone();
            let keep = service_fn(move |request: Request<Incoming>| {
                let kept = kept.clone();
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    kept.lock().unwrap().push((head.headers, body));
                    Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), keep));
        }
    });
    (url, seen)
}

async fn post(url: &str, headers: &[(&str, &str)], body: String) -> u16 {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let mut request = Request::post(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.request(request.body(body.into()).unwrap()).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn every_errand_is_run_with_one_fresh_traceparent_of_the_same_trace() {
    let service = Service::start();
    let (url, seen) = harness().await;
    let sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
    let inner = format!(r#"[{{"url":"{url}","arguments":[]}}]"#);
    let errands = format!(
        r#"[{{"url":"{url}","arguments":[]}},{{"url":"{}","arguments":{inner}}}]"#,
        service.1
    );
    let headers = [("traceparent", sent), ("tracestate", "foo@@bar=1"), ("tracestate", "1a=2")];
    assert_eq!(post(&service.1, &headers, errands).await, 200);
    let seen = seen.lock().unwrap();
    let [direct, nested] = &seen[..] else { panic!("{seen:?}") };
    let (sent, mut spans) = (TraceContext::parse(sent).unwrap(), Vec::new());
    for (headers, body) in [direct, nested] {
        assert_eq!(&body[..], b"[]");
        let fields: Vec<_> = headers.get_all("traceparent").iter().collect();
        let [field] = fields[..] else { panic!("{fields:?}") };
        let context = TraceContext::parse_bytes(field.as_bytes()).unwrap();
        assert_eq!((context.trace_id, context.flags), (sent.trace_id, sent.flags));
        spans.push(context.span_id);
        assert_eq!(headers["tracestate"], "foo@@bar=1,1a=2");
    }
    assert!(spans[0] != spans[1] && !spans.contains(&sent.span_id));
}

#[tokio::test]
async fn what_is_no_list_of_errands_is_refused() {
    let service = Service::start();
    assert_eq!(post(&service.1, &[], "{".to_owned()).await, 400);
}
