//! The URLs of an endpoint.

use http::Uri;

use super::{options::Protocol, request::Signal};

/// Returns the endpoint that is meant where none is named.
pub(super) const fn default(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::HttpProtobuf => "http://localhost:4318",
        Protocol::Grpc => "http://localhost:4317",
    }
}

/// Returns where a signal goes below `base`, which was checked (OpenTelemetry Protocol Exporter,
/// "Endpoint URLs for OTLP/HTTP"; for gRPC the path of the service).
pub(super) fn of_signal(base: &str, protocol: Protocol, signal: Signal) -> String {
    let path = match (protocol, signal) {
        (Protocol::HttpProtobuf, Signal::Traces) => "v1/traces",
        (Protocol::HttpProtobuf, Signal::Logs) => "v1/logs",
        (Protocol::Grpc, Signal::Traces) => {
            "opentelemetry.proto.collector.trace.v1.TraceService/Export"
        }
        (Protocol::Grpc, Signal::Logs) => {
            "opentelemetry.proto.collector.logs.v1.LogsService/Export"
        }
    };
    let (base, query) =
        base.split_once('?').map_or((base, None), |(base, query)| (base, Some(query)));
    let base = base.trim_end_matches('/');
    match query {
        Some(query) => format!("{base}/{path}?{query}"),
        None => format!("{base}/{path}"),
    }
}

/// Checks that a URL can be posted to; says what is wrong with it, and never a secret it holds.
pub(super) fn check(url: &str) -> Result<(), String> {
    let wrong = || format!("is not a URL that starts with http:// or https://: {url}");
    // Before anything is shown of it: what stands before an `@` may be a password.
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    if authority.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@')) {
        return Err("holds a user's name: credentials are for the headers".to_owned());
    }
    let uri = url.parse::<Uri>().map_err(|_| wrong())?;
    let Some(authority) = uri.authority() else { return Err(wrong()) };
    if !matches!(uri.scheme_str(), Some("http" | "https")) || authority.host().is_empty() {
        return Err(wrong());
    }
    // An empty port is the scheme's own (RFC 3986, section 6.2.3).
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    match port.strip_prefix(':') {
        None | Some("") => Ok(()),
        Some(port) if port.parse::<u16>().is_ok_and(|port| port > 0) => Ok(()),
        Some(port) => Err(format!("has no port that can be: {port}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_gets_the_path_of_each_signal() {
        let of = |base| of_signal(base, Protocol::HttpProtobuf, Signal::Traces);
        assert_eq!(of("https://a.example/base/"), "https://a.example/base/v1/traces");
        assert_eq!(of("http://a.example"), "http://a.example/v1/traces");
        assert_eq!(of("http://a.example/?key=1"), "http://a.example/v1/traces?key=1");
        assert_eq!(
            of_signal("http://a.example:4317", Protocol::Grpc, Signal::Logs),
            "http://a.example:4317/opentelemetry.proto.collector.logs.v1.LogsService/Export"
        );
    }

    #[test]
    fn only_what_can_be_posted_to_is_a_url() {
        for url in ["http://a", "https://a.example:4318/x?y=z", "http://[::1]:4318", "http://a:/"] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        for url in [
            "",
            "a:4318",
            "localhost",
            "ftp://a",
            "http://",
            "http://:80",
            "http://a b",
            "/v1/logs",
        ] {
            assert!(check(url).unwrap_err().starts_with("is not a URL"), "{url}");
        }
        for url in ["http://a:99999", "http://a:0", "http://a:-1", "http://a:x"] {
            assert!(check(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        for url in ["http://me:secret@a.example", "me:secret@a.example:4317", "ftp://secret@a"] {
            let message = check(url).unwrap_err();
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
