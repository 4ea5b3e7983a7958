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

use super::convert;
use crate::{model::Delivery, store::Store};

/// A request larger than this is refused.
pub(crate) const MAX_REQUEST: usize = 64 << 20;

#[derive(Clone)]
struct Receiver(Arc<dyn Store>);

impl Receiver {
    async fn keep(&self, delivery: Delivery) -> Result<(), Status> {
        let store = self.0.clone();
        let kept = tokio::task::spawn_blocking(move || store.keep(&delivery)).await;
        match kept {
            Ok(Ok(())) => Ok(()),
            // `unavailable` is what makes senders try again.
            Ok(Err(error)) => Err(Status::unavailable(format!("the store is not well: {error}"))),
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
        self.keep(convert::traces(request.into_inner())).await?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.keep(convert::logs(request.into_inner())).await?;
        Ok(Response::new(ExportLogsServiceResponse::default()))
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
