//! What happens to a response on its way out.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context as TaskContext, Poll, ready},
};

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use opentelemetry::Context;
use pin_project_lite::pin_project;

use crate::hop::Hop;

const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
const EXPOSED: &str = "X-Trace-Id";

pin_project! {
    /// The response of a traced request: the inner service's, with the id.
    pub struct ResponseFuture<F> {
        // Nothing is left to poll where the inner service panicked before it made a future.
        #[pin]
        inner: Option<F>,
        hop: Hop,
        cx: Context,
        is_answered: bool,
    }

    impl<F> PinnedDrop for ResponseFuture<F> {
        /// Says that the client went away before there was an answer.
        fn drop(this: Pin<&mut Self>) {
            if !this.is_answered {
                this.hop.failed("canceled", "the request was given up before its answer");
                this.hop.end();
            }
        }
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn call(hop: Hop, cx: Context, call: impl FnOnce() -> F) -> Self {
        // Unwind safety: what a panic leaves half done is the inner service's own, which the caller
        // may not look at again other than by another request, as with any panic of a task.
        let inner = catch_unwind(AssertUnwindSafe(call)).ok();
        Self { inner, hop, cx, is_answered: false }
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Default,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = match this.inner.as_mut().as_pin_mut() {
            Some(inner) => {
                let _guard = this.cx.clone().attach();
                catch_unwind(AssertUnwindSafe(|| inner.poll(task))).ok()
            }
            None => None,
        };
        let mut response = match polled {
            Some(polled) => match ready!(polled) {
                Ok(response) => response,
                Err(error) => {
                    *this.is_answered = true;
                    this.hop.failed("service_error", "the service ended without a response");
                    this.hop.end();
                    return Poll::Ready(Err(error));
                }
            },
            None => {
                // A future that panicked must not be polled again.
                this.inner.set(None);
                this.hop.failed("panic", "the service panicked");
                let mut response = Response::new(R::default());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        };
        *this.is_answered = true;
        let status = response.status();
        this.hop.answered(status.as_u16(), status.canonical_reason().unwrap_or_default());
        sign(this.hop, response.headers_mut());
        this.hop.end();
        Poll::Ready(Ok(response))
    }
}

/// Adds the id to a response, and lets scripts of other origins read it.
fn sign(hop: &Hop, headers: &mut HeaderMap) {
    let id = hop.baton().id_text();
    if let Some(id) = id.and_then(|id| HeaderValue::from_str(&id).ok()) {
        headers.insert(TRACE_ID, id);
    }
    let is_exposed = headers
        .get_all(header::ACCESS_CONTROL_EXPOSE_HEADERS)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case(EXPOSED));
    if !is_exposed {
        headers.append(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
}
