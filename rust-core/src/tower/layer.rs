//! What happens to a request on its way in.

use std::{
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    describe::describe_received,
    headers::{Headers, Rules},
    response::ResponseFuture,
};
use crate::{
    hop::{Hop, Recorder},
    otel,
    propagate::Propagation,
};

/// Traces every request of the service it wraps.
///
/// The baton of the request is continued, or a new trace started; the inner service runs in its
/// OpenTelemetry context and finds the [`Hop`] among the request's extensions. Every response
/// carries `X-Trace-Id`, whatever its status, also when the inner service panics.
///
/// What hyper answers by itself never gets to a service and has no id: 400 to bytes that are no
/// request, 431 to too many headers.
///
/// # Order of layers
///
/// This one goes outermost. Whatever a layer below answers by itself, for instance a timeout or a
/// limit, is traced then; and so is the answer to a browser's preflight, which is that of a CORS layer
/// (`tower_http::cors::CorsLayer`): this one answers none. It adds `X-Trace-Id` to the exposed headers;
/// a CORS layer around it would put its own list in their place, and one below it need not know of it.
/// Pages that send the id or a trace need `x-trace-id`, `traceparent`, `tracestate` and `baggage` among
/// the allowed headers.
///
/// # Examples
///
/// ```
/// use http::{Request, Response};
/// use tower_layer::Layer;
/// use tower_service::Service;
/// use tracebaton::tower::TraceLayer;
///
/// #[derive(Clone)]
/// struct Hello;
/// impl Service<Request<()>> for Hello {
///     type Response = Response<String>;
///     type Error = std::convert::Infallible;
///     type Future = std::future::Ready<Result<Response<String>, Self::Error>>;
///     fn poll_ready(
///         &mut self,
///         _: &mut std::task::Context<'_>,
///     ) -> std::task::Poll<Result<(), Self::Error>> {
///         std::task::Poll::Ready(Ok(()))
///     }
///     fn call(&mut self, _: Request<()>) -> Self::Future {
///         std::future::ready(Ok(Response::new("hello".to_owned())))
///     }
/// }
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let request = Request::builder().header("x-trace-id", "order-1234").body(()).unwrap();
/// let response = TraceLayer::default().layer(Hello).call(request).await.unwrap();
/// assert_eq!(response.headers()["x-trace-id"], "order-1234");
/// # });
/// ```
#[derive(Clone, Debug, Default)]
pub struct TraceLayer {
    rules: Arc<Rules>,
    recorder: Option<Recorder>,
}

impl TraceLayer {
    /// Reads and trusts as `propagation` says.
    #[must_use]
    pub fn with_propagation(mut self, propagation: Propagation) -> Self {
        self.rules = Arc::new(Rules::new(propagation));
        self
    }

    /// Records with `recorder` instead of the process's.
    #[must_use]
    pub fn with_recorder(mut self, recorder: &Recorder) -> Self {
        self.recorder = Some(recorder.clone());
        self
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = TraceService<S>;

    fn layer(&self, inner: S) -> TraceService<S> {
        let recorder = self.recorder.as_ref().unwrap_or_else(|| Recorder::global());
        TraceService { inner, rules: self.rules.clone(), recorder: recorder.clone() }
    }
}

/// A service whose requests are traced; made by [`TraceLayer`].
#[derive(Clone, Debug)]
pub struct TraceService<S> {
    inner: S,
    rules: Arc<Rules>,
    recorder: Recorder,
}

impl<S, B, R> Service<Request<B>> for TraceService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let headers = Headers::new(request.headers());
        let (baton, linked) = headers.receive(&self.rules);
        let (method, uri) = (request.method().as_str(), request.uri());
        let hop = Hop::receive_with(&self.recorder, method, uri.path(), &baton, |facts| {
            describe_received(facts, uri, request.version(), &headers);
        });
        if let Some(theirs) = linked {
            hop.link(theirs);
        }
        request.extensions_mut().insert(hop.clone());
        let cx = otel::cx(hop.baton());
        let guard = cx.clone().attach();
        let future = ResponseFuture::call(hop, cx, || self.inner.call(request));
        drop(guard);
        future
    }
}
