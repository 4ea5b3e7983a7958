//! Posts one request to the endpoint and says what came of it.

use std::{error::Error, sync::Arc, time::Duration};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{
    options::{Compression, OptionError, Options, Protocol},
    request::{self, Body, Pieces, Signal},
};

/// An answer longer than this is not read; OTLP answers are tiny.
const MAX_ANSWER: usize = 64 << 10;

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The endpoint has it, but for so many items it did not want.
    Done { rejected: u64 },
    /// It may go through later.
    Retry { after: Option<Duration>, cause: String },
    /// It will never go through.
    Refused { cause: String },
}

pub(super) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Full<Pieces>>,
    options: Options,
}

impl Transport {
    /// Sets up the client; certificates are read here, connections are made when needed.
    pub(super) fn new(options: &Options) -> Result<Self, OptionError> {
        let is_grpc = options.protocol == Protocol::Grpc;
        let is_tls = [Signal::Traces, Signal::Logs]
            .iter()
            .filter_map(|signal| signal.url(options).get(..6))
            .any(|scheme| scheme.eq_ignore_ascii_case("https:"));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(options.certificate.as_deref(), is_tls)?)
            .https_or_http();
        let connector = if is_grpc {
            connector.enable_http2().build()
        } else {
            connector.enable_http1().build()
        };
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .http2_only(is_grpc)
            // A connection that went silent is given up, not asked again and again.
            .http2_keep_alive_interval(Duration::from_secs(10))
            .http2_keep_alive_timeout(Duration::from_secs(5))
            .build(connector);
        Ok(Self { client, options: options.clone() })
    }

    /// Posts `body` once, within the configured timeout.
    pub(super) async fn post(&self, signal: Signal, body: Body) -> Delivery {
        let request = match self.request(signal, body) {
            Ok(request) => request,
            Err(error) => return Delivery::Refused { cause: error.to_string() },
        };
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| causes(&error))?;
            self.read(answer).await
        };
        match tokio::time::timeout(self.options.timeout, exchange).await {
            Ok(Ok(delivery)) => delivery,
            Ok(Err(cause)) => Delivery::Retry { after: None, cause },
            Err(_) => {
                let cause = format!("no answer within {} ms", self.options.timeout.as_millis());
                Delivery::Retry { after: None, cause }
            }
        }
    }

    fn request(&self, signal: Signal, body: Body) -> Result<Request<Full<Pieces>>, http::Error> {
        let is_gzip = self.options.compression == Compression::Gzip;
        let body = body.encoded(is_gzip);
        let mut request = Request::post(signal.url(&self.options));
        if let Some(headers) = request.headers_mut() {
            for (name, value) in &self.options.headers {
                headers.append(name, value.clone());
            }
            let agent = concat!("tracebaton/", env!("CARGO_PKG_VERSION"));
            headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
            let (content_type, encoding) = match self.options.protocol {
                Protocol::HttpProtobuf => ("application/x-protobuf", header::CONTENT_ENCODING),
                Protocol::Grpc => {
                    headers.insert(header::TE, HeaderValue::from_static("trailers"));
                    ("application/grpc", header::HeaderName::from_static("grpc-encoding"))
                }
            };
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            if is_gzip {
                headers.insert(encoding, HeaderValue::from_static("gzip"));
            }
        }
        let body = match self.options.protocol {
            Protocol::HttpProtobuf => body,
            Protocol::Grpc => {
                let frame = frame(body.remaining(), is_gzip);
                body.after(frame)
            }
        };
        request.body(Full::new(body))
    }

    async fn read(&self, answer: Response<Incoming>) -> Result<Delivery, String> {
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| error.source().map_or_else(|| error.to_string(), causes))?;
        let trailers = body.trailers().cloned();
        let body = body.to_bytes();
        Ok(match self.options.protocol {
            Protocol::HttpProtobuf => judge_http(head.status, &head.headers, &body),
            Protocol::Grpc => {
                judge_grpc(head.status, trailers.as_ref().unwrap_or(&head.headers), &body)
            }
        })
    }
}

/// Judges by the status (OTLP specification, "OTLP/HTTP Response", "Retryable Response Codes").
fn judge_http(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Delivery {
    if status.is_success() {
        return Delivery::Done { rejected: request::rejected(body) };
    }
    let cause = format!("the endpoint answered {status}");
    match status.as_u16() {
        429 | 502 | 503 | 504 => Delivery::Retry { after: retry_after(headers), cause },
        _ => Delivery::Refused { cause },
    }
}

/// Judges by the gRPC status (OTLP specification, "OTLP/gRPC Response", table of retryable codes).
fn judge_grpc(status: StatusCode, trailers: &HeaderMap, body: &[u8]) -> Delivery {
    let code = trailers.get("grpc-status").and_then(|code| code.to_str().ok()?.parse().ok());
    let code: u16 = match code {
        Some(code) => code,
        None if status.is_success() => {
            let cause = "the endpoint answered without a grpc-status".to_owned();
            return Delivery::Refused { cause };
        }
        None => return judge_http(status, trailers, &[]),
    };
    let cause = format!("the endpoint answered grpc-status {code}");
    match code {
        0 => Delivery::Done { rejected: body.get(5..).map_or(0, request::rejected) },
        1 | 4 | 10 | 11 | 14 | 15 => Delivery::Retry { after: None, cause },
        // Exhausted may mean for good, unless the server says when to come back: that is a
        // `RetryInfo` among the details.
        8 if trailers.contains_key("grpc-status-details-bin") => {
            Delivery::Retry { after: None, cause }
        }
        _ => Delivery::Refused { cause },
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Returns what stands before a message in gRPC: a compression flag and four bytes of length.
fn frame(length: usize, is_gzip: bool) -> Bytes {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    Bytes::copy_from_slice(&[u8::from(is_gzip), a, b, c, d])
}

/// Says an error with what caused it: hyper's own text is only "client error (Connect)".
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

fn tls(certificate: Option<&str>, is_used: bool) -> Result<ClientConfig, OptionError> {
    const KEY: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
    let mut roots = RootCertStore::empty();
    match certificate {
        Some(path) => {
            let wrong = |error: &dyn Error| OptionError::new(KEY, format!("{error}: {path}"));
            for read in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
                let read = read.map_err(|error| wrong(&error))?;
                roots.add(read).map_err(|error| wrong(&error))?;
            }
            if roots.is_empty() {
                return Err(OptionError::new(KEY, format!("holds no certificate: {path}")));
            }
        }
        // Reading the system's certificates takes its time.
        None if !is_used => {}
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| OptionError::new(KEY, error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
