//! What happens to a request on its way out.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::call::Call;
use crate::{hop::Recorder, otel, propagate::Propagation};

/// Hands the baton on with every request that goes out, and records a client span for it.
///
/// The span is a child of whatever is current when the request is made; without that it starts a
/// trace.
///
/// # Examples
///
/// ```
/// use http::{Request, Response};
/// use tower::{ServiceExt, service_fn};
/// use tower_layer::Layer;
/// use tracebaton::{Propagation, TraceContext, tower::ClientLayer};
///
/// let echo = service_fn(|request: Request<()>| async move {
///     Ok::<_, std::convert::Infallible>(Response::new(request.headers()["traceparent"].clone()))
/// });
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let request = Request::get("http://stock.example/items/7").body(()).unwrap();
/// let response = ClientLayer::default().layer(echo).oneshot(request).await.unwrap();
/// assert!(TraceContext::parse_bytes(response.body().as_bytes()).is_ok());
/// # });
/// ```
#[derive(Clone, Debug, Default)]
pub struct ClientLayer {
    propagation: Arc<Propagation>,
    recorder: Option<Recorder>,
}

impl ClientLayer {
    /// Writes as `propagation` says.
    #[must_use]
    pub fn with_propagation(mut self, propagation: Propagation) -> Self {
        self.propagation = Arc::new(propagation);
        self
    }

    /// Records with `recorder` instead of the process's.
    #[must_use]
    pub fn with_recorder(mut self, recorder: &Recorder) -> Self {
        self.recorder = Some(recorder.clone());
        self
    }
}

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> ClientService<S> {
        let recorder = self.recorder.as_ref().unwrap_or_else(|| Recorder::global());
        ClientService { inner, propagation: self.propagation.clone(), recorder: recorder.clone() }
    }
}

/// A client whose requests are traced; made by [`ClientLayer`].
#[derive(Clone, Debug)]
pub struct ClientService<S> {
    inner: S,
    propagation: Arc<Propagation>,
    recorder: Recorder,
}

impl<S, B, R> Service<Request<B>> for ClientService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: fmt::Display,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ClientFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let parent = otel::current().unwrap_or_default();
        let (method, uri) = (request.method().as_str(), request.uri());
        let call = Call::start(&self.recorder, method, uri, &parent);
        self.propagation.inject(call.baton(), request.headers_mut());
        ClientFuture { inner: self.inner.call(request), call: Some(call) }
    }
}

pin_project! {
    /// The response to a traced request.
    pub struct ClientFuture<F> {
        #[pin]
        inner: F,
        call: Option<Call>,
    }
}

impl<F, R, E> Future for ClientFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: fmt::Display,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(task));
        if let Some(call) = this.call.take() {
            match &answer {
                Ok(response) => call.answered(response.status().as_u16(), response.version()),
                Err(error) => call.failed(std::any::type_name::<E>(), &error.to_string()),
            }
        }
        Poll::Ready(answer)
    }
}
