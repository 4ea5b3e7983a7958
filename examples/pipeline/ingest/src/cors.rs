//! Which pages of other origins may send records from a browser.

use anyhow::Context;
use http::{HeaderName, HeaderValue, Method, header::CONTENT_TYPE};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

/// What a page may send along: its records' type, and the trace it is in.
const HEADERS: [HeaderName; 5] = [
    CONTENT_TYPE,
    HeaderName::from_static("x-trace-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
];

/// Lets pages of these origins send records: a list separated by commas, or `*` for all.
pub(crate) fn layer(origins: &str) -> anyhow::Result<CorsLayer> {
    let cors = CorsLayer::new().allow_methods([Method::GET, Method::POST]).allow_headers(HEADERS);
    if origins.trim() == "*" {
        return Ok(cors.allow_origin(Any));
    }
    let names = origins.split(',').map(str::trim).filter(|name| !name.is_empty());
    let known: Result<Vec<HeaderValue>, _> = names
        .map(|name| match name {
            "*" => anyhow::bail!("ALLOWED_ORIGINS is `*`, or a list of origins without it"),
            name => name.parse().context("ALLOWED_ORIGINS is not a list of origins"),
        })
        .collect();
    Ok(cors.allow_origin(AllowOrigin::list(known?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_and_a_wrong_one_refused() {
        for origins in ["", "*", "https://a.example", "https://a.example, http://b.example:81"] {
            assert!(layer(origins).is_ok(), "{origins}");
        }
        assert!(layer("https://a.example,*").is_err());
        assert!(layer("https://a\0.example").is_err());
    }
}
