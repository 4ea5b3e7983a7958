//! The little of an HTTP client that the demo needs.

use anyhow::Context;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

/// An answer: status, `X-Trace-Id`, body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) trace_id: String,
    pub(crate) body: String,
}

/// Sends a request, with a body by POST and without one by GET.
pub(crate) async fn ask(url: &str, body: Option<String>) -> anyhow::Result<Answer> {
    let request =
        match body {
            Some(body) => Request::post(url)
                .header("content-type", "application/json")
                .body(Full::<Bytes>::from(body)),
            None => Request::get(url).body(Full::default()),
        }?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await.with_context(|| format!("no answer from {url}"))?;
    let trace_id = answer.headers().get("x-trace-id").and_then(|value| value.to_str().ok());
    Ok(Answer {
        status: answer.status().as_u16(),
        trace_id: trace_id.unwrap_or_default().to_owned(),
        body: String::from_utf8_lossy(&answer.into_body().collect().await?.to_bytes()).into_owned(),
    })
}
