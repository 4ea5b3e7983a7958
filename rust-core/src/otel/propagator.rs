//! The `TextMapPropagator`.

use std::borrow::Cow;

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
};

use super::{
    context::{baton_of, cx_in},
    usual::{self, Usual},
};
use crate::{
    carrier::{Carrier, CarrierMut, Medium, Search},
    propagate::{Baton, Propagation},
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
    /// Whether nothing but the usual names is read.
    is_usual: bool,
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
        let is_usual = propagation.reads_only(&usual::NAMES, usual::PREFIX);
        Self { fields: propagation.fields(), propagation, is_usual }
    }
}

impl BatonPropagator {
    #[inline]
    fn read(&self, usual: Usual, extractor: &dyn Extractor) -> Baton {
        if usual.is_parent()
            && let Some(value) = extractor.get(usual::NAMES[0])
            && let Some(context) = self.propagation.read_parent(value.as_bytes())
        {
            return Baton { context: Some(context), ..Baton::default() };
        }
        self.propagation.extract_baton(&Told { extractor, usual })
    }
}

impl TextMapPropagator for BatonPropagator {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        if let Some(baton) = baton_of(cx) {
            self.propagation.inject(&baton, &mut Injected(injector));
        }
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        let usual = if self.is_usual { Usual::ask(extractor) } else { None };
        let baton = match usual.filter(|usual| usual.is_all()) {
            Some(usual) => self.read(usual, extractor),
            None => self.propagation.extract_baton(&Offered(extractor)),
        };
        let is_empty = baton.context.is_none() && baton.baggage.is_empty();
        if is_empty { cx.clone() } else { cx_in(cx, &baton) }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

/// One of our own carriers, which has said what it has.
struct Told<'a> {
    extractor: &'a dyn Extractor,
    usual: Usual,
}

impl Carrier for Told<'_> {
    fn medium(&self) -> Medium {
        Medium::Http
    }

    fn search<'a>(&'a self, search: &mut Search<'_, 'a>) {
        for (number, name) in usual::NAMES.into_iter().enumerate() {
            if self.usual.has(number) {
                // What is there and cannot be given is no text.
                let value = self.extractor.get(name).map(str::as_bytes);
                search.answer(number, value);
            }
        }
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

const LEGACY: &str = Medium::Http.legacy_name();

struct Injected<'a>(&'a mut dyn Injector);

impl CarrierMut for Injected<'_> {
    fn medium(&self) -> Medium {
        Medium::Http
    }

    fn set(&mut self, name: &str, value: &str) {
        let name = match name {
            LEGACY => Cow::Borrowed("x-trace-id"),
            "traceparent" | "tracestate" | "baggage" => Cow::Borrowed(name),
            name => Cow::Owned(name.to_ascii_lowercase()),
        };
        self.0.set(&name, value.to_owned());
    }

    /// An injector cannot remove; it starts from an empty carrier.
    fn remove(&mut self, _: &str) {}
}
