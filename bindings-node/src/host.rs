//! Spans of hops for the host's own SDK: the exporter's thread offers them, and JavaScript takes them.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use napi::{
    Status,
    bindgen_prelude::{Either3, Function},
    threadsafe_function::ThreadsafeFunctionCallMode,
};
use napi_derive::napi;
use tracebaton::{
    hop::{FinishedLink, FinishedSpan, Value},
    otlp::SpanHost,
};

/// What is to be called when spans are offered, by JavaScript's own thread.
pub(crate) type Take<'f> = Function<'f, (), ()>;

/// How long JavaScript's thread sleeps between two looks at what it waits for.
const GLANCE: Duration = Duration::from_millis(1);

/// What passes between the exporter's thread and the one whose SDK has the spans.
struct Counter {
    thread: Option<ThreadId>,
    /// Counts the offers, so that an answer that comes too late is nobody's.
    turn: u32,
    offered: Option<Vec<FinishedSpan>>,
    taken: Option<u32>,
}

static COUNTER: Mutex<Counter> =
    Mutex::new(Counter { thread: None, turn: 0, offered: None, taken: None });
static CHANGED: Condvar = Condvar::new();

fn counter() -> MutexGuard<'static, Counter> {
    COUNTER.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Counter {
    fn is_mine(&self) -> bool {
        self.thread == Some(thread::current().id())
    }
}

/// Returns what hands spans to this thread's SDK.
///
/// # Errors
///
/// Fails where the function cannot be called from other threads.
pub(crate) fn spans(take: &Take<'_>) -> napi::Result<SpanHost> {
    // It does not keep a process alive that has nothing else to do.
    let wake =
        take.build_threadsafe_function::<()>().callee_handled::<false>().weak::<true>().build()?;
    counter().thread = Some(thread::current().id());
    Ok(SpanHost::new(move |spans| {
        offer(spans, || wake.call((), ThreadsafeFunctionCallMode::NonBlocking)) as usize
    }))
}

/// Offers spans and waits for the answer, however busy JavaScript is: how many were taken. Nobody else
/// waits for it, and what is not offered yet counts towards the memory limit.
fn offer(spans: Vec<FinishedSpan>, wake: impl FnOnce() -> Status) -> u32 {
    let mut counter = counter();
    let turn = counter.turn.wrapping_add(1);
    counter.turn = turn;
    (counter.offered, counter.taken) = (Some(spans), None);
    CHANGED.notify_all();
    drop(counter);
    wake();
    let is_open = |counter: &mut Counter| {
        counter.turn == turn && counter.taken.is_none() && counter.thread.is_some()
    };
    let waited = CHANGED.wait_while(self::counter(), is_open);
    let mut counter = waited.unwrap_or_else(PoisonError::into_inner);
    if counter.turn != turn {
        // Another export has begun, and offers its own.
        return 0;
    }
    counter.turn = turn.wrapping_add(1);
    counter.offered = None;
    counter.taken.take().unwrap_or(0)
}

/// Takes note that this thread ends: nobody takes spans any more, if it was the one that did.
pub(crate) fn leave() {
    let mut counter = counter();
    if counter.is_mine() {
        counter.thread = None;
        CHANGED.notify_all();
    }
}

/// Waits until there is an answer, and lets this thread's SDK take the spans that are offered meanwhile:
/// who has them to give may be who is waited for.
pub(crate) fn wait_for<T>(take: Option<&Take<'_>>, mut answer: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        let until = Instant::now() + GLANCE;
        let counter = counter();
        if counter.is_mine() && counter.offered.is_some() {
            drop(counter);
            // What the function throws is its own; then nothing was taken.
            let _ = take.map(|take| take.call(()));
        } else {
            drop(counter);
            thread::sleep(until.saturating_duration_since(Instant::now()));
        }
    }
}

/// A span that has ended, as JavaScript's SDK wants to hear of it.
#[napi(object)]
pub struct HostSpan {
    /// The trace.
    pub trace_id: String,
    /// The span.
    pub span_id: String,
    /// The span above, unless it is a root.
    pub parent: Option<String>,
    /// Whether that is in another process.
    pub parent_is_remote: bool,
    /// The trace flags.
    pub flags: u32,
    /// The vendors' state.
    pub tracestate: String,
    /// The name.
    pub name: String,
    /// The part it plays, as OTLP numbers it.
    pub kind: u32,
    /// Seconds and nanoseconds since 1970.
    pub start: Vec<f64>,
    /// Seconds and nanoseconds since 1970.
    pub end: Vec<f64>,
    /// Keys of attributes.
    pub keys: Vec<String>,
    /// Their values by position.
    pub values: Vec<Either3<String, f64, bool>>,
    /// Spans it has to do with.
    pub links: Vec<HostLink>,
    /// What went wrong, if anything did.
    pub error: Option<String>,
    /// Type and message of the exception that ended it.
    pub exception: Option<Vec<String>>,
}

/// A span that another has to do with.
#[napi(object)]
pub struct HostLink {
    /// The trace.
    pub trace_id: String,
    /// The span.
    pub span_id: String,
    /// The trace flags.
    pub flags: u32,
    /// Keys of attributes.
    pub keys: Vec<String>,
    /// Their values by position.
    pub values: Vec<Either3<String, f64, bool>>,
}

/// Spans that are offered, and what to answer with.
#[napi(object)]
pub struct Offered {
    /// Which offer it is.
    pub turn: u32,
    /// The spans.
    pub spans: Vec<HostSpan>,
}

/// Returns the spans that are offered to this thread's SDK; null where none are.
#[napi]
pub fn offered_spans() -> Option<Offered> {
    let mut counter = counter();
    let spans = if counter.is_mine() { counter.offered.take()? } else { return None };
    Some(Offered { turn: counter.turn, spans: spans.into_iter().map(HostSpan::from).collect() })
}

/// Says how many of the spans of an offer the SDK took.
#[napi]
pub fn took_spans(turn: u32, count: u32) {
    let mut counter = counter();
    if counter.turn == turn {
        counter.taken = Some(count);
        CHANGED.notify_all();
    }
}

impl From<FinishedSpan> for HostSpan {
    fn from(span: FinishedSpan) -> Self {
        let (keys, values) = plain(span.attributes);
        Self {
            trace_id: span.trace_id.to_string(),
            span_id: span.span_id.to_string(),
            parent: span.parent.map(|parent| parent.to_string()),
            parent_is_remote: span.parent_is_remote,
            flags: span.flags.bits().into(),
            tracestate: span.tracestate,
            name: span.name,
            kind: span.kind as u32,
            start: time(span.start),
            end: time(span.end),
            keys,
            values,
            links: span.links.into_iter().map(HostLink::from).collect(),
            error: span.error,
            exception: span.exception.map(|(kind, message)| vec![kind, message]),
        }
    }
}

impl From<FinishedLink> for HostLink {
    fn from(link: FinishedLink) -> Self {
        let (keys, values) = plain(link.attributes);
        Self {
            trace_id: link.trace_id.to_string(),
            span_id: link.span_id.to_string(),
            flags: link.flags.bits().into(),
            keys,
            values,
        }
    }
}

/// Returns attributes as JavaScript's API may have them, which knows no bytes.
fn plain(
    attributes: Vec<(String, Value<'static>)>,
) -> (Vec<String>, Vec<Either3<String, f64, bool>>) {
    let convert = |(key, value)| match value {
        Value::Text(text) => Some((key, Either3::A(text.into_owned()))),
        Value::Int(number) => Some((key, Either3::B(number as f64))),
        Value::Double(number) => Some((key, Either3::B(number))),
        Value::Bool(flag) => Some((key, Either3::C(flag))),
        Value::Bytes(_) => None,
    };
    attributes.into_iter().filter_map(convert).unzip()
}

const SECOND: u64 = 1_000_000_000;

fn time(nanoseconds: u64) -> Vec<f64> {
    vec![(nanoseconds / SECOND) as f64, (nanoseconds % SECOND) as f64]
}
