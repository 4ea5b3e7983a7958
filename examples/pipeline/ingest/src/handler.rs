//! One request: route, checks, records to Kafka, an answer that says what became of each.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use rdkafka::producer::FutureProducer;
use serde_json::{Value, json};
use tracebaton::{
    Propagation,
    hop::{Fates, Hop},
    kafka::{Record, send_all},
};

use crate::{body, records};

pub(crate) struct Ingest {
    producer: FutureProducer,
    propagation: Propagation,
    topics: Vec<String>,
    max_body_bytes: usize,
}

/// Why a whole request was refused.
struct Refusal(StatusCode, &'static str, String);

impl Ingest {
    pub(crate) fn new(
        producer: FutureProducer,
        topics: Vec<String>,
        max_body_bytes: usize,
    ) -> Self {
        Self { producer, propagation: Propagation::default(), topics, max_body_bytes }
    }

    /// Answers a request; the layer around this adds `X-Trace-Id`.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        // The layer around this service always leaves its hop; a stray request is traced as new.
        let hop = request.extensions().get::<Hop>().cloned();
        let hop = hop.unwrap_or_else(|| {
            let recorder = tracebaton::hop::Recorder::global();
            Hop::receive(recorder, request.method().as_str(), "", &Default::default())
        });
        let id = hop.baton().id_text().unwrap_or_default().into_owned();
        let (status, mut body) = match self.route(request, &hop).await {
            Ok(answer) => answer,
            Err(Refusal(status, error, message)) => {
                hop.failed(error, &message);
                tracing::warn!(status = status.as_u16(), error, reason = message, "refused");
                (status, json!({ "error": error, "message": message }))
            }
        };
        if let Value::Object(body) = &mut body {
            body.insert("trace_id".into(), id.into());
        }
        let mut response = Response::new(Full::from(body.to_string()));
        *response.status_mut() = status;
        let json = header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }

    async fn route(
        &self,
        request: Request<Incoming>,
        hop: &Hop,
    ) -> Result<(StatusCode, Value), Refusal> {
        let path = request.uri().path().to_owned();
        if path == "/health" {
            return Ok((StatusCode::OK, json!({ "status": "ok" })));
        }
        let Some(topic) = path.strip_prefix("/ingest/") else {
            let message = "there is POST /ingest/{topic} and GET /health".to_owned();
            return Err(Refusal(StatusCode::NOT_FOUND, "unknown_path", message));
        };
        hop.set_route(request.method().as_str(), "/ingest/{topic}");
        if request.method() != Method::POST {
            let message = "records are sent by POST".to_owned();
            return Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message));
        }
        if !self.topics.iter().any(|known| known == topic) {
            let message = format!("there is no such topic; there are: {}", self.topics.join(", "));
            return Err(Refusal(StatusCode::NOT_FOUND, "unknown_topic", message));
        }
        self.ingest(request, hop, topic).await
    }

    async fn ingest(
        &self,
        request: Request<Incoming>,
        hop: &Hop,
        topic: &str,
    ) -> Result<(StatusCode, Value), Refusal> {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let media_type = content_type.and_then(|value| value.to_str().ok()?.split(';').next());
        if !media_type.is_some_and(|text| text.trim().eq_ignore_ascii_case("application/json")) {
            let message = "send Content-Type: application/json".to_owned();
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Refusal(status, "unsupported_media_type", message));
        }
        let body = body::read(request.into_body(), self.max_body_bytes).await;
        let body = body.map_err(|error| match error {
            body::Error::TooLarge => {
                let message = format!("a body may have {} bytes", self.max_body_bytes);
                Refusal(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
            }
            body::Error::Unreadable(error) => {
                Refusal(StatusCode::BAD_REQUEST, "body_unreadable", error)
            }
        })?;
        let records = records::read(&body)
            .map_err(|error| Refusal(StatusCode::BAD_REQUEST, "invalid_json", error))?;
        self.send(records, hop, topic).await
    }

    async fn send(
        &self,
        records: Vec<records::Checked<'_>>,
        hop: &Hop,
        topic: &str,
    ) -> Result<(StatusCode, Value), Refusal> {
        let total = records.len();
        let (mut indices, mut sending, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
        for (index, record) in records.into_iter().enumerate() {
            match record {
                Ok((user, text)) => {
                    indices.push(index);
                    let (key, payload) = (Some(user.into_bytes()), text.get().as_bytes().to_vec());
                    sending.push(Record { key, payload, headers: Vec::new() });
                }
                Err(error) => rejected.push((index, error)),
            }
        }
        let invalid = rejected.len();
        let sent = send_all(&self.producer, &self.propagation, hop, topic, sending).await;
        let undelivered = indices.into_iter().zip(&sent).filter_map(|(index, result)| {
            result.as_ref().err().map(|error| (index, error.to_string()))
        });
        rejected.extend(undelivered);
        rejected.sort_unstable_by_key(|(index, _)| *index);
        let accepted = total - rejected.len();
        if let Some((index, error)) = rejected.first() {
            let kind = if invalid > 0 { "invalid_record" } else { "undelivered" };
            hop.failed(kind, &format!("record {index}: {error}"));
        }
        hop.count(Fates {
            records_in: total as u64,
            passed: accepted as u64,
            failed: rejected.len() as u64,
            ..Fates::default()
        });
        tracing::info!(topic, accepted, rejected = rejected.len(), "produced");
        let (first, message) = match rejected.first() {
            Some((index, error)) => (*index, error.clone()),
            None => return Ok((StatusCode::OK, json!({ "accepted": accepted }))),
        };
        let list: Vec<Value> = rejected
            .iter()
            .map(|(index, error)| json!({ "index": index, "error": error }))
            .collect();
        match accepted {
            0 if invalid == total => {
                let message = format!("no record is valid; record {first}: {message}");
                Err(Refusal(StatusCode::BAD_REQUEST, "invalid_records", message))
            }
            0 => {
                let message = format!("Kafka took no record; try again later: {message}");
                Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, "kafka_unavailable", message))
            }
            _ => Ok((StatusCode::MULTI_STATUS, json!({ "accepted": accepted, "rejected": list }))),
        }
    }
}
