//! The baton itself, and what is known of how it was come by.

use std::{borrow::Cow, fmt, str::FromStr, time::SystemTime};

use crate::{
    error::ErrorKind,
    wire::{Baggage, LegacyId, TraceContext, TraceState},
};

/// What a request hands on.
///
/// It is cheap to clone: what came as text is shared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baton {
    /// Where it stands in its trace; nothing before the first hop has started one.
    pub context: Option<TraceContext>,
    /// What the vendors on the way have to say.
    pub tracestate: TraceState,
    /// Key and value pairs that travel along.
    pub baggage: Baggage,
    /// The id as the client wrote it, where that is not just the trace id.
    pub legacy: Option<LegacyId>,
    /// Whether every hop is asked to record the trace whatever its sampler says.
    pub is_debug: bool,
    /// Whether nobody has decided yet if the trace is sampled: the next hop does, as for a root.
    pub is_deferred: bool,
}

impl Baton {
    /// Tells whether there is nothing beside the context.
    #[cfg(feature = "otel")]
    pub(crate) fn is_plain(&self) -> bool {
        let Self { context: _, tracestate, baggage, legacy, is_debug, is_deferred } = self;
        tracestate.is_empty() && baggage.is_empty() && legacy.is_none() && !is_debug && !is_deferred
    }

    /// Returns the id as the client wrote it, where that is not just the trace id.
    #[must_use]
    pub fn legacy_text(&self) -> Option<&str> {
        self.legacy.as_ref().map(LegacyId::text)
    }

    /// Returns the id by which the client knows the trace: its own text, or else the trace id.
    #[must_use]
    pub fn id_text(&self) -> Option<Cow<'_, str>> {
        let own = self.legacy_text().map(Cow::Borrowed);
        own.or_else(|| self.context.map(|context| context.trace_id.to_string().into()))
    }
}

/// A way in which batons are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `traceparent` and `tracestate`.
    TraceContext,
    /// `baggage`.
    Baggage,
    /// `X-Trace-Id` or `trace_id`, `X-Span-Id`, `X-Baggage-*`.
    Legacy,
    /// `b3`, and `X-B3-*` where there is none; written as `b3`.
    B3,
    /// `X-B3-*`.
    B3Multi,
    /// `uber-trace-id` and `uberctx-*`.
    Jaeger,
    /// `X-Amzn-Trace-Id`.
    XRay,
    /// `X-Cloud-Trace-Context`.
    Gcp,
    /// `x-datadog-*`.
    Datadog,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 9] = [
        Self::TraceContext,
        Self::Baggage,
        Self::Legacy,
        Self::B3,
        Self::B3Multi,
        Self::Jaeger,
        Self::XRay,
        Self::Gcp,
        Self::Datadog,
    ];

    /// Returns the name that configuration uses, the same as in `OTEL_PROPAGATORS`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TraceContext => "tracecontext",
            Self::Baggage => "baggage",
            Self::Legacy => "legacy",
            Self::B3 => "b3",
            Self::B3Multi => "b3multi",
            Self::Jaeger => "jaeger",
            Self::XRay => "xray",
            Self::Gcp => "gcp",
            Self::Datadog => "datadog",
        }
    }
}

/// A name that is no format's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFormat(String);

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Format::ALL.map(Format::as_str).join(", ");
        write!(f, "no such format (there are {known}): {}", self.0)
    }
}

impl std::error::Error for UnknownFormat {}

impl FromStr for Format {
    type Err = UnknownFormat;

    /// Reads a format's name; those of the W3C may start with `w3c-`.
    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let bare = name.strip_prefix("w3c-").unwrap_or(name);
        let known = Self::ALL.into_iter().find(|format| format.as_str() == bare);
        known.ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// The place a baton was found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Among the headers.
    Headers,
    /// Inside the payload.
    Payload,
    /// In the metadata of a job or message.
    Metadata,
}

impl Place {
    /// Returns the name that every language uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::Payload => "payload",
            Self::Metadata => "metadata",
        }
    }
}

/// Where a trace id came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The place.
    pub place: Place,
    /// The format.
    pub format: Format,
    /// The header's name or the payload's path.
    pub name: Cow<'static, str>,
    /// Whether it is carried on.
    pub is_trusted: bool,
}

/// Something a peer sent that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The header's name or the payload's path.
    pub name: Cow<'static, str>,
    /// Why.
    pub kind: ErrorKind,
}

/// What was found in headers, a payload or metadata.
#[derive(Clone, Debug)]
pub struct Extracted {
    /// What is carried on; without a context where nothing was found, or nothing is trusted.
    pub baton: Baton,
    /// Where the trace id came from.
    pub source: Option<Source>,
    /// A context that is not carried on but is to be linked to.
    pub linked: Option<TraceContext>,
    /// What was not taken, and why.
    pub refused: Vec<Refusal>,
    /// When this was read.
    pub extraction_time: SystemTime,
}

impl Extracted {
    /// Nothing was found at this time.
    pub(super) fn at(extraction_time: SystemTime) -> Self {
        Self {
            baton: Baton::default(),
            source: None,
            linked: None,
            refused: Vec::new(),
            extraction_time,
        }
    }
}

impl Default for Extracted {
    fn default() -> Self {
        Self::at(SystemTime::now())
    }
}
