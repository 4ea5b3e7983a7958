//! Where to export to and how, from code or from the standard environment variables.

use std::{env, fmt, time::Duration};

use http::{HeaderName, HeaderValue, Uri};

use super::host::SpanHost;

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

/// A setting that cannot be used, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionError {
    key: &'static str,
    message: String,
}

impl OptionError {
    pub(super) fn new(key: &'static str, message: impl Into<String>) -> Self {
        Self { key, message: message.into() }
    }

    /// Returns the name of the setting.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.key
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

impl std::error::Error for OptionError {}

/// What an [`Exporter`](super::Exporter) needs to know.
///
/// # Examples
///
/// ```
/// use tracebaton::otlp::Options;
///
/// let options = Options { service_name: Some("billing".into()), ..Options::default() };
/// assert_eq!(options.traces_url, "http://localhost:4318/v1/traces");
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
    /// How requests are put on the wire.
    pub protocol: Protocol,
    /// Where spans go, path included.
    pub traces_url: String,
    /// Where log records and ledger events go, path included.
    pub logs_url: String,
    /// Headers of every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How bodies are compressed.
    pub compression: Compression,
    /// How long telemetry waits for company before it is sent.
    pub interval: Duration,
    /// How many bytes of telemetry may be held.
    pub limit_bytes: usize,
    /// A file of certificates to trust instead of the system's.
    pub certificate: Option<String>,
    /// Who takes the spans instead of the endpoint, for instance the host's own SDK.
    pub span_host: Option<SpanHost>,
    /// Whether to say on stderr that the endpoint is out of reach, and when it is back.
    pub is_quiet: bool,
}

const TRACES_PATH: &str = "/v1/traces";
const LOGS_PATH: &str = "/v1/logs";
const GRPC_TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const GRPC_LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

impl Default for Options {
    fn default() -> Self {
        Self {
            is_disabled: false,
            service_name: None,
            language: "rust",
            resource: Vec::new(),
            protocol: Protocol::HttpProtobuf,
            traces_url: format!("http://localhost:4318{TRACES_PATH}"),
            logs_url: format!("http://localhost:4318{LOGS_PATH}"),
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            compression: Compression::None,
            interval: Duration::from_millis(500),
            limit_bytes: 64 << 20,
            certificate: None,
            span_host: None,
            is_quiet: false,
        }
    }
}

impl Options {
    /// Reads the standard variables (OpenTelemetry, "Environment Variable Specification" and
    /// "OpenTelemetry Protocol Exporter").
    ///
    /// Understood are `OTEL_SDK_DISABLED`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`,
    /// `OTEL_EXPORTER_OTLP_` `ENDPOINT`, `TRACES_ENDPOINT`, `LOGS_ENDPOINT`, `PROTOCOL`, `HEADERS`,
    /// `TIMEOUT` (milliseconds), `COMPRESSION`, `CERTIFICATE`, `OTEL_BSP_SCHEDULE_DELAY`
    /// (milliseconds), `OTEL_LOG_LEVEL` (`none` keeps stderr silent), and
    /// `TRACEBATON_BUFFER_BYTES`.
    ///
    /// # Errors
    ///
    /// Returns an [`OptionError`] that names the variable whose value cannot be used.
    pub fn from_env() -> Result<Self, OptionError> {
        // An empty value is the same as none (same specification, "Parsing empty value").
        Self::read(|key| env::var(key).ok().filter(|value| !value.is_empty()))
    }

    fn read(get: impl Fn(&'static str) -> Option<String>) -> Result<Self, OptionError> {
        let mut options = Self {
            is_disabled: get("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true")),
            service_name: get("OTEL_SERVICE_NAME"),
            certificate: get("OTEL_EXPORTER_OTLP_CERTIFICATE"),
            is_quiet: get("OTEL_LOG_LEVEL")
                .is_some_and(|level| matches!(&*level.to_ascii_lowercase(), "none" | "off")),
            ..Self::default()
        };
        if let Some(list) = get("OTEL_RESOURCE_ATTRIBUTES") {
            options.resource = pairs("OTEL_RESOURCE_ATTRIBUTES", &list)?;
        }
        if let Some(name) = get("OTEL_EXPORTER_OTLP_PROTOCOL") {
            options.protocol = match &*name {
                "http/protobuf" => Protocol::HttpProtobuf,
                "grpc" => Protocol::Grpc,
                _ => {
                    let message = format!("is neither http/protobuf nor grpc: {name}");
                    return Err(OptionError::new("OTEL_EXPORTER_OTLP_PROTOCOL", message));
                }
            };
        }
        if let Some(name) = get("OTEL_EXPORTER_OTLP_COMPRESSION") {
            options.compression = match &*name {
                "none" => Compression::None,
                "gzip" => Compression::Gzip,
                _ => {
                    let message = format!("is neither gzip nor none: {name}");
                    return Err(OptionError::new("OTEL_EXPORTER_OTLP_COMPRESSION", message));
                }
            };
        }
        options.read_urls(&get)?;
        if let Some(list) = get("OTEL_EXPORTER_OTLP_HEADERS") {
            for (name, value) in pairs("OTEL_EXPORTER_OTLP_HEADERS", &list)? {
                let header = name.parse::<HeaderName>().ok().zip(value.parse::<HeaderValue>().ok());
                let Some(header) = header else {
                    let message = format!("is not a header: {name}");
                    return Err(OptionError::new("OTEL_EXPORTER_OTLP_HEADERS", message));
                };
                options.headers.push(header);
            }
        }
        if let Some(timeout) = number(&get, "OTEL_EXPORTER_OTLP_TIMEOUT")? {
            options.timeout = Duration::from_millis(timeout);
        }
        if let Some(delay) = number(&get, "OTEL_BSP_SCHEDULE_DELAY")? {
            options.interval = Duration::from_millis(delay.max(1));
        }
        if let Some(bytes) = number(&get, "TRACEBATON_BUFFER_BYTES")? {
            options.limit_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        }
        Ok(options)
    }

    fn read_urls(
        &mut self,
        get: &impl Fn(&'static str) -> Option<String>,
    ) -> Result<(), OptionError> {
        let (port, traces, logs) = match self.protocol {
            Protocol::HttpProtobuf => (4318, TRACES_PATH, LOGS_PATH),
            Protocol::Grpc => (4317, GRPC_TRACES, GRPC_LOGS),
        };
        let base = match get("OTEL_EXPORTER_OTLP_ENDPOINT") {
            Some(base) => checked("OTEL_EXPORTER_OTLP_ENDPOINT", base)?,
            None => format!("http://localhost:{port}"),
        };
        let base = base.trim_end_matches('/');
        self.traces_url = format!("{base}{traces}");
        self.logs_url = format!("{base}{logs}");
        // A signal's own endpoint is used as it is; gRPC has a fixed path all the same.
        let own = |key: &'static str, path: &str| match get(key) {
            Some(url) if self.protocol == Protocol::Grpc => {
                checked(key, url).map(|url| Some(format!("{}{path}", url.trim_end_matches('/'))))
            }
            Some(url) => checked(key, url).map(Some),
            None => Ok(None),
        };
        if let Some(url) = own("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", traces)? {
            self.traces_url = url;
        }
        if let Some(url) = own("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", logs)? {
            self.logs_url = url;
        }
        Ok(())
    }
}

fn checked(key: &'static str, url: String) -> Result<String, OptionError> {
    let is_usable = url.parse::<Uri>().is_ok_and(|uri| {
        uri.authority().is_some() && matches!(uri.scheme_str(), Some("http" | "https"))
    });
    if is_usable {
        Ok(url)
    } else {
        let message = format!("is not a URL that starts with http:// or https://: {url}");
        Err(OptionError::new(key, message))
    }
}

fn number(
    get: &impl Fn(&'static str) -> Option<String>,
    key: &'static str,
) -> Result<Option<u64>, OptionError> {
    let Some(text) = get(key) else { return Ok(None) };
    let number = text
        .parse()
        .map_err(|_| OptionError::new(key, format!("is not a whole number: {text}")))?;
    Ok(Some(number))
}

/// Reads `key=value,key=value` with percent-encoded values (W3C Baggage without properties).
fn pairs(key: &'static str, list: &str) -> Result<Vec<(String, String)>, OptionError> {
    let members = list.split(',').map(str::trim).filter(|member| !member.is_empty());
    let read = members.map(|member| {
        // The member itself stays out of the message: headers hold secrets.
        let (name, value) = member
            .split_once('=')
            .ok_or_else(|| OptionError::new(key, "has a member without `=`"))?;
        Ok((name.trim().to_owned(), percent_decoded(value.trim())))
    });
    read.collect()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%')
            .then(|| after.split_at_checked(2))
            .flatten()
            .and_then(|(hex, after)| Some((std::str::from_utf8(hex).ok()?, after)))
            .filter(|(hex, _)| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|(hex, after)| Some((u8::from_str_radix(hex, 16).ok()?, after)));
        let (byte, after) = escaped.unwrap_or((first, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> Result<Options, OptionError> {
        Options::read(|key| {
            vars.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_endpoint_is_a_base_for_both_signals() {
        let options = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://otel.example/base/")]);
        let options = options.unwrap();
        assert_eq!(options.traces_url, "https://otel.example/base/v1/traces");
        assert_eq!(options.logs_url, "https://otel.example/base/v1/logs");
    }

    #[test]
    fn a_signals_own_endpoint_is_used_as_it_is() {
        let options = read(&[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://a.example/x")]).unwrap();
        assert_eq!(options.logs_url, "http://a.example/x");
        assert_eq!(options.traces_url, "http://localhost:4318/v1/traces");
    }

    #[test]
    fn grpc_has_its_own_port_and_paths() {
        let options = read(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap();
        assert!(options.logs_url.starts_with("http://localhost:4317/opentelemetry.proto"));
    }

    #[test]
    fn wrong_values_name_their_variable() {
        for (key, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "no-equals-sign"),
        ] {
            assert_eq!(read(&[(key, value)]).unwrap_err().key(), key);
        }
    }

    #[test]
    fn resource_attributes_are_percent_decoded() {
        let options = read(&[("OTEL_RESOURCE_ATTRIBUTES", "a=1%2C2, b=%zz,")]).unwrap();
        assert_eq!(options.resource, [("a".into(), "1,2".into()), ("b".into(), "%zz".into())]);
    }
}
