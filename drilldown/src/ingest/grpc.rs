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
use prost::Message;
use tonic::{Request, Response, Status, codec::CompressionEncoding, transport::server::Router};

use super::{Cut, MAX_REQUEST, answer, keep, not_well};
use crate::{model::Rejected, otlp::cut, store::Store};

#[derive(Clone)]
struct Receiver(Arc<dyn Store>);

impl Receiver {
    async fn keep(&self, request: impl Message + 'static, cut: Cut) -> Result<Rejected, Status> {
        let store = self.0.clone();
        let work = move || {
            let delivery = cut(&request.encode_to_vec())
                .map_err(|error| Status::invalid_argument(format!("this is not OTLP: {error}")))?;
            // `unavailable` is what makes senders try again.
            keep(&*store, delivery).map_err(|error| Status::unavailable(not_well(&error)))
        };
        let gave_up = |_| Err(Status::unavailable("the store gave up on this request"));
        tokio::task::spawn_blocking(work).await.unwrap_or_else(gave_up)
    }
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let rejected = self.keep(request.into_inner(), cut::traces).await?;
        Ok(Response::new(answer::traces(rejected)))
    }
}

#[tonic::async_trait]
impl LogsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let rejected = self.keep(request.into_inner(), cut::logs).await?;
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
