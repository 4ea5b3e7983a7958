//! One request: route, checks, records to Kafka, an answer that says what became of each.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use rdkafka::{producer::FutureProducer, types::RDKafkaErrorCode};
use serde_json::{Value, json};
use tracebaton::{
    Propagation,
    hop::{Fates, Hop},
    kafka::{Record, SendError, send_all},
};

use crate::{body, media, records};

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
        if status == StatusCode::METHOD_NOT_ALLOWED {
            // RFC 9110, 15.5.6: it says what is allowed.
            response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("POST"));
        }
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
        media::check(request.headers()).map_err(|message| {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            Refusal(status, "unsupported_media_type", message.to_owned())
        })?;
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
            let error = result.as_ref().err()?;
            let kind = if is_too_large(error) { "record_too_large: " } else { "" };
            Some((index, format!("{kind}{error}")))
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
        if accepted > 0 {
            return Ok((
                StatusCode::MULTI_STATUS,
                json!({ "accepted": accepted, "rejected": list }),
            ));
        }
        let errors: Vec<&SendError> =
            sent.iter().filter_map(|result| result.as_ref().err()).collect();
        let (status, error, why) = nothing_taken(invalid, &errors);
        Err(Refusal(status, error, format!("{why}; record {first}: {message}")))
    }
}

fn is_too_large(error: &SendError) -> bool {
    error.code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}

/// Tells the client what to do about a request of which no record was taken.
fn nothing_taken(
    invalid: usize,
    errors: &[&SendError],
) -> (StatusCode, &'static str, &'static str) {
    if errors.iter().any(|error| error.is_retryable()) {
        let why = "Kafka took no record, try again later";
        return (StatusCode::SERVICE_UNAVAILABLE, "kafka_unavailable", why);
    }
    if invalid > 0 {
        return (StatusCode::BAD_REQUEST, "invalid_records", "no record is valid");
    }
    if errors.iter().all(|error| is_too_large(error)) {
        let why = "no record is small enough for Kafka";
        return (StatusCode::PAYLOAD_TOO_LARGE, "record_too_large", why);
    }
    (StatusCode::INTERNAL_SERVER_ERROR, "kafka_refused", "Kafka takes no record of this service")
}
