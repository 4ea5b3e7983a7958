//! What the benchmarks read from and write to.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector};
use rdkafka::message::{BorrowedHeaders, Header, Headers, OwnedHeaders};

pub(crate) const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
pub(crate) const RANDOM_PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
pub(crate) const STATE: &str = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7";
pub(crate) const BAGGAGE: &str = "userId=alice,serverNode=DF28,isProduction=false";

/// Returns a request's headers: seven that everybody sends, and those of the trace.
pub(crate) fn http_headers(trace: &[(&'static str, &'static str)]) -> HeaderMap {
    let usual = [
        ("host", "shop.example:8080"),
        ("user-agent", "curl/8.5.0"),
        ("accept", "*/*"),
        ("accept-encoding", "gzip, deflate, br"),
        ("content-type", "application/json"),
        ("content-length", "321"),
        ("x-request-id", "7f0c2d1e"),
    ];
    let pair = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    usual.iter().chain(trace).map(pair).collect()
}

/// Returns a message's headers: four of the application, and those of the trace.
pub(crate) fn kafka_headers(trace: &[(&str, &str)]) -> OwnedHeaders {
    let usual = [("source", "shop"), ("schema", "7"), ("type", "order"), ("tenant", "acme")];
    usual.iter().chain(trace).fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(*value) })
    })
}

/// Kafka headers for OpenTelemetry, as its examples have them.
pub(crate) struct PeerExtractor<'a>(pub(crate) &'a BorrowedHeaders);

impl Extractor for PeerExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|header| header.key == key)?;
        std::str::from_utf8(found.value?).ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|header| header.key).collect()
    }
}

pub(crate) struct PeerInjector<'a>(pub(crate) &'a mut OwnedHeaders);

impl Injector for PeerInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        let header = Header { key, value: Some(&value) };
        *self.0 = std::mem::take(self.0).insert(header);
    }
}
