//! What a hop knows: what is fixed when it starts, and what changes while it goes on.

use std::{
    borrow::Cow,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    facts::Facts,
    fate::{Fate, Fates},
    output::Origin,
    recorder::Recorder,
    sends::Sends,
    span::Link,
    tally::Tally,
    template::SharedTemplate,
    value::Value,
    waiting::Ticket,
};
use crate::{
    propagate::Baton,
    wire::{SpanId, TraceContext},
};

/// A hop, in one piece of memory as long as nothing unusual happens to it.
pub(super) struct Inner {
    pub(super) recorder: Recorder,
    pub(super) template: SharedTemplate,
    /// Partition and offset of the input.
    pub(super) place: Option<(i32, i64)>,
    /// What this hop hands on: the record's baton with this hop's span id in it.
    pub(super) baton: Baton,
    pub(super) context: TraceContext,
    pub(super) span_id: SpanId,
    pub(super) parent: Option<Link>,
    pub(super) start: u64,
    pub(super) outputs: Outputs,
    pub(super) state: Mutex<State>,
}

/// How many outputs were made, and whether those to come are dead letters: in one number, so that
/// making one waits for nobody.
#[derive(Default)]
pub(super) struct Outputs(AtomicU64);

const DEAD_LETTERS: u64 = 1 << 63;

impl Outputs {
    /// Counts one more, and tells whether it is a dead letter.
    #[inline]
    pub(super) fn add(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) & DEAD_LETTERS != 0
    }

    #[inline]
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed) & !DEAD_LETTERS
    }

    /// Says what those to come are.
    pub(super) fn are_dead_letters(&self, are: bool) {
        if are {
            self.0.fetch_or(DEAD_LETTERS, Ordering::Relaxed);
        } else {
            self.0.fetch_and(!DEAD_LETTERS, Ordering::Relaxed);
        }
    }
}

impl Inner {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What changes while the hop goes on.
pub(super) struct State {
    pub(super) sends: Sends,
    pub(super) end: Option<u64>,
    pub(super) unconfirmed: u64,
    /// Of how many outputs somebody has told.
    pub(super) told: u64,
    pub(super) attempt: u32,
    pub(super) fate: Option<Fate>,
    /// Where the recorder has noted that the hop waits for its outputs.
    pub(super) waiting: Option<Ticket>,
    /// Whether work on the record was left off in the middle.
    pub(super) is_pending: bool,
    pub(super) is_settled: bool,
    /// What was known of a request when it started; a name that was told later counts before those
    /// in here.
    pub(super) facts: Facts,
    /// With which status a request was answered.
    pub(super) status: Option<u16>,
    pub(super) rare: Option<Box<Rare>>,
}

/// What most hops do not have.
#[derive(Default)]
pub(super) struct Rare {
    /// The name in the ledger, where the template has none.
    pub(super) name: String,
    /// The name of the span, where the template has none.
    pub(super) span_name: Cow<'static, str>,
    pub(super) attributes: Vec<(Cow<'static, str>, Value<'static>)>,
    pub(super) dropped_attributes: u32,
    pub(super) links: Vec<Link>,
    pub(super) dropped_links: u32,
    pub(super) reason: Option<String>,
    pub(super) error_type: Option<String>,
    /// Whether an error was told, rather than read from an HTTP status.
    pub(super) is_exception: bool,
    pub(super) fates: Option<Fates>,
    pub(super) batch_id: Option<String>,
    /// The records of a batch.
    pub(super) tally: Option<Tally>,
    /// Those of them that were lost on their own.
    pub(super) lost: Vec<Lost>,
}

/// A record of a batch of which something was made that was refused.
pub(super) struct Lost {
    pub(super) origin: Box<Origin>,
    pub(super) error_type: String,
    pub(super) reason: String,
}

impl State {
    #[inline]
    pub(super) fn new(facts: Facts, rare: Option<Box<Rare>>) -> Mutex<Self> {
        Mutex::new(Self {
            sends: Sends::default(),
            end: None,
            unconfirmed: 0,
            told: 0,
            attempt: 1,
            fate: None,
            waiting: None,
            is_pending: false,
            is_settled: false,
            facts,
            status: None,
            rare,
        })
    }

    /// Makes room for what is rare.
    pub(super) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Takes note of the status with which a request was answered.
    pub(super) fn answered<'a>(&mut self, status: u16, reason: impl FnOnce() -> &'a str) {
        self.status = Some(status);
        if let Some(rare) = &mut self.rare {
            rare.attributes.retain(|(key, _)| key != STATUS_CODE);
        }
        let has_fates = self.rare.as_ref().is_some_and(|rare| rare.fates.is_some());
        if status >= 400 && self.fate.is_none() && !has_fates {
            self.fate = Some(Fate::Failed);
            let rare = self.rare();
            rare.error_type = Some(status.to_string());
            rare.reason = Some(reason().to_owned());
        }
    }

    /// Says of a record that was taken out of its batch that it is lost, where nobody has said anything: the
    /// table does not have it.
    pub(super) fn fail_untold(&mut self) {
        let is_told = self.fate.is_some() || self.is_pending;
        if !is_told && self.sends.emitted() + self.unconfirmed == 0 {
            self.fate = Some(Fate::Failed);
            let rare = self.rare();
            rare.error_type = Some("untold".to_owned());
            rare.reason = Some("taken out of its batch, and nothing was said of it".to_owned());
        }
    }

    /// Returns what became of the record; nothing where it is pending.
    pub(super) fn fate(&self) -> Option<Fate> {
        self.fate.or((!self.is_pending).then_some(Fate::Passed))
    }

    /// Tells whether the hop went wrong on this side: a 4xx is the client's fault and leaves a
    /// server span's status unset (HTTP semantic conventions, "Status").
    pub(super) fn is_error(&self) -> bool {
        let fates = self.rare.as_ref().and_then(|rare| rare.fates);
        let status = match self.status() {
            Some(Value::Int(code)) => code,
            _ => 0,
        };
        matches!(self.fate, Some(Fate::Failed | Fate::DeadLettered))
            && fates.is_none_or(|fates| fates.passed == 0)
            && !(400..500).contains(&status)
    }

    /// Returns the name of the span, where the template has none.
    pub(super) fn span_name(&self) -> &str {
        match &self.rare {
            Some(rare) if !rare.span_name.is_empty() => &rare.span_name,
            _ => self.facts.span_name(),
        }
    }

    /// Returns the name in the ledger, where the template has none.
    pub(super) fn name(&self) -> &str {
        match &self.rare {
            Some(rare) if !rare.name.is_empty() => &rare.name,
            _ => self.facts.name(),
        }
    }

    /// Returns the attribute that says with which status a request was answered.
    pub(super) fn status(&self) -> Option<Value<'static>> {
        if let Some(status) = self.status {
            return Some(i64::from(status).into());
        }
        let mut told = self.rare.iter().flat_map(|rare| &rare.attributes);
        told.find(|(key, _)| key == STATUS_CODE).map(|(_, value)| value.clone())
    }

    /// Returns how many attributes were told.
    pub(super) fn attribute_count(&self) -> usize {
        let more = self.rare.as_ref().map_or(0, |rare| rare.attributes.len());
        self.facts.count() + usize::from(self.status.is_some()) + more
    }
}

pub(super) const UNCONFIRMED: &str = "tracebaton.outputs.unconfirmed";
pub(super) const STATUS_CODE: &str = "http.response.status_code";
