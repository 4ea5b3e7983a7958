//! What senders are answered (OTLP, "Full Success", "Partial Success" and "Failures").

use opentelemetry_proto::tonic::collector::{
    logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse},
    trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse},
};
use prost::Message;
use serde::Serialize;

use crate::model::Rejected;

/// `google.rpc.Status`, the body of every refusal.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct Status {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

/// Answers spans; with nothing rejected the answer is empty.
pub(super) fn traces(rejected: Rejected) -> ExportTraceServiceResponse {
    let partial_success = (rejected.count > 0).then_some(ExportTracePartialSuccess {
        rejected_spans: rejected.count,
        error_message: rejected.why,
    });
    ExportTraceServiceResponse { partial_success }
}

/// Answers log records; with nothing rejected the answer is empty.
pub(super) fn logs(rejected: Rejected) -> ExportLogsServiceResponse {
    let partial_success = (rejected.count > 0).then_some(ExportLogsPartialSuccess {
        rejected_log_records: rejected.count,
        error_message: rejected.why,
    });
    ExportLogsServiceResponse { partial_success }
}
