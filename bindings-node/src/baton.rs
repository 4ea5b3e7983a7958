//! Batons and what is known of how they were come by.

use std::time::UNIX_EPOCH;

use napi::{Error, Status};
use napi_derive::napi;
use tracebaton::propagate;

/// Makes the error for a value that a programmer got wrong.
pub(crate) fn wrong(message: &str) -> Error {
    Error::new(Status::InvalidArg, message)
}

/// What a request hands on.
#[napi]
pub struct Baton(pub(crate) propagate::Baton);

/// A pair of W3C Baggage.
#[napi(object)]
pub struct BaggageEntry {
    /// The key.
    pub key: String,
    /// The value, decoded.
    pub value: String,
    /// The properties as they came.
    pub properties: Option<String>,
}

#[napi]
impl Baton {
    /// The trace id: 32 lower-case hexadecimal digits.
    #[napi(getter)]
    pub fn trace_id(&self) -> Option<String> {
        self.0.context.map(|context| context.trace_id.to_string())
    }

    /// The span that comes before: 16 lower-case hexadecimal digits.
    #[napi(getter)]
    pub fn span_id(&self) -> Option<String> {
        self.0.context.and_then(|context| context.span_id).map(|id| id.to_string())
    }

    /// The trace flags.
    #[napi(getter)]
    pub fn flags(&self) -> Option<u32> {
        self.0.context.map(|context| u32::from(context.flags.bits()))
    }

    /// The `tracestate` list, empty when there is none.
    #[napi(getter)]
    pub fn tracestate(&self) -> String {
        self.0.tracestate.to_string()
    }

    /// The baggage.
    #[napi(getter)]
    pub fn baggage(&self) -> Vec<BaggageEntry> {
        let entries = self.0.baggage.entries().iter().cloned();
        entries
            .map(|entry| BaggageEntry {
                key: entry.key,
                value: entry.value,
                properties: entry.properties,
            })
            .collect()
    }

    /// The id as the client wrote it, where that is not just the trace id.
    #[napi(getter)]
    pub fn legacy_id(&self) -> Option<String> {
        self.0.legacy_text().map(str::to_owned)
    }

    /// Whether there is anything to hand on.
    #[napi(getter)]
    pub fn is_anything(&self) -> bool {
        self.0.context.is_some() || !self.0.baggage.is_empty()
    }

    /// The `traceparent` value; none while there is no span id.
    #[napi(getter)]
    pub fn traceparent(&self) -> Option<String> {
        self.0.context.and_then(|context| context.to_traceparent())
    }

    /// Whether every hop is asked to record the trace.
    #[napi(getter)]
    pub fn is_debug(&self) -> bool {
        self.0.is_debug
    }

    /// Whether nobody has decided yet if the trace is sampled.
    #[napi(getter)]
    pub fn is_deferred(&self) -> bool {
        self.0.is_deferred
    }
}

/// Where a trace id came from.
#[napi(object)]
pub struct Source {
    /// `headers`, `payload` or `metadata`.
    pub place: String,
    /// The format's name.
    pub format: String,
    /// The header's name or the payload's path.
    pub name: String,
    /// Whether it is carried on.
    pub is_trusted: bool,
}

/// Something a peer sent that was not taken.
#[napi(object)]
pub struct Refusal {
    /// The header's name or the payload's path.
    pub name: String,
    /// Why, for instance `zero_id`.
    pub kind: String,
}

/// What was found in headers, a payload or metadata.
#[napi]
pub struct Extracted(pub(crate) propagate::Extracted);

#[napi]
impl Extracted {
    /// What is carried on.
    #[napi(getter)]
    pub fn baton(&self) -> Baton {
        Baton(self.0.baton.clone())
    }

    /// Where the trace id came from.
    #[napi(getter)]
    pub fn source(&self) -> Option<Source> {
        self.0.source.as_ref().map(|source| Source {
            place: source.place.as_str().to_owned(),
            format: source.format.as_str().to_owned(),
            name: source.name.to_string(),
            is_trusted: source.is_trusted,
        })
    }

    /// What was not taken, and why.
    #[napi(getter)]
    pub fn refused(&self) -> Vec<Refusal> {
        let refusal = |refusal: &propagate::Refusal| Refusal {
            name: refusal.name.to_string(),
            kind: refusal.kind.as_str().to_owned(),
        };
        self.0.refused.iter().map(refusal).collect()
    }

    /// When this was read, in milliseconds since 1970.
    #[napi(getter)]
    pub fn extraction_time_ms(&self) -> f64 {
        let since = self.0.extraction_time.duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_secs_f64() * 1000.0
    }
}
