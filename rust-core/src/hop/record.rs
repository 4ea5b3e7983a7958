//! The hop of one record or one request: a span, and a ledger event once its fate is settled.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock, MutexGuard},
};

use super::{
    batch,
    clock::now,
    consumer::{Consumer, Destination},
    facts::{Facts, attribute, pair},
    fate::{Coordinates, Fate, Fates, HopKind},
    output::{Origin, Output, SendSpan},
    recorder::Recorder,
    sends::Sends,
    shard::Room,
    span::{Link, MAX_ATTRIBUTES, MAX_LINKS},
    state::{Inner, Lost, Outputs, Rare, STATUS_CODE, State},
    tally::Tally,
    template::{SharedTemplate, Template},
    value::Value,
};
use crate::{
    propagate::Baton,
    wire::{Flags, SpanId, TraceContext, TraceId, TraceState},
};

/// Texts of errors and reasons are cut here, so that no peer can make an event large.
const MAX_TEXT: usize = 1024;

/// One record at one hop, or one request.
///
/// The hop settles once it has ended and every output that was handed out is delivered, refused or
/// given up. Then, and only then, it writes its span and its ledger event. What nobody has told of
/// its outputs by [`Hop::close`], or by the time the export stops, is told as unconfirmed. It is a
/// handle: clones speak of the same hop.
///
/// # Examples
///
/// ```
/// use tracebaton::hop::{Coordinates, Hop, Recorder};
/// use tracebaton::propagate::Baton;
///
/// let input = Coordinates {
///     topic: "orders".into(),
///     partition: 0,
///     offset: 42,
///     group: Some("billing".into()),
/// };
/// let hop = Hop::process(Recorder::global(), &input, &Baton::default());
/// let output = hop.output("invoices");
/// assert_eq!(output.baton().context.unwrap().trace_id, hop.trace_id());
/// output.delivered(0, 7);
/// hop.end();
/// ```
#[derive(Clone)]
pub struct Hop(Arc<Inner>);

impl Hop {
    /// Starts the hop of a request that came in over HTTP.
    ///
    /// The span is named after the method alone until the route is known ([`Hop::set_route`]): paths
    /// are too many for names (HTTP semantic conventions, "Name").
    #[must_use]
    pub fn receive(recorder: &Recorder, method: &str, path: &str, baton: &Baton) -> Self {
        Self::receive_with(recorder, method, path, baton, |_| ())
    }

    /// Starts the hop of a request of which `describe` tells more.
    #[inline]
    pub(crate) fn receive_with(
        recorder: &Recorder,
        method: &str,
        path: &str,
        baton: &Baton,
        describe: impl FnOnce(&mut Facts),
    ) -> Self {
        static REQUESTS: LazyLock<Template> = LazyLock::new(Template::of_requests);
        let known = http_method(method);
        let mut facts = Facts::new(cut(path), named(known));
        describe_method(&mut facts, known, method);
        describe(&mut facts);
        Self::start_in(recorder, SharedTemplate::Always(&REQUESTS), None, baton, facts, None)
    }

    /// Starts the hop of one message that a transform processes.
    ///
    /// A loop that knows its topic beforehand spares the search for it: see [`Consumer`].
    #[must_use]
    pub fn process(recorder: &Recorder, input: &Coordinates, baton: &Baton) -> Self {
        let consumer = Consumer::of(&input.topic, input.group.as_deref());
        consumer.process(recorder, input.partition, input.offset, baton)
    }

    /// Starts the hop of one record that a sink takes out of its batch.
    pub(super) fn insert(
        recorder: &Recorder,
        table: &str,
        input: &Coordinates,
        baton: &Baton,
        batch_id: &str,
    ) -> Self {
        let group = input.group.as_deref();
        let template = Template::of_input((HopKind::Insert, table), &input.topic, group);
        let rare = Rare { batch_id: Some(batch_id.to_owned()), ..Rare::default() };
        let place = Some((input.partition, input.offset));
        Self::start(recorder, Arc::new(template).into(), place, baton, Some(Box::new(rare)))
    }

    /// Starts the hop of messages that were polled together, below the span of the poll.
    pub(super) fn batch(recorder: &Recorder, poll: &Baton) -> Self {
        static BATCHES: LazyLock<Template> = LazyLock::new(Template::of_batches);
        let rare = Rare { span_name: "process".into(), ..Rare::default() };
        Self::start(recorder, SharedTemplate::Always(&BATCHES), None, poll, Some(Box::new(rare)))
    }

    /// Ends the hop of a batch, which is that of these records.
    pub(super) fn end_batch(&self, tally: Tally) {
        let time = now();
        let mut state = self.lock();
        let rare = state.rare();
        rare.span_name = batch::name("process", &tally).into();
        // Those that were told besides come after them.
        let told = std::mem::replace(&mut rare.links, tally.links().to_vec());
        let room = MAX_LINKS - rare.links.len();
        rare.dropped_links +=
            tally.dropped_links() + u32::try_from(told.len().saturating_sub(room)).unwrap_or(0);
        rare.links.extend(told.into_iter().take(room));
        rare.tally = Some(tally);
        state.end.get_or_insert(time);
        self.settle(state, time);
    }

    /// Starts the hop of what stood at `place`, a partition and an offset.
    pub(super) fn start(
        recorder: &Recorder,
        template: SharedTemplate,
        place: Option<(i32, i64)>,
        baton: &Baton,
        rare: Option<Box<Rare>>,
    ) -> Self {
        Self::start_in(recorder, template, place, baton, Facts::default(), rare)
    }

    #[inline]
    fn start_in(
        recorder: &Recorder,
        template: SharedTemplate,
        place: Option<(i32, i64)>,
        baton: &Baton,
        facts: Facts,
        rare: Option<Box<Rare>>,
    ) -> Self {
        let start = now();
        // Made where it stays: it is too large to be moved there.
        Self(Arc::new_cyclic(|_| {
            let Begun { baton, context, span_id, parent } = begin(recorder, baton);
            Inner {
                recorder: recorder.clone(),
                template,
                place,
                baton,
                context,
                span_id,
                parent,
                start,
                outputs: Outputs::default(),
                state: State::new(facts, rare),
            }
        }))
    }

    /// Returns what this hop hands on: its trace, its own span id, and what came with the record.
    #[must_use]
    pub fn baton(&self) -> &Baton {
        &self.0.baton
    }

    /// Returns the trace.
    #[must_use]
    pub fn trace_id(&self) -> TraceId {
        self.0.context.trace_id
    }

    /// Returns this hop's span.
    #[must_use]
    pub fn span_id(&self) -> SpanId {
        self.0.span_id
    }

    /// Returns the id as the client knows it, where that is not the trace id itself.
    #[must_use]
    pub fn legacy_text(&self) -> Option<&str> {
        self.0.baton.legacy_text()
    }

    /// Sets an attribute of the span; the last value of a key stays. Of more than 128 keys, the
    /// rest are only counted.
    pub fn set(&self, key: impl Into<Cow<'static, str>>, value: impl Into<Value<'static>>) {
        let (key, value) = (key.into(), value.into());
        let mut state = self.lock();
        if key == STATUS_CODE {
            state.status = None;
        }
        state.facts.remove(&key);
        let has_room = state.attribute_count() < MAX_ATTRIBUTES;
        let rare = state.rare();
        if let Some((_, old)) = rare.attributes.iter_mut().find(|(known, _)| *known == key) {
            *old = value;
        } else if has_room {
            rare.attributes.push((key, value));
        } else {
            rare.dropped_attributes += 1;
        }
    }

    /// Names the route of a received request, once it is known.
    pub fn set_route(&self, method: &str, route: &str) {
        self.set("http.route", route.to_owned());
        let mut state = self.lock();
        let rare = state.rare();
        route.clone_into(&mut rare.name);
        rare.span_name = format!("{} {route}", http_name(method)).into();
    }

    /// Says that this input was seen before; attempts count from 1.
    pub fn set_attempt(&self, attempt: u32) {
        self.lock().attempt = attempt;
    }

    /// Starts a message on its way out to `topic`.
    ///
    /// Outputs that are made after [`Hop::dead_lettered`] are marked as dead letters.
    #[must_use]
    pub fn output(&self, topic: &str) -> Output {
        self.output_to(&Destination::of(topic))
    }

    /// Starts a message on its way out, as [`Hop::output`] does, to a topic that is named once for
    /// all messages.
    #[must_use]
    pub fn output_to(&self, destination: &Destination) -> Output {
        let is_dead_letter = self.0.outputs.add();
        Output::start(self.clone(), destination.clone(), is_dead_letter)
    }

    /// Starts a message that is made of one message of this batch.
    pub(super) fn output_of(&self, topic: &str, origin: Origin) -> Output {
        self.output(topic).with_origin(origin)
    }

    /// Says that the record was left out on purpose.
    pub fn filtered(&self, reason: &str) {
        self.decide(Fate::Filtered, None, reason);
    }

    /// Says that the record could not be handled and nothing else took it.
    pub fn failed(&self, error_type: &str, message: &str) {
        self.decide(Fate::Failed, Some(error_type), message);
    }

    /// Says that the record could not be handled and goes to a dead-letter topic; make the output
    /// for that topic after this.
    pub fn dead_lettered(&self, error_type: &str, message: &str) {
        self.decide(Fate::DeadLettered, Some(error_type), message);
    }

    /// Links the hop's span to one of another trace.
    pub fn link(&self, other: TraceContext) {
        if let Some(span_id) = other.span_id {
            let link = Link { trace_id: other.trace_id, span_id, flags: other.flags };
            let mut state = self.lock();
            let rare = state.rare();
            if rare.links.len() < MAX_LINKS {
                rare.links.push(link);
            } else {
                rare.dropped_links += 1;
            }
        }
    }

    /// Says with which status a request was answered. From 400 on its record has failed, unless the
    /// handler has said what became of it.
    pub fn answered(&self, status: u16, reason: &str) {
        self.lock().answered(status, || reason);
    }

    /// Ends the hop of a request that was answered with a status.
    #[cfg(feature = "tower")]
    pub(crate) fn end_answered(&self, status: u16, reason: impl FnOnce() -> &'static str) {
        let time = now();
        let mut state = self.lock();
        state.answered(status, reason);
        state.end.get_or_insert(time);
        self.settle(state, time);
    }

    /// Says what became of the records of a request that held several.
    pub fn count(&self, fates: Fates) {
        self.lock().rare().fates = Some(fates);
    }

    /// Returns the headers a dead letter carries besides the context: what failed, where and why.
    ///
    /// Control characters are replaced, so that a reader can print the values.
    #[must_use]
    pub fn error_headers(&self) -> Vec<(&'static str, String)> {
        let state = self.lock();
        let plain = |text: &str| {
            text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
        };
        let rare = state.rare.as_deref();
        let hop = match state.span_name() {
            "" => plain(&format!("process {}", self.0.template.topic)),
            name => plain(name),
        };
        let mut headers = vec![("tracebaton-error-hop", hop)];
        if let Some(error_type) = rare.and_then(|rare| rare.error_type.as_ref()) {
            headers.push(("tracebaton-error-type", plain(error_type)));
        }
        if let Some(reason) = rare.and_then(|rare| rare.reason.as_ref()) {
            headers.push(("tracebaton-error-message", plain(reason)));
        }
        headers
    }

    /// Ends the hop. It settles once its outputs have.
    pub fn end(&self) {
        let time = now();
        let mut state = self.lock();
        state.end.get_or_insert(time);
        self.settle(state, time);
    }

    /// Ends the hop and settles it at once: outputs nobody has told of yet count as unconfirmed.
    ///
    /// For a record whose fate no output can change. What is told of an output later still has its
    /// own event.
    pub fn close(&self) {
        self.0.close();
    }

    /// Leaves off in the middle: the hop settles at once, and unless something was said of its record
    /// that is pending.
    ///
    /// For a process that ends while it handles the record: whoever reads it again has another attempt.
    pub fn leave_pending(&self) {
        self.interrupt();
        self.0.close();
    }

    /// Takes note that nobody will say more of the record.
    pub(super) fn interrupt(&self) {
        self.lock().is_pending = true;
    }

    fn decide(&self, fate: Fate, error_type: Option<&str>, reason: &str) {
        let mut state = self.lock();
        state.fate = Some(fate);
        self.0.outputs.are_dead_letters(fate == Fate::DeadLettered);
        let rare = state.rare();
        rare.is_exception = error_type.is_some();
        rare.error_type = error_type.map(|text| cut(text).to_owned());
        rare.reason = Some(cut(reason).to_owned());
        if matches!(fate, Fate::Failed | Fate::DeadLettered) {
            self.wait(&mut state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// Returns the context of this hop, its own span id in it.
    pub(super) fn context(&self) -> TraceContext {
        self.0.context
    }

    pub(super) fn recorder(&self) -> &Recorder {
        &self.0.recorder
    }

    /// Takes note that the broker has an output by now.
    #[inline]
    pub(super) fn acknowledge(
        &self,
        time: u64,
        destination: Destination,
        span: SendSpan,
        is_dead_letter: bool,
    ) {
        let mut state = self.lock();
        if state.is_settled {
            let mut late = Sends::default();
            let _ = late.deliver(destination, span, is_dead_letter);
            return self.write_late(&late, time);
        }
        state.told += 1;
        if let Some((destination, span)) = state.sends.deliver(destination, span, is_dead_letter) {
            self.recorder().write(|room| self.write_send(&span, &destination, None, room));
        }
        if state.end.is_none() {
            self.wait(&mut state);
        }
        self.settle(state, time);
    }

    /// Takes note that an output is done with by now, and the broker does not have it or is not known
    /// to.
    pub(super) fn close_output(&self, time: u64, done: impl FnOnce(&mut Sends) -> Unacknowledged) {
        let mut state = self.lock();
        if state.is_settled {
            let mut late = Sends::default();
            let _ = done(&mut late);
            return self.write_late(&late, time);
        }
        state.told += 1;
        match done(&mut state.sends) {
            Unacknowledged::Unknown => state.unconfirmed += 1,
            Unacknowledged::Failed { error_type, reason, origin: Some(origin) } => {
                state.rare().lost.push(Lost { origin, error_type, reason });
            }
            Unacknowledged::Failed { error_type, reason, origin: None } => {
                // Law 1: a record has passed only when all that was made of it is acknowledged.
                // What was to be dead-lettered and was not taken is lost too.
                if matches!(state.fate, None | Some(Fate::Passed | Fate::DeadLettered)) {
                    state.fate = Some(Fate::Failed);
                    self.0.outputs.are_dead_letters(false);
                    let rare = state.rare();
                    rare.is_exception = true;
                    rare.error_type = Some(error_type);
                    rare.reason = Some(reason);
                }
            }
        }
        self.settle(state, time);
    }

    /// Writes what is told of an output after the hop has settled, which has counted it as
    /// unconfirmed: this is how that is known to be over.
    fn write_late(&self, late: &Sends, time: u64) {
        self.recorder().write(|room| {
            late.write_span(&self.0, room);
            late.write(&self.0, time, room);
        });
    }

    /// Writes the span of one of its outputs.
    pub(super) fn write_send(
        &self,
        span: &SendSpan,
        destination: &Destination,
        error: Option<(&str, &str)>,
        room: &mut Room<'_>,
    ) {
        span.write(&self.0, destination, error, room);
    }

    fn settle(&self, mut state: MutexGuard<'_, State>, time: u64) {
        if state.end.is_none() {
            return;
        }
        if state.told == self.0.outputs.count() {
            self.0.write(&mut state, time);
        } else {
            self.wait(&mut state);
        }
    }

    /// Makes sure that the hop is told at the latest when the export stops.
    fn wait(&self, state: &mut State) {
        let recorder = &self.0.recorder;
        let is_noted = state.waiting.as_ref().is_some_and(|ticket| recorder.knows(ticket));
        if !is_noted && !state.is_settled && recorder.is_on() {
            state.waiting = recorder.wait(Arc::downgrade(&self.0));
        }
    }
}

/// Why an output is closed without an acknowledgement.
pub(super) enum Unacknowledged {
    /// Nobody told what became of it.
    Unknown,
    /// The broker or the client refused it.
    Failed { error_type: String, reason: String, origin: Option<Box<Origin>> },
}

/// How a span begins.
pub(super) struct Begun {
    /// The baton with the new span in it, and the decision whether it is sampled.
    pub(super) baton: Baton,
    pub(super) context: TraceContext,
    pub(super) span_id: SpanId,
    /// The span above it.
    pub(super) parent: Option<Link>,
}

/// Decides the trace a record's hop belongs to, and the span above it.
///
/// A record without a context starts a trace with a new id. A legacy id names a trace but no span:
/// the hop is then a root that has that trace id, and its sampling is decided here.
#[inline]
pub(super) fn begin(recorder: &Recorder, baton: &Baton) -> Begun {
    let context = baton.context.unwrap_or_else(|| TraceContext::root(TraceId::generate()));
    let parent = context.span_id.map(|span_id| Link {
        trace_id: context.trace_id,
        span_id,
        flags: context.flags,
    });
    let (flags, tracestate, is_deferred) = if parent.is_some() && !baton.is_deferred {
        (context.flags, baton.tracestate.clone(), false)
    } else {
        decide(recorder, Baton { context: Some(context), ..baton.clone() })
    };
    let span_id = SpanId::generate();
    let context = TraceContext { span_id: Some(span_id), flags, ..context };
    let baton = Baton {
        context: Some(context),
        tracestate,
        baggage: baton.baggage.clone(),
        legacy: baton.legacy.clone(),
        is_debug: baton.is_debug,
        is_deferred,
    };
    Begun { baton, context, span_id, parent }
}

/// Decides if a trace is sampled that nobody has decided on yet, and returns what that changes.
fn decide(recorder: &Recorder, baton: Baton) -> (Flags, TraceState, bool) {
    let Baton { context, tracestate, is_deferred, .. } = recorder.decide_on(baton);
    (context.map_or_else(Flags::default, |context| context.flags), tracestate, is_deferred)
}

/// Tells of the method of a request, by its known name and as it was sent.
pub(crate) fn describe_method(facts: &mut Facts, known: &'static str, method: &str) {
    match known {
        "GET" => facts.constant(pair!("http.request.method", "GET")),
        "POST" => facts.constant(pair!("http.request.method", "POST")),
        known => facts.text(attribute!("http.request.method"), known),
    }
    if known == OTHER {
        facts.text(attribute!("http.request.method_original"), cut(method));
    }
}

/// Returns what a method is called in a span's name: a client must not be able to make up names
/// (HTTP semantic conventions, "Name").
pub(crate) fn http_name(method: &str) -> &'static str {
    named(http_method(method))
}

pub(crate) fn named(known: &'static str) -> &'static str {
    if known == OTHER { "HTTP" } else { known }
}

/// Returns a method as `http.request.method` may have it, or `_OTHER`.
pub(crate) fn http_method(method: &str) -> &'static str {
    const KNOWN: [&str; 10] =
        ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "QUERY", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| method == *known).unwrap_or(OTHER)
}

const OTHER: &str = "_OTHER";

/// Cuts a text to what an event may carry, at a character's start.
pub(super) fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or(text)
}
