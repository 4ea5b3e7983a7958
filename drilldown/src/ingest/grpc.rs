//! OTLP over gRPC, without making messages of it: the bytes go on as they came.

use std::{convert::Infallible, future, marker::PhantomData, sync::Arc, task};

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use tonic::{
    Request, Response, Status,
    body::Body,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::{BoxFuture, Service, http},
    server::{Grpc, NamedService, UnaryService},
    transport::server::Router,
};

use super::{Cut, MAX_REQUEST, answer, keep, not_well};
use crate::{model::Rejected, otlp::cut, store::Store};

/// Passes messages on as bytes.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// What the two services differ in.
trait Signal: Clone + Send + Sync + 'static {
    const SERVICE: &'static str;
    const EXPORT: &'static str;
    const CUT: Cut;

    fn answer(rejected: Rejected) -> Vec<u8>;
}

#[derive(Clone)]
struct Traces;

impl Signal for Traces {
    const SERVICE: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
    const EXPORT: &'static str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    const CUT: Cut = cut::traces;

    fn answer(rejected: Rejected) -> Vec<u8> {
        answer::traces(rejected).encode_to_vec()
    }
}

#[derive(Clone)]
struct Logs;

impl Signal for Logs {
    const SERVICE: &'static str = "opentelemetry.proto.collector.logs.v1.LogsService";
    const EXPORT: &'static str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    const CUT: Cut = cut::logs;

    fn answer(rejected: Rejected) -> Vec<u8> {
        answer::logs(rejected).encode_to_vec()
    }
}

/// Keeps what is exported, and answers once it is on disk.
#[derive(Clone)]
struct Export<S> {
    store: Arc<dyn Store>,
    signal: PhantomData<S>,
}

impl<S: Signal> UnaryService<Bytes> for Export<S> {
    type Response = Vec<u8>;
    type Future = BoxFuture<Response<Vec<u8>>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let store = self.store.clone();
        let work = move || {
            let delivery = S::CUT(request.get_ref())
                .map_err(|error| Status::invalid_argument(format!("this is not OTLP: {error}")))?;
            // `unavailable` is what makes senders try again.
            keep(&*store, delivery).map_err(|error| Status::unavailable(not_well(&error)))
        };
        Box::pin(async {
            let gave_up = |_| Err(Status::unavailable("the store gave up on this request"));
            let rejected = tokio::task::spawn_blocking(work).await.unwrap_or_else(gave_up)?;
            Ok(Response::new(S::answer(rejected)))
        })
    }
}

impl<S: Signal> Service<http::Request<Body>> for Export<S> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != S::EXPORT {
            let unknown = Status::unimplemented("the only method is Export").into_http();
            return Box::pin(future::ready(Ok(unknown)));
        }
        let own = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(Raw)
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(MAX_REQUEST);
            Ok(grpc.unary(own, request).await)
        })
    }
}

impl<S: Signal> NamedService for Export<S> {
    const NAME: &'static str = S::SERVICE;
}

/// Returns the two services.
pub(crate) fn router(store: Arc<dyn Store>) -> Router {
    let traces = Export { store: store.clone(), signal: PhantomData::<Traces> };
    let logs = Export { store, signal: PhantomData::<Logs> };
    tonic::transport::Server::builder().add_service(traces).add_service(logs)
}
