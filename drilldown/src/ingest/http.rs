//! OTLP over HTTP: protobuf or JSON, gzip or not.

use std::{io::Read, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use flate2::read::MultiGzDecoder;
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use prost::Message;
use serde::de::DeserializeOwned;

use super::{convert, grpc::MAX_REQUEST};
use crate::{model::Delivery, store::Store};

/// Returns `/v1/traces` and `/v1/logs`.
pub(crate) fn routes() -> Router<Arc<dyn Store>> {
    Router::new()
        .route("/v1/traces", post(traces))
        .route("/v1/logs", post(logs))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
}

async fn traces(State(store): State<Arc<dyn Store>>, headers: HeaderMap, body: Bytes) -> Response {
    let read = read::<ExportTraceServiceRequest>(&headers, &body).map(convert::traces);
    keep(store, &headers, read).await
}

async fn logs(State(store): State<Arc<dyn Store>>, headers: HeaderMap, body: Bytes) -> Response {
    let read = read::<ExportLogsServiceRequest>(&headers, &body).map(convert::logs);
    keep(store, &headers, read).await
}

type Refusal = (StatusCode, String);

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.starts_with("application/json"))
}

fn read<M: Message + Default + DeserializeOwned>(
    headers: &HeaderMap,
    body: &[u8],
) -> Result<M, Refusal> {
    let bad = |what: String| (StatusCode::BAD_REQUEST, what);
    let encoding = headers.get(header::CONTENT_ENCODING).map_or(&b"identity"[..], |v| v.as_bytes());
    let inflated;
    let body = match encoding {
        b"identity" => body,
        b"gzip" => {
            let mut bytes = Vec::new();
            // One byte more than is allowed tells a bomb from a large request.
            let mut limited = MultiGzDecoder::new(body).take(MAX_REQUEST as u64 + 1);
            limited.read_to_end(&mut bytes).map_err(|error| bad(format!("not gzip: {error}")))?;
            if bytes.len() > MAX_REQUEST {
                let what = format!("a request may have {MAX_REQUEST} bytes");
                return Err((StatusCode::PAYLOAD_TOO_LARGE, what));
            }
            inflated = bytes;
            &inflated
        }
        _ => {
            let what = "Content-Encoding may be gzip or absent".to_owned();
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, what));
        }
    };
    if is_json(headers) {
        serde_json::from_slice(body).map_err(|error| bad(format!("not OTLP as JSON: {error}")))
    } else {
        M::decode(body).map_err(|error| bad(format!("not OTLP as protobuf: {error}")))
    }
}

/// Answers once the delivery is on disk.
async fn keep(
    store: Arc<dyn Store>,
    headers: &HeaderMap,
    read: Result<Delivery, Refusal>,
) -> Response {
    let delivery = match read {
        Ok(delivery) => delivery,
        Err(refusal) => return refusal.into_response(),
    };
    let kept = tokio::task::spawn_blocking(move || store.keep(&delivery)).await;
    match kept {
        // Both answers have only optional fields: nothing in them means that all was taken.
        Ok(Ok(())) if is_json(headers) => {
            ([(header::CONTENT_TYPE, "application/json")], "{}").into_response()
        }
        Ok(Ok(())) => ([(header::CONTENT_TYPE, "application/x-protobuf")], "").into_response(),
        Ok(Err(error)) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("the store is not well: {error}"))
                .into_response()
        }
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
