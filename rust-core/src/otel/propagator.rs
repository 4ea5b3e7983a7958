//! The `TextMapPropagator`.

use std::borrow::Cow;

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
};

use super::{
    context::{baton_of, cx_in, cx_of, cx_passing, plain_of},
    stale, texts,
    usual::{self, Answer, NotText, Reply, Usual},
};
use crate::{
    carrier::{Carrier, CarrierMut, Medium, Search},
    propagate::{Baton, Propagation, Single},
};

const PARENT_BYTES: usize = 55;
const ID_BYTES: usize = 32;

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
    /// The name under which the id is written beside a `traceparent`, where no other format is.
    id_name: Option<Cow<'static, str>>,
    is_passing: bool,
    /// The name of `traceparent`, as our own carriers know what it takes the place of.
    parent: &'static str,
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
        let id_name = propagation.only_id_name().map(in_lower_case).map(|name| match &*name {
            usual::LEGACY => Cow::Borrowed(stale::next_id()),
            _ => Cow::Owned(name.into_owned()),
        });
        let fields = propagation.fields();
        let parent = stale::parent(fields.iter().any(|name| name == "baggage"));
        Self { fields, propagation, is_usual, id_name, is_passing: false, parent }
    }

    /// Passes `tracestate` and baggage through, for services that hand them on and ask little of them.
    ///
    /// What came in is checked and kept as one text each, goes out again where the context is injected,
    /// and is there for whoever asks [`otel::baton_of`](baton_of). OpenTelemetry does not get a copy:
    /// its own `cx.baggage()` and `trace_state()` have only what the application puts there itself,
    /// which goes out too, in place of what came in under the same keys. What came in cannot be removed
    /// that way, neither one entry nor all: whoever has to do that wants the copy.
    ///
    /// Without this, every message that has them pays for OpenTelemetry's tables whether anybody looks
    /// into them or not, which is most of what reading such a message costs.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use opentelemetry::{baggage::BaggageExt, propagation::TextMapPropagator};
    /// use tracebaton::otel::{BatonPropagator, baton_of};
    ///
    /// let propagator = BatonPropagator::default().passing_through();
    /// let incoming = HashMap::from([("baggage".to_owned(), "user=alice".to_owned())]);
    /// let cx = propagator.extract(&incoming);
    /// assert!(cx.baggage().is_empty());
    /// assert_eq!(baton_of(&cx).unwrap().baggage.get("user"), Some("alice"));
    ///
    /// let mut outgoing = HashMap::new();
    /// propagator.inject_context(&cx, &mut outgoing);
    /// assert_eq!(outgoing["baggage"], "user=alice");
    /// ```
    #[must_use]
    pub fn passing_through(self) -> Self {
        Self { is_passing: true, ..self }
    }

    /// Reads headers of which each stands once, if all are of the plainest kind.
    fn read_single(
        &self,
        extractor: &dyn Extractor,
        Answer { usual, parent, .. }: Answer<'_>,
    ) -> Result<Option<Baton>, NotText> {
        if parent.is_empty() {
            return Ok(None);
        }
        let value = |number| usual.value(number, extractor);
        let id = if usual.has(3) { value(3)? } else { value(4)? };
        let single = Single { parent, state: value(1)?, baggage: value(2)?, id };
        Ok(self.propagation.read_single(&single))
    }

    fn cx(&self, cx: &Context, baton: Baton) -> Context {
        if baton.context.is_none() && baton.baggage.is_empty() {
            cx.clone()
        } else if let Some(context) = baton.context.filter(|_| baton.is_plain()) {
            cx_of(cx, context)
        } else if self.is_passing {
            cx_passing(cx, baton)
        } else {
            cx_in(cx, &baton)
        }
    }
}

impl TextMapPropagator for BatonPropagator {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        if let Some(name) = &self.id_name
            && let Some(context) = plain_of(cx)
            && let Some(parent) = context.traceparent_in(texts::memory(PARENT_BYTES))
        {
            injector.set(self.parent, parent);
            injector.set(name, context.trace_id.hex_in(texts::memory(ID_BYTES)));
        } else if let Some(baton) = baton_of(cx) {
            self.propagation.inject(&baton, &mut Injected { injector, parent: self.parent });
        }
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        if !self.is_usual {
            let offered = Offered::new(extractor);
            return self.cx(cx, self.propagation.extract_baton(&offered));
        }
        let offered = match usual::ask(extractor) {
            Reply::Ours(answer) if answer.usual.is_empty() => return cx.clone(),
            Reply::Ours(answer) if answer.usual.is_all() => {
                if answer.usual.is_parent()
                    && let Some(context) = self.propagation.read_parent(answer.parent)
                {
                    return cx_of(cx, context);
                }
                if let Ok(Some(baton)) = self.read_single(extractor, answer) {
                    return self.cx(cx, baton);
                }
                let Answer { medium, usual, .. } = answer;
                let told = Told { extractor, medium, usual };
                return self.cx(cx, self.propagation.extract_baton(&told));
            }
            Reply::Ours(Answer { medium, .. }) => Offered { medium, ..Offered::new(extractor) },
            Reply::Other(parents) => Offered { parents, ..Offered::new(extractor) },
        };
        let single = offered.single();
        if let Some(Single { parent, state: None, baggage: None, id: None }) = single
            && let Some(context) = self.propagation.read_parent(parent)
        {
            return cx_of(cx, context);
        }
        match single.and_then(|single| self.propagation.read_single(&single)) {
            Some(baton) => self.cx(cx, baton),
            None => self.cx(cx, self.propagation.extract_baton(&offered)),
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

/// One of our own carriers, which has said what it has.
struct Told<'a> {
    extractor: &'a dyn Extractor,
    medium: Medium,
    usual: Usual,
}

impl Carrier for Told<'_> {
    fn medium(&self) -> Medium {
        self.medium
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

/// Any extractor, which is asked for its names.
struct Offered<'a> {
    extractor: &'a dyn Extractor,
    medium: Medium,
    keys: Vec<&'a str>,
    /// The values of the first name that is looked for, if it was asked for them already.
    parents: Option<Vec<&'a str>>,
}

impl<'a> Offered<'a> {
    /// An extractor does not say what it reads from; HTTP's rules are the stricter ones.
    fn new(extractor: &'a dyn Extractor) -> Self {
        Self { extractor, medium: Medium::Http, keys: extractor.keys(), parents: None }
    }

    /// Returns the values of headers of which each stands once.
    fn single(&self) -> Option<Single<'a>> {
        let [parent] = self.parents.as_deref()? else { return None };
        let mut usual = Usual::default();
        self.keys.iter().for_each(|key| usual.note_any_case(key.as_bytes()));
        let value = |number: usize| match usual::NAMES.get(number) {
            Some(name) if usual.has(number) => match self.extractor.get_all(name)?[..] {
                [value] => Some(Some(value.as_bytes())),
                _ => None,
            },
            _ => Some(None),
        };
        if !usual.is_all() || !usual.has(0) {
            return None;
        }
        let (state, baggage) = (value(1)?, value(2)?);
        let id = if usual.has(3) { value(3)? } else { value(4)? };
        Some(Single { parent: parent.as_bytes(), state, baggage, id })
    }

    fn ask<'b>(&'b self, number: usize, name: &str, search: &mut Search<'_, 'b>) {
        for value in self.extractor.get_all(name).into_iter().flatten() {
            search.answer(number, Some(value.as_bytes()));
        }
    }
}

impl Carrier for Offered<'_> {
    fn medium(&self) -> Medium {
        self.medium
    }

    /// Asks for those names only that are there: of all the names we know, few are. Some extractors
    /// do not tell their keys.
    fn search<'a>(&'a self, search: &mut Search<'_, 'a>) {
        for value in self.parents.iter().flatten() {
            search.answer(0, Some(value.as_bytes()));
        }
        if self.keys.is_empty() {
            for (number, name) in search.names() {
                if !search.is_answered(number) {
                    self.ask(number, name, search);
                }
            }
        }
        for key in &self.keys {
            if let Some((number, name)) = search.find(key.as_bytes())
                && !search.is_answered(number)
            {
                self.ask(number, name, search);
            }
            let value = || vec![self.extractor.get(key).map(str::as_bytes)];
            search.offer_prefixed(key.as_bytes(), value);
        }
    }
}

struct Injected<'a> {
    injector: &'a mut dyn Injector,
    parent: &'static str,
}

impl CarrierMut for Injected<'_> {
    fn medium(&self) -> Medium {
        Medium::Http
    }

    fn set(&mut self, name: &str, value: &str) {
        let lower = in_lower_case(name);
        let name = if name == self.parent { self.parent } else { &lower };
        self.injector.set(name, texts::owned(value));
    }

    /// An injector cannot remove; our own carriers do so when `traceparent` is set.
    fn remove(&mut self, _: &str) {}
}

fn in_lower_case(name: &str) -> Cow<'_, str> {
    const LEGACY: &str = Medium::Http.legacy_name();
    match name {
        LEGACY => Cow::Borrowed(usual::LEGACY),
        "traceparent" | "tracestate" | "baggage" => Cow::Borrowed(name),
        name => Cow::Owned(name.to_ascii_lowercase()),
    }
}
