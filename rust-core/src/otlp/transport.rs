//! Posts requests to one endpoint, a connection at a time.

use std::{error::Error, io, iter, time::Duration};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::{Instant, timeout_at};

use super::{
    answer::{Answer, Delivery, End},
    error::OptionError,
    options::{Compression, Endpoint, LONGEST, Protocol},
    request::{Body, Pieces},
    tls, url,
};

/// How much of an answer is read (OTLP specification, "OTLP/HTTP Response").
const MAX_ANSWER: usize = 4 << 20;
/// How long the head of an answer may be, and how much is read at once: heads that only announce
/// another one are gone through without a break.
const MAX_HEAD: usize = 32 << 10;
/// Of a failure only a few words are wanted, and not for long.
const MAX_FAILURE: usize = 16 << 10;
const FAILURE_TIME: Duration = Duration::from_secs(1);

pub(super) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Full<Pieces>>,
    uri: Uri,
    headers: HeaderMap,
    endpoint: Endpoint,
}

impl Transport {
    /// Sets up the client; certificates are read here, connections are made when needed.
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, OptionError> {
        let wrong = |message| OptionError::new("url", message);
        url::check(&endpoint.url).map_err(wrong)?;
        let mut endpoint = endpoint.clone();
        if endpoint.timeout.is_zero() || endpoint.timeout > LONGEST {
            endpoint.timeout = LONGEST;
        }
        let uri: Uri = endpoint.url.parse().map_err(|_| wrong("is not a URL".to_owned()))?;
        let is_grpc = endpoint.protocol == Protocol::Grpc;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // A name may stand for several addresses: the first must not take all the time there is.
        tcp.set_connect_timeout(Some(endpoint.timeout / 2));
        let is_tls = uri.scheme_str() == Some("https");
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::config(&endpoint.tls, is_tls).map_err(tls::Wrong::into_error)?)
            .https_or_http();
        let connector = if is_grpc {
            connector.enable_http2().wrap_connector(tcp)
        } else {
            connector.enable_http1().wrap_connector(tcp)
        };
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .http2_only(is_grpc)
            .http1_max_buf_size(MAX_HEAD)
            // A connection that went silent is given up, not asked again and again.
            .http2_keep_alive_interval(Duration::from_secs(10))
            .http2_keep_alive_timeout(Duration::from_secs(5))
            .build(connector);
        Ok(Self { client, uri, headers: headers(&endpoint), endpoint })
    }

    /// Returns where requests go.
    pub(super) fn url(&self) -> &str {
        &self.endpoint.url
    }

    /// Tells whether bodies are sent packed.
    pub(super) fn is_gzip(&self) -> bool {
        self.endpoint.compression == Compression::Gzip
    }

    /// Posts `body` once, within the configured timeout.
    pub(super) async fn post(&self, body: Body) -> Delivery {
        let until = Instant::now() + self.endpoint.timeout;
        let mut request = self.request(body);
        let connection = capture_connection(&mut request);
        let (head, body) = match timeout_at(until, self.client.request(request)).await {
            Ok(Ok(answer)) => answer.into_parts(),
            Ok(Err(error)) => {
                let cause = format!("{}{}", causes(&error), self.hint(&error));
                return Delivery::Retry { after: None, cause };
            }
            Err(_) => {
                // It may lead to a machine that is gone; another one may have its name by now.
                if let Some(connection) = &*connection.connection_metadata() {
                    connection.poison();
                }
                return Delivery::Retry { after: None, cause: self.too_late() };
            }
        };
        let answer = Answer {
            status: head.status,
            headers: head.headers,
            body: Vec::new(),
            trailers: HeaderMap::new(),
            end: End::Whole,
        };
        let answer = if answer.status.is_success() {
            self.read(answer, body, MAX_ANSWER, until).await
        } else {
            let until = until.min(Instant::now() + FAILURE_TIME);
            self.read(answer, body, MAX_FAILURE, until).await
        };
        match self.endpoint.protocol {
            Protocol::HttpProtobuf => answer.over_http(),
            Protocol::Grpc => answer.over_grpc(),
        }
    }

    fn request(&self, body: Body) -> Request<Full<Pieces>> {
        let is_gzip = self.is_gzip();
        let body = body.encoded(is_gzip);
        let body = match self.endpoint.protocol {
            Protocol::HttpProtobuf => body,
            Protocol::Grpc => {
                let frame = frame(body.remaining(), is_gzip);
                body.after(frame)
            }
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// Reads a body until its end, its limit or its time has come.
    async fn read(
        &self,
        mut answer: Answer,
        mut body: Incoming,
        limit: usize,
        until: Instant,
    ) -> Answer {
        answer.end = loop {
            let frame = match timeout_at(until, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => break End::Cut(causes(&error)),
                Ok(None) => break End::Whole,
                Err(_) => break End::Cut(self.too_late()),
            };
            match frame.into_data() {
                Ok(data) if answer.body.len() + data.len() > limit => break End::TooLong,
                Ok(data) => answer.body.extend_from_slice(&data),
                Err(frame) => answer.trailers = frame.into_trailers().unwrap_or_default(),
            }
        };
        answer
    }

    /// Says what is mostly wrong where the other side does not speak what it is spoken to.
    fn hint<'a>(&self, error: &'a (dyn Error + 'static)) -> &'static str {
        let source = |error: &&'a (dyn Error + 'static)| (*error).source();
        let mut chain = iter::successors(Some(error), source);
        if chain.clone().any(is_no_tls) {
            "; TLS is not spoken there: is its URL one of http?"
        } else if self.endpoint.protocol == Protocol::HttpProtobuf && chain.any(is_no_http) {
            "; HTTP/1 is not spoken there: is that the port of gRPC (OTEL_EXPORTER_OTLP_PROTOCOL=grpc)?"
        } else {
            ""
        }
    }

    fn too_late(&self) -> String {
        format!("no answer within {} ms", self.endpoint.timeout.as_millis())
    }
}

/// Returns the headers that every request has.
fn headers(endpoint: &Endpoint) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &endpoint.headers {
        headers.append(name, value.clone());
    }
    let agent = concat!("tracebaton/", env!("CARGO_PKG_VERSION"), " (Rust)");
    headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    let (content_type, encoding) = match endpoint.protocol {
        Protocol::HttpProtobuf => ("application/x-protobuf", header::CONTENT_ENCODING),
        Protocol::Grpc => {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
            ("application/grpc", HeaderName::from_static("grpc-encoding"))
        }
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if endpoint.compression == Compression::Gzip {
        headers.insert(encoding, HeaderValue::from_static("gzip"));
    }
    headers
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

/// Tells whether an error is that what came was no HTTP/1.
fn is_no_http(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
}

/// Tells whether an error is that what came was not TLS.
fn is_no_tls(error: &(dyn Error + 'static)) -> bool {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => is_no_tls(inner),
        None => matches!(
            error.downcast_ref(),
            Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType))
        ),
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::{
        hop::{Counts, Recorder},
        otlp::request::Shipment,
    };

    /// Returns what is said of an endpoint that answers so.
    async fn said(scheme: &str, answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            stream.write_all(answer).await.unwrap();
        });
        let transport = Transport::new(&Endpoint::new(Protocol::HttpProtobuf, url)).unwrap();
        let shipment = Shipment::new(&[], Vec::new(), Counts::default(), &Recorder::new());
        match transport.post(shipment.body()).await {
            Delivery::Retry { cause, .. } => cause,
            _ => panic!("it was taken"),
        }
    }

    #[tokio::test]
    async fn an_endpoint_that_speaks_something_else_is_told_with_what_to_do() {
        // What a server of HTTP/2 begins with: its settings.
        let settings = said("http", b"\0\0\0\x04\0\0\0\0\0").await;
        assert!(settings.contains("OTEL_EXPORTER_OTLP_PROTOCOL=grpc"), "{settings}");
        let plain = said("https", b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        assert!(plain.contains("is its URL one of http?"), "{plain}");
        let gone = said("http", b"").await;
        assert!(!gone.contains('?'), "{gone}");
    }
}
