//! Where to export to and how, as plain values.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::{error::OptionError, host::SpanHost, patience, request::Signal, url};

/// As long as anything is waited for: some weeks.
pub(super) const LONGEST: Duration = Duration::from_millis(u32::MAX as u64);

/// How requests are put on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Protobuf over HTTP/1.1.
    #[default]
    HttpProtobuf,
    /// gRPC over HTTP/2.
    Grpc,
}

/// How request bodies are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// By gzip.
    Gzip,
}

/// The files, all PEM, that an `https` endpoint and we know each other by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates to trust instead of the system's.
    pub certificate: Option<String>,
    /// Our own certificate, and those between it and one that the endpoint trusts.
    pub client_certificate: Option<String>,
    /// The private key of our own certificate.
    pub client_key: Option<String>,
}

/// Where one signal goes, and how.
///
/// # Examples
///
/// ```
/// use tracebaton::otlp::{Endpoint, Options, Protocol};
///
/// let Options { traces, .. } = Options::to("https://otel.example/base", Protocol::HttpProtobuf)?;
/// assert_eq!(traces.unwrap().url, "https://otel.example/base/v1/traces");
/// # Ok::<(), tracebaton::otlp::OptionError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where requests go, path included.
    pub url: String,
    /// How requests are put on the wire.
    pub protocol: Protocol,
    /// Headers of every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long one request may take; zero is as long as it wants.
    pub timeout: Duration,
    /// How bodies are compressed.
    pub compression: Compression,
    /// What is needed of TLS.
    pub tls: Tls,
}

impl Endpoint {
    /// Returns what is so where nobody says otherwise.
    pub(super) fn new(protocol: Protocol, url: String) -> Self {
        Self {
            url,
            protocol,
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            compression: Compression::None,
            tls: Tls::default(),
        }
    }
}

/// What an [`Exporter`](super::Exporter) needs to know.
///
/// # Examples
///
/// ```
/// use tracebaton::otlp::Options;
///
/// let options = Options { service_name: Some("billing".into()), ..Options::default() };
/// assert_eq!(options.traces.unwrap().url, "http://localhost:4318/v1/traces");
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether nothing is to be exported at all.
    pub is_disabled: bool,
    /// The service; `unknown_service` where nobody says.
    pub service_name: Option<String>,
    /// The language the application is written in: `rust`, `python` or `nodejs`.
    pub language: &'static str,
    /// More attributes of the resource.
    pub resource: Vec<(String, String)>,
    /// Where spans go, if anywhere.
    pub traces: Option<Endpoint>,
    /// Where log records and ledger events go, if anywhere.
    pub logs: Option<Endpoint>,
    /// The share of new traces whose spans are kept, if the recorder is to be told.
    pub sample_rate: Option<f64>,
    /// How long telemetry waits for company before it is sent.
    pub interval: Duration,
    /// How long a request is tried, at least, that its endpoint fails on while it takes others; then it is
    /// given up. An endpoint that fails on all is tried without end.
    pub patience: Duration,
    /// How many bytes of telemetry may be held.
    pub limit_bytes: usize,
    /// Who takes the spans instead of their endpoint, for instance the host's own SDK.
    pub span_host: Option<SpanHost>,
    /// Whether to say on stderr that the endpoint is out of reach, and when it is back.
    pub is_quiet: bool,
    /// What was left out because it cannot be used; said on stderr when the export starts.
    pub warnings: Vec<OptionError>,
}

impl Default for Options {
    fn default() -> Self {
        let endpoint = |signal| {
            let protocol = Protocol::default();
            Some(Endpoint::new(protocol, url::of_signal(url::default(protocol), protocol, signal)))
        };
        Self {
            is_disabled: false,
            service_name: None,
            language: "rust",
            resource: Vec::new(),
            traces: endpoint(Signal::Traces),
            logs: endpoint(Signal::Logs),
            sample_rate: None,
            interval: Duration::from_millis(500),
            patience: patience::USUAL,
            limit_bytes: 64 << 20,
            span_host: None,
            is_quiet: false,
            warnings: Vec::new(),
        }
    }
}

impl Options {
    /// Returns options that send everything to one endpoint, at the paths that OTLP has for it.
    ///
    /// # Errors
    ///
    /// Returns an [`OptionError`] where `base` is no URL that can be posted to.
    pub fn to(base: &str, protocol: Protocol) -> Result<Self, OptionError> {
        url::check(base).map_err(|message| OptionError::new("base", message))?;
        let endpoint =
            |signal| Some(Endpoint::new(protocol, url::of_signal(base, protocol, signal)));
        Ok(Self {
            traces: endpoint(Signal::Traces),
            logs: endpoint(Signal::Logs),
            ..Self::default()
        })
    }

    /// Returns the endpoints there are, to change them all alike.
    ///
    /// # Examples
    ///
    /// ```
    /// use tracebaton::otlp::{Compression, Options};
    ///
    /// let mut options = Options::default();
    /// options.endpoints().for_each(|endpoint| endpoint.compression = Compression::Gzip);
    /// assert_eq!(options.logs.unwrap().compression, Compression::Gzip);
    /// ```
    pub fn endpoints(&mut self) -> impl Iterator<Item = &mut Endpoint> {
        self.traces.iter_mut().chain(&mut self.logs)
    }

    pub(super) fn endpoint(&self, signal: Signal) -> Option<&Endpoint> {
        match signal {
            Signal::Traces => self.traces.as_ref(),
            Signal::Logs => self.logs.as_ref(),
        }
    }
}
