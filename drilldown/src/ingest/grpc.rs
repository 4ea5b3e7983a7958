//! OTLP over gRPC.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::{
    logs::v1::{
        ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use tonic::{Request, Response, Status, codec::CompressionEncoding, transport::server::Router};

use super::{MAX_REQUEST, answer, convert, keep, not_well};
use crate::{
    model::{Delivery, Rejected},
    store::Store,
};

#[derive(Clone)]
struct Receiver(Arc<dyn Store>);

impl Receiver {
    async fn keep<R: Send + 'static>(
        &self,
        request: R,
        convert: fn(R) -> Delivery,
    ) -> Result<Rejected, Status> {
        let store = self.0.clone();
        let kept = tokio::task::spawn_blocking(move || keep(&*store, convert(request))).await;
        match kept {
            Ok(Ok(rejected)) => Ok(rejected),
            // `unavailable` is what makes senders try again.
            Ok(Err(error)) => Err(Status::unavailable(not_well(&error))),
            Err(_) => Err(Status::unavailable("the store gave up on this request")),
        }
    }
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let rejected = self.keep(request.into_inner(), convert::traces).await?;
        Ok(Response::new(answer::traces(rejected)))
    }
}

#[tonic::async_trait]
impl LogsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let rejected = self.keep(request.into_inner(), convert::logs).await?;
        Ok(Response::new(answer::logs(rejected)))
    }
}

/// Returns the two services.
pub(crate) fn router(store: Arc<dyn Store>) -> Router {
    let receiver = Receiver(store);
    let traces = TraceServiceServer::new(receiver.clone())
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_REQUEST);
    let logs = LogsServiceServer::new(receiver)
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_REQUEST);
    tonic::transport::Server::builder().add_service(traces).add_service(logs)
}
