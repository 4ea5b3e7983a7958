//! What happens to a response on its way out.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context as TaskContext, Poll, ready},
};

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, header::Entry};
use opentelemetry::Context;
use pin_project_lite::pin_project;

use crate::hop::Hop;

const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
const EXPOSED: &str = "X-Trace-Id";
const EXPOSED_VALUE: HeaderValue = HeaderValue::from_static(EXPOSED);

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
        sign(this.hop, response.headers_mut());
        let status = response.status();
        let reason = || status.canonical_reason().unwrap_or_default();
        this.hop.end_answered(status.as_u16(), reason);
        Poll::Ready(Ok(response))
    }
}

/// Adds the id to a response, and lets scripts of other origins read it.
fn sign(hop: &Hop, headers: &mut HeaderMap) {
    let id = match hop.legacy_text() {
        Some(own) => HeaderValue::from_str(own),
        None => HeaderValue::from_bytes(&hop.trace_id().to_hex()),
    };
    let is_bare = headers.is_empty();
    if let Ok(id) = id {
        headers.insert(TRACE_ID, id);
    }
    if is_bare {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_VALUE);
        return;
    }
    match headers.entry(header::ACCESS_CONTROL_EXPOSE_HEADERS) {
        Entry::Vacant(place) => {
            place.insert(EXPOSED_VALUE);
        }
        Entry::Occupied(mut exposed) => {
            if !exposed.iter().any(has_id) {
                exposed.append(EXPOSED_VALUE);
            }
        }
    }
}

/// Tells whether a list of names has the id's.
fn has_id(exposed: &HeaderValue) -> bool {
    let names = exposed.to_str().unwrap_or_default().split(',');
    names.map(str::trim).any(|name| name.eq_ignore_ascii_case(EXPOSED))
}
