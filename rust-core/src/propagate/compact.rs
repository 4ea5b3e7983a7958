//! What was found in headers, in little room.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::baton::{Baton, Extracted, Format, Place, Source};
use crate::wire::TraceContext;

/// What [`Propagation::extract_compact`](super::Propagation::extract_compact) found.
///
/// Nearly every message has a `traceparent` that is right, and nothing beside it: then that is all that
/// is kept, and the rest is made when somebody asks for it.
#[derive(Clone, Debug)]
pub struct Compact(Kept);

#[derive(Clone, Debug)]
enum Kept {
    Parent { context: TraceContext, place: Place, nanos: u64 },
    Whole(Box<Extracted>),
}

impl Compact {
    /// A `traceparent` was found, and nothing else, at this time since 1970.
    #[inline]
    pub(super) fn parent(context: TraceContext, place: Place, nanos: u64) -> Self {
        Self(Kept::Parent { context, place, nanos })
    }

    /// Returns where the trace stands, if one was found that is carried on.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        match &self.0 {
            Kept::Parent { context, .. } => Some(*context),
            Kept::Whole(extracted) => extracted.baton.context,
        }
    }

    /// Returns a context that is not carried on but is to be linked to.
    #[must_use]
    pub fn linked(&self) -> Option<TraceContext> {
        match &self.0 {
            Kept::Parent { .. } => None,
            Kept::Whole(extracted) => extracted.linked,
        }
    }

    /// Returns the id as the client wrote it, where that is not just the trace id.
    #[must_use]
    pub fn legacy_text(&self) -> Option<&str> {
        match &self.0 {
            Kept::Parent { .. } => None,
            Kept::Whole(extracted) => extracted.baton.legacy_text(),
        }
    }

    /// Returns what is carried on.
    #[must_use]
    pub fn baton(&self) -> Cow<'_, Baton> {
        match &self.0 {
            Kept::Parent { context, .. } => {
                Cow::Owned(Baton { context: Some(*context), ..Baton::default() })
            }
            Kept::Whole(extracted) => Cow::Borrowed(&extracted.baton),
        }
    }

    /// Returns all that is known.
    #[must_use]
    pub fn whole(&self) -> Cow<'_, Extracted> {
        match &self.0 {
            Kept::Parent { context, place, nanos } => Cow::Owned(Extracted {
                baton: Baton { context: Some(*context), ..Baton::default() },
                source: Some(Source {
                    place: *place,
                    format: Format::TraceContext,
                    name: "traceparent".into(),
                    is_trusted: true,
                }),
                ..Extracted::at(time(*nanos))
            }),
            Kept::Whole(extracted) => Cow::Borrowed(extracted),
        }
    }
}

impl From<Extracted> for Compact {
    fn from(extracted: Extracted) -> Self {
        Self(Kept::Whole(Box::new(extracted)))
    }
}

/// Returns the time that is so many nanoseconds after 1970.
pub(super) fn time(nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use crate::{
        carrier::{List, Medium},
        propagate::{Extracted, Format, LegacyNames, Propagation, Trust},
    };

    /// All but the time.
    fn said(found: &Extracted) -> String {
        let Extracted { baton, source, linked, refused, .. } = found;
        format!("{baton:?} {source:?} {linked:?} {refused:?}")
    }

    #[test]
    fn it_says_what_is_said_at_length() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let id = "0af7651916cd43dd8448eb211c80319c";
        let headers: [&[(&str, Option<&str>)]; 18] = [
            &[],
            &[("traceparent", Some(parent))],
            &[("traceparent", Some(parent)), ("content-type", None)],
            &[("traceparent", Some(parent)), ("trace_id", Some(id))],
            &[("traceparent", Some(parent)), ("x-trace-id", Some("order-1234"))],
            &[("traceparent", Some("00-")), ("trace_id", Some("order-1234"))],
            &[("traceparent", None)],
            &[("traceparent", Some(parent)), ("traceparent", Some(parent))],
            &[("traceparent", Some(parent)), ("tracestate", Some("a=1")), ("baggage", Some("b=2"))],
            &[("traceparent", Some(parent)), ("tracestate", Some("a=1, ,a=2"))],
            &[("traceparent", Some(parent)), ("tracestate", Some("")), ("baggage", Some(""))],
            &[("traceparent", Some(parent)), ("tracestate", None), ("baggage", Some("b=%20;c"))],
            &[("baggage", Some("b=2")), ("baggage", Some("c=3")), ("traceparent", Some(parent))],
            &[
                ("tracestate", Some("a=1")),
                ("traceparent", Some(parent)),
                ("tracestate", Some("=")),
            ],
            &[("traceparent", Some(parent)), ("baggage", Some("b=2")), ("trace_id", Some(id))],
            &[("traceparent", Some(parent)), ("baggage", Some("b=2")), ("trace_id", Some("x"))],
            &[("baggage", Some("b=2")), ("tracestate", Some("a=1"))],
            &[("traceparent", Some(parent)), ("x-baggage-shop", Some("berlin"))],
        ];
        let all = [
            Propagation::default(),
            Propagation::default().with_baggage_keys(["c".to_owned()]),
            Propagation::default().with_trust(Trust::Restart),
            Propagation::default().with_trust(Trust::Ignore),
            Propagation::default().with_read([Format::B3, Format::TraceContext]),
            Propagation::default()
                .with_legacy_names(LegacyNames::default().with_trace_ids(["traceparent"])),
        ];
        for medium in [Medium::Http, Medium::Kafka, Medium::Metadata] {
            for pairs in headers {
                let list = List::new(medium, pairs.iter().copied());
                for rules in &all {
                    let (whole, compact) = (rules.extract(&list), rules.extract_compact(&list));
                    assert_eq!(said(&compact.whole()), said(&whole), "{pairs:?}");
                    assert_eq!(compact.context(), whole.baton.context);
                    assert_eq!(*compact.baton(), whole.baton);
                    assert_eq!(rules.extract_baton(&list), whole.baton);
                    assert_eq!(compact.legacy_text(), whole.baton.legacy_text());
                    assert_eq!(compact.linked(), whole.linked);
                    let apart =
                        compact.whole().extraction_time.duration_since(whole.extraction_time);
                    let apart = apart.unwrap_or_else(|before| before.duration());
                    assert!(apart.as_secs() < 10, "both were read now");
                }
            }
        }
    }
}
