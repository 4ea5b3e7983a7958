//! The spans of `#[instrument]`, recorded below the hop that is current.

use std::{borrow::Cow, cell::RefCell};

use opentelemetry::{Context as OtelContext, ContextGuard};
use tracing::{Event, Subscriber, span};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

use super::fields::Fields;
use crate::{
    hop::{LocalSpan, Recorder, SpanKind, Status, Value},
    otel,
};

/// A layer that records the spans of `tracing`, and makes each the current context while it is
/// entered: log lines, outputs and requests that go out belong to it.
///
/// A span is a child of what is current where it is created: a hop, or another span. Fields become
/// attributes; `otel.name` and `otel.kind` set name and kind. An event of level `ERROR` makes the
/// span an error, as `#[instrument(err)]` does.
///
/// # Examples
///
/// ```
/// use tracebaton::{hop::Recorder, log::SpanLayer};
/// use tracing_subscriber::layer::SubscriberExt;
///
/// #[tracing::instrument]
/// fn charge(cents: u64) {}
///
/// let recorder = Recorder::new();
/// recorder.switch(true);
/// let layer = SpanLayer::default().with_recorder(&recorder);
/// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || charge(350));
/// assert_eq!(recorder.held().spans, 1);
/// ```
pub struct SpanLayer {
    recorder: Recorder,
}

impl Default for SpanLayer {
    /// Records for the process.
    fn default() -> Self {
        Self { recorder: Recorder::global().clone() }
    }
}

impl SpanLayer {
    /// Records with `recorder` instead of the process's.
    #[must_use]
    pub fn with_recorder(mut self, recorder: &Recorder) -> Self {
        self.recorder = recorder.clone();
        self
    }
}

/// What a span of `tracing` is to us.
struct Recorded {
    span: LocalSpan,
    cx: OtelContext,
    error: Option<String>,
}

thread_local! {
    /// The spans that this thread is in, and what puts back the context that was current before.
    static ENTERED: RefCell<Vec<(span::Id, ContextGuard)>> = const { RefCell::new(Vec::new()) };
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanLayer {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, cx: Context<'_, S>) {
        let Some(new) = cx.span(id) else { return };
        let context_of = |span: SpanRef<'_, S>| {
            span.extensions().get::<Recorded>().map(|recorded| recorded.cx.clone())
        };
        let above = match attributes.parent() {
            Some(parent) => cx.span(parent).and_then(context_of).unwrap_or_default(),
            None if attributes.is_root() => OtelContext::new(),
            None => OtelContext::current(),
        };
        let parent = otel::baton_of(&above).unwrap_or_default();
        let name = attributes.metadata().name();
        let mut span = LocalSpan::start(&self.recorder, name, SpanKind::Internal, &parent);
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        describe(&mut span, fields);
        let cx = otel::cx_in(&above, span.baton());
        new.extensions_mut().replace(Recorded { span, cx, error: None });
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, cx: Context<'_, S>) {
        if let Some(span) = cx.span(id)
            && let Some(recorded) = span.extensions_mut().get_mut::<Recorded>()
        {
            let mut fields = Fields::default();
            values.record(&mut fields);
            describe(&mut recorded.span, fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        if *event.metadata().level() != tracing::Level::ERROR {
            return;
        }
        if let Some(span) = cx.event_span(event)
            && let Some(recorded) = span.extensions_mut().get_mut::<Recorded>()
        {
            let mut fields = Fields::default();
            event.record(&mut fields);
            recorded.error =
                Some(match fields.pairs.into_iter().find(|(key, _)| *key == "error") {
                    Some((_, Value::Text(error))) => error.into_owned(),
                    _ => fields.message,
                });
        }
    }

    fn on_enter(&self, id: &span::Id, cx: Context<'_, S>) {
        let context = cx.span(id).and_then(|span| {
            span.extensions().get::<Recorded>().map(|recorded| recorded.cx.clone())
        });
        if let Some(context) = context {
            // In a thread that is about to end nothing is current any more.
            let _ = ENTERED.try_with(|entered| {
                entered.borrow_mut().push((id.clone(), context.attach()));
            });
        }
    }

    fn on_exit(&self, id: &span::Id, _: Context<'_, S>) {
        let guard = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            let place = entered.iter().rposition(|(known, _)| known == id);
            place.map(|place| entered.remove(place))
        });
        // What a context holds may run code when it goes: not while the list is borrowed.
        drop(guard);
    }

    fn on_close(&self, id: span::Id, cx: Context<'_, S>) {
        if let Some(span) = cx.span(&id)
            && let Some(recorded) = span.extensions_mut().remove::<Recorded>()
        {
            let status = recorded.error.map_or(Status::Unset, Status::Error);
            recorded.span.end(&status);
        }
    }
}

fn describe(span: &mut LocalSpan, fields: Fields) {
    for (key, value) in fields.pairs {
        match (key, value) {
            ("otel.name", Value::Text(name)) => span.name = Cow::Owned(name.into_owned()),
            ("otel.kind", Value::Text(kind)) => span.kind = named(&kind).unwrap_or(span.kind),
            (key, value) => span.set(key, value),
        }
    }
    if !fields.message.is_empty() {
        span.set("message", fields.message);
    }
}

fn named(kind: &str) -> Option<SpanKind> {
    let kinds = [
        ("internal", SpanKind::Internal),
        ("server", SpanKind::Server),
        ("client", SpanKind::Client),
        ("producer", SpanKind::Producer),
        ("consumer", SpanKind::Consumer),
    ];
    kinds.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(kind)).map(|(_, kind)| kind)
}
