//! OTLP over HTTP: protobuf or JSON, gzip or not.

use std::{borrow::Cow, error::Error as _, io::Read, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody, to_bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use flate2::read::MultiGzDecoder;
use http_body_util::LengthLimitError;
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

use super::{
    Cut, MAX_REQUEST,
    answer::{self, Status},
    keep, not_well,
};
use crate::{model::Rejected, otlp::cut, store::Store};

/// Returns `/v1/traces` and `/v1/logs`.
pub(crate) fn routes() -> Router<Arc<dyn Store>> {
    Router::new().route("/v1/traces", post(traces)).route("/v1/logs", post(logs))
}

async fn traces(State(store): State<Arc<dyn Store>>, headers: HeaderMap, body: Body) -> Response {
    take::<ExportTraceServiceRequest, _>(store, headers, body, cut::traces, answer::traces).await
}

async fn logs(State(store): State<Arc<dyn Store>>, headers: HeaderMap, body: Body) -> Response {
    take::<ExportLogsServiceRequest, _>(store, headers, body, cut::logs, answer::logs).await
}

/// How a body is written; the answer is written the same way (OTLP/HTTP, "Response").
#[derive(Clone, Copy)]
enum Format {
    Protobuf,
    Json,
}

struct Refusal(StatusCode, String);

impl Format {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        match text.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    fn bad(self, error: &dyn std::fmt::Display) -> Refusal {
        let what = match self {
            Self::Protobuf => "protobuf",
            Self::Json => "JSON",
        };
        let what = format!("the body is not OTLP as {what} for this path: {error}");
        Refusal(StatusCode::BAD_REQUEST, what)
    }

    /// Returns the body as protobuf.
    fn protobuf<M: Message + DeserializeOwned>(
        self,
        body: Cow<'_, [u8]>,
    ) -> Result<Cow<'_, [u8]>, Refusal> {
        match self {
            Self::Protobuf => Ok(body),
            // To serde an array is as good as an object; to the standard it is not.
            Self::Json if !body.trim_ascii_start().starts_with(b"{") => {
                Err(self.bad(&"it has to be an object"))
            }
            Self::Json => {
                let read = serde_json::from_slice(&body);
                let message: M =
                    read.or_else(|error| without_null(&body).ok_or_else(|| self.bad(&error)))?;
                Ok(Cow::Owned(message.encode_to_vec()))
            }
        }
    }

    fn write<M: Message + Serialize>(self, status: StatusCode, message: &M) -> Response {
        let (content_type, body) = match self {
            Self::Protobuf => ("application/x-protobuf", message.encode_to_vec()),
            Self::Json => {
                let mut json = serde_json::to_value(message).unwrap_or_default();
                if let Some(fields) = json.as_object_mut() {
                    fields.retain(|_, value| !value.is_null());
                }
                // 64-bit numbers are text (ProtoJSON); these are all there are.
                for count in ["/partialSuccess/rejectedSpans", "/partialSuccess/rejectedLogRecords"]
                {
                    if let Some(count) = json.pointer_mut(count) {
                        *count = count.to_string().into();
                    }
                }
                ("application/json", json.to_string().into_bytes())
            }
        };
        (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
    }
}

/// Reads an object in which fields are `null`: that is as if they were not there (ProtoJSON, "JSON null
/// values"). Hardly anybody writes so.
fn without_null<M: DeserializeOwned>(body: &[u8]) -> Option<M> {
    fn drop_null(value: &mut Json) {
        match value {
            Json::Object(fields) => {
                fields.retain(|_, field| !field.is_null());
                fields.values_mut().for_each(drop_null);
            }
            Json::Array(values) => values.iter_mut().for_each(drop_null),
            _ => {}
        }
    }
    let mut value: Json = serde_json::from_slice(body).ok()?;
    drop_null(&mut value);
    serde_json::from_value(value).ok()
}

/// Answers once what the body holds is on disk.
async fn take<M, A>(
    store: Arc<dyn Store>,
    headers: HeaderMap,
    body: Body,
    cut: Cut,
    answer: fn(Rejected) -> A,
) -> Response
where
    M: Message + DeserializeOwned,
    A: Message + Serialize + 'static,
{
    let Some(format) = Format::of(&headers) else {
        let what = "Content-Type has to be application/x-protobuf or application/json";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("{what}\n")).into_response();
    };
    let kept = match receive(body).await {
        Ok(bytes) => {
            let work = move || {
                let body = format.protobuf::<M>(inflate(&headers, &bytes)?)?;
                let delivery = cut(&body).map_err(|error| format.bad(&error))?;
                keep(&*store, delivery)
                    .map_err(|error| Refusal(StatusCode::SERVICE_UNAVAILABLE, not_well(&error)))
            };
            let gave_up = |_| {
                let what = "the store gave up on this request".to_owned();
                Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, what))
            };
            tokio::task::spawn_blocking(work).await.unwrap_or_else(gave_up)
        }
        Err(refusal) => Err(refusal),
    };
    match kept {
        Ok(rejected) => format.write(StatusCode::OK, &answer(rejected)),
        Err(Refusal(status, message)) => {
            // INVALID_ARGUMENT and UNAVAILABLE of `google.rpc.Code`.
            let code = if status.is_client_error() { 3 } else { 14 };
            format.write(status, &Status { code, message })
        }
    }
}

async fn receive(body: Body) -> Result<Bytes, Refusal> {
    // What announces itself as too large need not be sent first.
    if body.size_hint().lower() > MAX_REQUEST as u64 {
        return Err(too_large());
    }
    to_bytes(body, MAX_REQUEST).await.map_err(|error| {
        if error.source().is_some_and(|source| source.is::<LengthLimitError>()) {
            return too_large();
        }
        Refusal(StatusCode::BAD_REQUEST, format!("the body ended before its time: {error}"))
    })
}

fn too_large() -> Refusal {
    let what = format!("a request may have {} MiB: send smaller batches", MAX_REQUEST >> 20);
    Refusal(StatusCode::PAYLOAD_TOO_LARGE, what)
}

fn inflate<'b>(headers: &HeaderMap, body: &'b Bytes) -> Result<Cow<'b, [u8]>, Refusal> {
    let encoding = headers.get(header::CONTENT_ENCODING).map_or(&b"identity"[..], |v| v.as_bytes());
    match encoding {
        b"identity" | b"" => Ok(Cow::Borrowed(body)),
        b"gzip" => {
            let mut bytes = Vec::new();
            // One byte more than is allowed tells a bomb from a large request.
            let mut limited = MultiGzDecoder::new(&**body).take(MAX_REQUEST as u64 + 1);
            limited.read_to_end(&mut bytes).map_err(|error| {
                let what = format!("Content-Encoding is gzip and the body is not: {error}");
                Refusal(StatusCode::BAD_REQUEST, what)
            })?;
            if bytes.len() > MAX_REQUEST { Err(too_large()) } else { Ok(Cow::Owned(bytes)) }
        }
        other => {
            let what = format!(
                "Content-Encoding may be gzip or absent, not `{}`",
                String::from_utf8_lossy(other).escape_default()
            );
            Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, what))
        }
    }
}
