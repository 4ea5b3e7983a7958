//! The `TextMapPropagator`.

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
};

use super::context::{baton_of, cx_in};
use crate::{
    carrier::{Carrier, CarrierMut, Medium},
    propagate::Propagation,
};

/// Reads and writes the baton for OpenTelemetry.
///
/// # Examples
///
/// ```
/// use std::collections::HashMap;
/// use opentelemetry::propagation::TextMapPropagator;
/// use tracebaton::otel::BatonPropagator;
///
/// let propagator = BatonPropagator::default();
/// let mut incoming = HashMap::new();
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
/// incoming.insert("traceparent".to_owned(), text.to_owned());
/// let cx = propagator.extract(&incoming);
///
/// let mut outgoing = HashMap::new();
/// propagator.inject_context(&cx, &mut outgoing);
/// assert_eq!(outgoing["traceparent"], text);
/// ```
#[derive(Clone, Debug)]
pub struct BatonPropagator {
    propagation: Propagation,
    fields: Vec<String>,
}

impl Default for BatonPropagator {
    fn default() -> Self {
        Self::new(Propagation::default())
    }
}

impl BatonPropagator {
    /// Creates a propagator that reads and writes as `propagation` says.
    #[must_use]
    pub fn new(propagation: Propagation) -> Self {
        Self { fields: propagation.fields(), propagation }
    }
}

impl TextMapPropagator for BatonPropagator {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        if let Some(baton) = baton_of(cx) {
            self.propagation.inject(&baton, &mut Injected(injector));
        }
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        let baton = self.propagation.extract_baton(&Offered::new(extractor));
        let is_empty = baton.context.is_none() && baton.baggage.is_empty();
        if is_empty { cx.clone() } else { cx_in(cx, &baton) }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

struct Offered<'a> {
    extractor: &'a dyn Extractor,
    keys: Vec<&'a str>,
}

impl<'a> Offered<'a> {
    fn new(extractor: &'a dyn Extractor) -> Self {
        Self { extractor, keys: extractor.keys() }
    }

    /// Tells whether it is worth asking for a name: of all the names we know, few are there, and
    /// comparing is cheaper than a look-up. Some extractors do not tell their keys.
    fn may_have(&self, name: &str) -> bool {
        self.keys.is_empty() || self.keys.iter().any(|key| key.eq_ignore_ascii_case(name))
    }
}

impl Carrier for Offered<'_> {
    /// An extractor does not say what it reads from; HTTP's rules are the stricter ones.
    fn medium(&self) -> Medium {
        Medium::Http
    }

    fn visit<'a>(&'a self, name: &str, each: &mut dyn FnMut(Option<&'a [u8]>)) {
        if !self.may_have(name) {
            return;
        }
        for value in self.extractor.get_all(name).into_iter().flatten() {
            each(Some(value.as_bytes()));
        }
    }

    fn visit_prefix<'a>(&'a self, prefix: &str, each: &mut dyn FnMut(&'a [u8], Option<&'a [u8]>)) {
        for key in &self.keys {
            let Some((start, rest)) = key.as_bytes().split_at_checked(prefix.len()) else {
                continue;
            };
            if start.eq_ignore_ascii_case(prefix.as_bytes()) {
                each(rest, self.extractor.get(key).map(str::as_bytes));
            }
        }
    }
}

struct Injected<'a>(&'a mut dyn Injector);

impl CarrierMut for Injected<'_> {
    fn medium(&self) -> Medium {
        Medium::Http
    }

    fn set(&mut self, name: &str, value: &str) {
        self.0.set(&name.to_ascii_lowercase(), value.to_owned());
    }

    /// An injector cannot remove; it starts from an empty carrier.
    fn remove(&mut self, _: &str) {}
}
