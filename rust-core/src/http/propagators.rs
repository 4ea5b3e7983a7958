//! HTTP headers for OpenTelemetry propagators, ours or others.

use ::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector};

use super::header_name;
#[cfg(feature = "tower")]
use crate::propagate::Single;
use crate::{
    carrier::{CarrierMut, Medium},
    otel::{
        stale,
        usual::{self, Answer, Usual},
    },
    wire,
};

/// The headers of a request that came in.
///
/// They are looked at once, when this is made. An extractor around this one that gives other values
/// under some names must do so in `get_all` too, or leave `get_all` to the trait: what it hands on
/// unchanged tells our propagator which headers there are. A header that may stand once and stands several times
/// is counted as it was sent, whatever its values are: for a propagator that asks for all values of a
/// name, one that is no text stands as U+FFFD, which is valid nowhere.
///
/// # Examples
///
/// ```
/// use opentelemetry::{propagation::TextMapPropagator, trace::TraceContextExt};
/// use tracebaton::{http::ReadHeaders, otel::BatonPropagator};
///
/// let mut headers = http::HeaderMap::new();
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// headers.insert("traceparent", text.parse()?);
/// let cx = BatonPropagator::default().extract(&ReadHeaders::new(&headers));
/// assert!(cx.span().span_context().is_remote());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ReadHeaders<'h> {
    headers: &'h HeaderMap,
    values: [Option<&'h HeaderValue>; usual::NAMES.len()],
    usual: Usual,
}

impl<'h> ReadHeaders<'h> {
    /// Looks at the headers.
    #[must_use]
    pub fn new(headers: &'h HeaderMap) -> Self {
        Self::looking(headers, |_, _| ())
    }

    /// Looks at the headers, and shows those that have none of the usual names to `others`.
    #[inline]
    pub(crate) fn looking(
        headers: &'h HeaderMap,
        mut others: impl FnMut(&'h [u8], &'h HeaderValue),
    ) -> Self {
        let mut values = [None; usual::NAMES.len()];
        let mut usual = Usual::default();
        for (name, value) in headers {
            let name = name.as_str().as_bytes();
            match usual.note(name).and_then(|number| values.get_mut(number)) {
                Some(place) if place.is_none() => *place = Some(value),
                Some(_) => usual.note_more(),
                None => others(name, value),
            }
        }
        Self { headers, values, usual }
    }

    /// Tells whether none of the usual names is there.
    #[cfg(feature = "tower")]
    pub(crate) fn is_empty(&self) -> bool {
        self.usual.is_empty()
    }

    /// Returns the `traceparent`, if that is all there is to be looked at.
    #[cfg(feature = "tower")]
    #[inline]
    pub(crate) fn parent(&self) -> Option<&'h [u8]> {
        let [parent, ..] = self.values;
        parent.filter(|_| self.usual.is_parent()).map(HeaderValue::as_bytes)
    }

    /// Returns the values of the usual names, if there is a `traceparent`, each stands once, and there
    /// is nothing else to be looked at.
    #[cfg(feature = "tower")]
    pub(crate) fn single(&self) -> Option<Single<'h>> {
        let [parent, state, baggage, id, kafka_id, _] =
            self.values.map(|value| value.map(HeaderValue::as_bytes));
        let parent = parent.filter(|_| self.usual.is_all())?;
        Some(Single { parent, state, baggage, id: id.or(kafka_id) })
    }
}

fn text(value: &HeaderValue) -> Option<&str> {
    wire::text(value.as_bytes())
}

impl Extractor for ReadHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let Some(number) = usual::number(key.as_bytes()) else {
            return text(self.headers.get(key)?);
        };
        // Of several the first is given, as from any map.
        let value = self.values.get(number).copied().flatten()?;
        text(if self.usual.is_all() { value } else { self.headers.get(key)? })
    }

    fn keys(&self) -> Vec<&str> {
        self.headers.keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let [parent, ..] = self.values;
        let parent = parent.map_or(&[][..], HeaderValue::as_bytes);
        let all = || Answer { medium: Medium::Http, usual: self.usual, parent };
        if usual::answer(self, key, all) {
            return None;
        }
        let values = self.headers.get_all(key).iter();
        let values: Vec<&str> = values.map(|value| text(value).unwrap_or("\u{fffd}")).collect();
        (!values.is_empty()).then_some(values)
    }
}

/// The headers of a request that goes out; what is written replaces what stood there.
///
/// A `traceparent` that [`BatonPropagator`](crate::otel::BatonPropagator) writes also replaces `tracestate`
/// and `baggage`: headers that were copied from a request that came in do not go on beside another trace.
/// Of other propagators what they do not write stays.
///
/// # Examples
///
/// ```
/// use opentelemetry::propagation::TextMapPropagator;
/// use tracebaton::{TraceContext, http::WriteHeaders, otel, propagate::Baton};
///
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let baton = Baton { context: Some(TraceContext::parse(text)?), ..Baton::default() };
/// let mut headers = http::HeaderMap::new();
/// let propagator = otel::BatonPropagator::default();
/// propagator.inject_context(&otel::cx(&baton), &mut WriteHeaders(&mut headers));
/// assert_eq!(headers["traceparent"], text);
/// # Ok::<(), tracebaton::ParseError>(())
/// ```
#[derive(Debug)]
pub struct WriteHeaders<'h>(pub &'h mut HeaderMap);

impl Injector for WriteHeaders<'_> {
    fn set(&mut self, key: &str, value: String) {
        if !self.0.is_empty() {
            stale::besides(key).iter().for_each(|name| CarrierMut::remove(self.0, name));
        }
        if let (Some(name), Ok(value)) = (header_name(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::propagation::TextMapPropagator;

    use super::*;
    use crate::{
        carrier::Carrier,
        otel::{BatonPropagator, baton_of},
        propagate::{Baton, Format, LegacyNames, Propagation},
    };

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const OTHER: &str = "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-01";

    fn through_opentelemetry(propagation: &Propagation, headers: &HeaderMap) -> Baton {
        let propagator = BatonPropagator::new(propagation.clone());
        baton_of(&propagator.extract(&ReadHeaders::new(headers))).unwrap_or_default()
    }

    #[test]
    fn what_is_read_through_opentelemetry_is_what_the_map_says() {
        let names = LegacyNames::default().with_trace_ids(["X-Request-Id"]);
        let rules = [Propagation::default(), Propagation::default().with_legacy_names(names)];
        let values: [&[u8]; 7] =
            [TEXT.as_bytes(), OTHER.as_bytes(), b"a=1", b"order-1", b"\xff", b"", b"\xc3\xa9=1"];
        let names = usual::NAMES.into_iter().chain(["x-baggage-a", "x-request-id", "host"]);
        let names: Vec<_> = names.map(HeaderName::from_static).collect();
        // Every pair of headers, the same name and value twice included.
        let headers: Vec<(&HeaderName, &[u8])> =
            names.iter().flat_map(|name| values.map(|value| (name, value))).collect();
        for one in &headers {
            // Of several headers of one pair OpenTelemetry gives the first.
            let is_pair = |other: &(&HeaderName, _)| one.0 == other.0 && one.0 == "x-baggage-a";
            for other in headers.iter().filter(|other| !is_pair(other)) {
                let mut map = HeaderMap::new();
                for (name, value) in [one, other] {
                    map.append(*name, HeaderValue::from_bytes(value).unwrap());
                }
                for rules in &rules {
                    let direct = rules.extract(&map as &dyn Carrier).baton;
                    let nothing = direct.context.is_none() && direct.baggage.is_empty();
                    let direct = if nothing { Baton::default() } else { direct };
                    assert_eq!(through_opentelemetry(rules, &map), direct, "{map:?}");
                }
            }
        }
    }

    /// As large as the carrier in it, with names of its own.
    struct Renaming<'h>(ReadHeaders<'h>);

    impl Extractor for Renaming<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            match key {
                "x-trace-id" => self.0.get("x-order-id"),
                key => self.0.get(key),
            }
        }

        fn keys(&self) -> Vec<&str> {
            let rename = |name| if name == "x-order-id" { "x-trace-id" } else { name };
            self.0.keys().into_iter().map(rename).collect()
        }
    }

    /// Both are as large as the carrier in them, which they let speak but for one name.
    struct HidingParent<'h>(ReadHeaders<'h>);
    struct HidingState<'h>(ReadHeaders<'h>);

    macro_rules! hides {
        ($type:ident, $name:expr) => {
            impl Extractor for $type<'_> {
                fn get(&self, key: &str) -> Option<&str> {
                    self.0.get(key).filter(|_| key != $name)
                }

                fn keys(&self) -> Vec<&str> {
                    self.0.keys().into_iter().filter(|key| *key != $name).collect()
                }

                fn get_all(&self, key: &str) -> Option<Vec<&str>> {
                    if key == $name { None } else { self.0.get_all(key) }
                }
            }
        };
    }
    hides!(HidingParent, "traceparent");
    hides!(HidingState, "tracestate");

    #[test]
    fn a_carrier_around_ours_is_read_as_it_gives() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("traceparent", TEXT), ("tracestate", "a=1"), ("x-order-id", "order-1")]
        {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let read = |extractor: &dyn Extractor| {
            baton_of(&BatonPropagator::default().extract(extractor)).unwrap_or_default()
        };
        let ours = ReadHeaders::new(&headers);
        let plain = read(&ours);
        assert_eq!((plain.tracestate.as_str(), plain.legacy_text()), ("a=1", None));
        let renaming = Renaming(ours);
        assert_eq!(size_of_val(&renaming), size_of_val(&ours));
        assert_eq!(read(&renaming).legacy_text(), Some("order-1"));
        assert_eq!(read(&HidingParent(ours)).context, None);
        let hiding = read(&HidingState(ours));
        assert_eq!((hiding.context, hiding.tracestate.is_empty()), (plain.context, true));
    }

    #[test]
    fn what_belongs_to_another_trace_does_not_stay() {
        let copied = || {
            let mut headers = HeaderMap::new();
            for (name, value) in
                [("traceparent", OTHER), ("tracestate", "a=1"), ("baggage", "a=1"), ("host", "x")]
            {
                headers.insert(name, HeaderValue::from_static(value));
            }
            headers
        };
        let write = |propagation: Propagation, headers: &mut HeaderMap, text: &'static str| {
            let read = HeaderMap::from_iter([
                (HeaderName::from_static("traceparent"), HeaderValue::from_static(TEXT)),
                (HeaderName::from_static("x-trace-id"), HeaderValue::from_static(text)),
            ]);
            let cx = BatonPropagator::default().extract(&ReadHeaders::new(&read));
            BatonPropagator::new(propagation).inject_context(&cx, &mut WriteHeaders(headers));
        };
        // A baton that is no more than its ids, and one that is.
        for id in ["0af7651916cd43dd8448eb211c80319c", "order-1234"] {
            let mut headers = copied();
            write(Propagation::default(), &mut headers, id);
            let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, ["host", "traceparent", "x-trace-id"]);
            assert_eq!(headers["traceparent"], TEXT);
        }
        let mut headers = copied();
        write(Propagation::default().with_write([Format::TraceContext]), &mut headers, "order-1");
        assert!(!headers.contains_key("tracestate"));
        assert_eq!(headers["baggage"], "a=1", "nothing is written in its place");
        let mut headers = copied();
        let parent = TEXT.to_owned();
        WriteHeaders(&mut headers).set("traceparent", parent);
        assert_eq!(headers["tracestate"], "a=1", "another propagator's own business");
    }

    #[test]
    fn others_are_given_the_first_of_several() {
        let mut headers = HeaderMap::new();
        headers.append("traceparent", HeaderValue::from_static(TEXT));
        headers.append("traceparent", HeaderValue::from_bytes(b"\xff").unwrap());
        let read = ReadHeaders::new(&headers);
        assert_eq!(read.get("traceparent"), Some(TEXT));
        assert_eq!(read.get_all("Traceparent").unwrap(), [TEXT, "\u{fffd}"]);
        assert_eq!((read.get("host"), read.get_all("host")), (None, None));
        assert_eq!(read.keys(), ["traceparent"]);
    }
}
