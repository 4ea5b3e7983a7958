//! The headers of a message of which only those matter that nearly every message has.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tracebaton::{
    TraceContext,
    carrier::{Carrier, List, Medium, Search},
    propagate::{Baton, Propagation},
};

/// Counts how often the process's configuration was set.
static EPOCH: AtomicU32 = AtomicU32::new(1);

/// How messages are read and written at the moment.
#[derive(Clone)]
struct Rules {
    epoch: u32,
    propagation: Arc<Propagation>,
    /// Whether a message with nothing but the usual two headers means, and is given, just those.
    is_usual: bool,
}

thread_local! {
    static RULES: RefCell<Option<Rules>> = const { RefCell::new(None) };
}

/// Takes note that the configuration of the process was set.
pub(crate) fn forget_rules() {
    EPOCH.fetch_add(1, Ordering::Relaxed);
}

fn with_rules<T>(each: impl FnOnce(&Rules) -> T) -> T {
    let epoch = EPOCH.load(Ordering::Relaxed);
    RULES.with_borrow_mut(|rules| {
        if rules.as_ref().is_none_or(|known| known.epoch != epoch) {
            *rules = None;
        }
        each(rules.get_or_insert_with(|| Rules::new(epoch)))
    })
}

/// Returns how messages are read and written.
pub(crate) fn propagation() -> Arc<Propagation> {
    with_rules(|rules| rules.propagation.clone())
}

/// Tells whether `traceparent` and the trace id are all there is to a baton.
pub(crate) fn is_plain(baton: &Baton) -> bool {
    let has_more =
        baton.legacy.is_some() || !baton.tracestate.is_empty() || !baton.baggage.is_empty();
    !has_more && with_rules(|rules| rules.is_usual)
}

impl Rules {
    /// Asks the core what it makes of the usual headers: the shortcuts below hold where that is what
    /// they say.
    fn new(epoch: u32) -> Self {
        let propagation = Propagation::of_process();
        let plain = Baton { context: TraceContext::parse_bytes(SAMPLE).ok(), ..Baton::default() };
        let id = SAMPLE.get(3..35).unwrap_or_default();
        let is_read = [None, Some(id)].into_iter().all(|trace_id| {
            let found = propagation.extract(&Usual { traceparent: Some(SAMPLE), trace_id });
            found.baton == plain && found.refused.is_empty()
        });
        let mut written = List::new::<&[u8], &[u8]>(Medium::Kafka, []);
        propagation.inject(&plain, &mut written);
        let usual = List::new(Medium::Kafka, [(TRACEPARENT, Some(SAMPLE)), (TRACE_ID, Some(id))]);
        Self { epoch, propagation, is_usual: is_read && written == usual }
    }
}

const SAMPLE: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// `traceparent` and the legacy id of one message; it has no other header that is read.
pub(super) struct Usual<'a> {
    pub(super) traceparent: Option<&'a [u8]>,
    pub(super) trace_id: Option<&'a [u8]>,
}

impl Usual<'_> {
    /// Reads what nearly every message has: a `traceparent` that is right, and no legacy id or the same
    /// one. The core would find exactly that, and nothing to refuse; nothing here stands for any other
    /// case, which is the core's to decide.
    pub(super) fn plain(&self) -> Option<TraceContext> {
        if !with_rules(|rules| rules.is_usual) {
            return None;
        }
        let traceparent = self.traceparent?;
        let context = TraceContext::parse_bytes(traceparent).ok()?;
        // Where the trace id of a `traceparent` stands; as it was read, it is 32 lower-case digits.
        let is_same = self.trace_id.is_none_or(|id| traceparent.get(3..35) == Some(id));
        is_same.then_some(context)
    }

    /// Returns what the message carries, and what is not carried on but linked to.
    pub(super) fn baton(&self) -> (Baton, Option<TraceContext>) {
        if let Some(context) = self.plain() {
            return (Baton { context: Some(context), ..Baton::default() }, None);
        }
        let extracted = propagation().extract(self);
        (extracted.baton, extracted.linked)
    }
}

const TRACEPARENT: &str = "traceparent";
const TRACE_ID: &str = Medium::Kafka.legacy_name();

impl Carrier for Usual<'_> {
    fn medium(&self) -> Medium {
        Medium::Kafka
    }

    fn search<'a>(&'a self, search: &mut Search<'_, 'a>) {
        for (name, value) in [(TRACEPARENT, self.traceparent), (TRACE_ID, self.trace_id)] {
            if value.is_some() {
                search.offer(name.as_bytes(), value);
            }
        }
    }
}

/// What the header of a name is to us: 0 nothing, 1 and 2 one of the usual two, 3 another that is read.
pub(crate) fn role_of(name: &str) -> u32 {
    match (propagation().reads(name), name) {
        (false, _) => 0,
        (true, TRACEPARENT) => 1,
        (true, TRACE_ID) => 2,
        (true, _) => 3,
    }
}
