//! The `TextMapPropagator`.

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
};

use super::context::{baton_of, cx_in};
use crate::{
    carrier::{Carrier, CarrierMut, Medium, Search},
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
        let baton = self.propagation.extract_baton(&Offered(extractor));
        let is_empty = baton.context.is_none() && baton.baggage.is_empty();
        if is_empty { cx.clone() } else { cx_in(cx, &baton) }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

struct Offered<'a>(&'a dyn Extractor);

impl Carrier for Offered<'_> {
    /// An extractor does not say what it reads from; HTTP's rules are the stricter ones.
    fn medium(&self) -> Medium {
        Medium::Http
    }

    /// Asks for those names only that are there: of all the names we know, few are. Some extractors
    /// do not tell their keys.
    fn search<'a>(&'a self, search: &mut Search<'_, 'a>) {
        let Self(extractor) = *self;
        let keys = extractor.keys();
        if keys.is_empty() {
            for (number, name) in search.names() {
                ask(extractor, number, name, search);
            }
        }
        for key in keys {
            if let Some((number, name)) = search.find(key.as_bytes())
                && !search.is_answered(number)
            {
                ask(extractor, number, name, search);
            }
            let value = || vec![extractor.get(key).map(str::as_bytes)];
            search.offer_prefixed(key.as_bytes(), value);
        }
    }
}

fn ask<'a>(extractor: &'a dyn Extractor, number: usize, name: &str, search: &mut Search<'_, 'a>) {
    for value in extractor.get_all(name).into_iter().flatten() {
        search.answer(number, Some(value.as_bytes()));
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
