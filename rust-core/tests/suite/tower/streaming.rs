//! Bodies pass through untouched, piece by piece.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;
use tower::{Layer, ServiceExt, service_fn};
use tracebaton::tower::TraceLayer;

/// A body whose frames come over a channel.
#[derive(Default)]
struct Channel(Option<mpsc::Receiver<Frame<Bytes>>>);

impl Body for Channel {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Some(frames) => frames.poll_recv(cx).map(|frame| frame.map(Ok)),
            None => Poll::Ready(None),
        }
    }
}

#[tokio::test]
async fn both_bodies_stream_while_the_handler_runs() {
    let (ask, asked) = mpsc::channel(1);
    let request = Request::post("/echo").body(Channel(Some(asked))).unwrap();
    let echo = service_fn(|request: Request<Channel>| async {
        let (send, sent) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut body = request.into_body();
            while let Some(Ok(frame)) = body.frame().await {
                send.send(frame).await.unwrap();
            }
        });
        Ok::<_, Infallible>(Response::new(Channel(Some(sent))))
    });
    let Ok(response) = TraceLayer::default().layer(echo).oneshot(request).await;
    assert!(response.headers().contains_key("x-trace-id"), "the head does not wait for the body");
    let mut body = response.into_body();
    for piece in ["one", "two"] {
        ask.send(Frame::data(Bytes::from(piece))).await.unwrap();
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), piece);
    }
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), "6".parse().unwrap())]);
    ask.send(Frame::trailers(trailers.clone())).await.unwrap();
    drop(ask);
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_trailers().unwrap(), trailers);
    assert!(body.frame().await.is_none());
}
