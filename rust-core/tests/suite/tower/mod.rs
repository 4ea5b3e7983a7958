//! The tower layers, around services that misbehave in every way.

mod client;
mod server;
mod streaming;

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower::{Layer, Service, ServiceExt};
use tracebaton::tower::TraceLayer;

type Answer<E> = Result<Response<String>, E>;

/// A service that answers with what a function makes of the request.
#[derive(Clone)]
struct Handler<F>(F);

impl<F, W, E> Service<Request<String>> for Handler<F>
where
    F: FnMut(Request<String>) -> W,
    W: Future<Output = Answer<E>> + Send + 'static,
{
    type Response = Response<String>;
    type Error = E;
    type Future = Pin<Box<dyn Future<Output = Answer<E>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        Box::pin((self.0)(request))
    }
}

/// Answers `request` by `handler` behind `layer`.
fn answer<F, W>(
    layer: &TraceLayer,
    request: Request<String>,
    handler: F,
) -> impl Future<Output = Response<String>> + use<F, W>
where
    F: FnMut(Request<String>) -> W,
    W: Future<Output = Answer<Infallible>> + Send + 'static,
{
    let service = layer.layer(Handler(handler));
    async {
        let Ok(response) = service.oneshot(request).await;
        response
    }
}

fn get(headers: &[(&str, &[u8])]) -> Request<String> {
    let mut request = Request::get("http://shop.example:8080/orders/7?coupon=x");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(String::new()).unwrap()
}

async fn ok(_: Request<String>) -> Answer<Infallible> {
    Ok(Response::new("fine".to_owned()))
}
