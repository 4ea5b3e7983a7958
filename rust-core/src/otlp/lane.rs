//! The way of one signal to its endpoint: a queue, a request at a time, and patience.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, task::spawn_blocking, time::sleep};

use super::{
    answer::Delivery,
    host::SpanHost,
    options::Options,
    patience::{Next, Record, Tries},
    report::{Tally, say},
    request::{Shipment, Signal},
    transport::Transport,
};
use crate::{
    hop::{Counts, Recorder},
    wire::SpanId,
};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// An endpoint may ask for more time than we would give it, but not for ever.
const LONGEST_ASKED_PAUSE: Duration = Duration::from_secs(60);

/// Where a signal goes.
pub(super) enum Way {
    /// It is not exported.
    Nowhere,
    Endpoint(Box<Transport>),
    /// The host takes it.
    Host(SpanHost),
}

pub(super) struct Lane {
    signal: Signal,
    is_quiet: bool,
    patience: Duration,
    resource: Arc<[u8]>,
    recorder: Recorder,
    way: Way,
    tally: Tally,
    state: Mutex<State>,
    /// There is something to do.
    work: Notify,
    /// A pause is to end at once.
    wake: Notify,
    /// Something is done.
    progress: Arc<Notify>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Waiting>,
    /// How many shipments were put in.
    queued: u64,
    /// How many items were given up.
    refused: u64,
    standing: Standing,
    record: Record,
    /// Whether it was said that requests are given up.
    is_told: bool,
    /// The export is about to end.
    is_last: bool,
}

/// A shipment that is not done with.
struct Waiting {
    shipment: Shipment,
    /// How many were put in up to this one.
    number: u64,
    tries: Tries,
}

/// What the last request came to.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Untried,
    Well,
    /// It took a part.
    Choosy,
    Refused,
    Away,
}

/// How far a lane has to get until all that was queued at a moment is done with.
pub(super) struct Mark {
    queued: u64,
    refused: u64,
}

impl Lane {
    pub(super) fn new(
        signal: Signal,
        recorder: &Recorder,
        options: &Options,
        resource: Arc<[u8]>,
        way: Way,
        tally: Tally,
        progress: Arc<Notify>,
    ) -> Self {
        Self {
            signal,
            is_quiet: options.is_quiet,
            patience: options.patience,
            resource,
            recorder: recorder.clone(),
            way,
            tally,
            state: Mutex::default(),
            work: Notify::new(),
            wake: Notify::new(),
            progress,
        }
    }

    /// Tells whether something is on its way, or waits to be; what has let others go first does not
    /// keep them waiting.
    pub(super) fn is_waiting(&self) -> bool {
        self.lock().queue.iter().any(|waiting| !waiting.tries.is_last())
    }

    /// Tells whether the export is about to end: there is no time for packing then.
    fn is_last(&self) -> bool {
        self.lock().is_last
    }

    /// Tells whether what is collected has to wait for long, or memory is needed for what comes. A
    /// burst that is on its way is not packed: that costs more than all else that is done with it.
    fn has_to_wait(&self) -> bool {
        self.lock().standing == Standing::Away || self.recorder.is_filling()
    }

    /// Tells whether the endpoint has taken the last request, or a part of it.
    pub(super) fn is_well(&self) -> bool {
        matches!(self.lock().standing, Standing::Well | Standing::Choosy)
    }

    /// Takes from the recorder: all there is, or only what makes a full request.
    pub(super) fn collect(&self, only_full: bool) {
        // What has to wait for long is packed: memory is what an outage costs.
        let is_to_be_packed = || match &self.way {
            Way::Endpoint(transport) => {
                !self.is_last() && (transport.is_gzip() || self.has_to_wait())
            }
            Way::Nowhere | Way::Host(_) => false,
        };
        if matches!(self.way, Way::Nowhere) {
            return self.forget();
        }
        let mut is_all = false;
        // What is recorded meanwhile waits for the next time: else a busy application would be
        // followed record by record.
        while !is_all && let Some(taken) = self.recorder.take_part(self.signal.part(), only_full) {
            is_all = taken.is_all;
            let taken_bytes: usize = taken.chunks.iter().map(Vec::len).sum();
            let (chunks, counts) = (taken.chunks, taken.counts);
            let mut shipment = Shipment::new(&self.resource, chunks, counts, &self.recorder);
            if is_to_be_packed() {
                shipment.pack();
            }
            self.recorder.charge(shipment.len());
            self.recorder.settle(taken_bytes);
            let mut state = self.lock();
            state.queued += 1;
            let number = state.queued;
            state.queue.push_back(Waiting { shipment, number, tries: Tries::default() });
            drop(state);
            self.work.notify_one();
        }
    }

    /// Takes from the recorder what is not to be exported, and lets it go.
    fn forget(&self) {
        let mut is_all = false;
        while !is_all && let Some(taken) = self.recorder.take_part(self.signal.part(), false) {
            is_all = taken.is_all;
            self.recorder.settle(taken.chunks.iter().map(Vec::len).sum());
            taken.chunks.into_iter().for_each(|memory| self.recorder.recycle(memory));
        }
    }

    /// Ends a pause that is under way, and marks how far there is to go.
    pub(super) fn hurry(&self) -> Mark {
        self.wake.notify_one();
        let state = self.lock();
        Mark { queued: state.queued, refused: state.refused }
    }

    /// Tells whether all up to a mark is done with.
    pub(super) fn has_reached(&self, mark: &Mark) -> bool {
        self.lock().queue.iter().all(|waiting| waiting.number > mark.queued)
    }

    /// Tells whether anything was refused since a mark was made.
    pub(super) fn has_refused_since(&self, mark: &Mark) -> bool {
        self.lock().refused != mark.refused
    }

    /// Gives up what is queued, and returns how much that was.
    pub(super) fn abandon(&self) -> Counts {
        let mut counts = Counts::default();
        for Waiting { shipment, .. } in self.lock().queue.drain(..) {
            self.recorder.settle(shipment.len());
            counts += shipment.counts;
        }
        counts
    }

    /// Makes ready for the end: there is no later.
    pub(super) fn end(&self) {
        self.lock().is_last = true;
    }

    /// Delivers what is queued, for ever.
    pub(super) async fn run(self: Arc<Self>) {
        match &self.way {
            Way::Nowhere => {}
            Way::Host(host) => self.hand_over(host).await,
            Way::Endpoint(transport) => self.post(transport).await,
        }
    }

    /// Hands what is queued to the host, from a thread of its own: a host that is busy holds up nothing
    /// else.
    async fn hand_over(&self, host: &SpanHost) {
        loop {
            let first = self
                .lock()
                .queue
                .front()
                .map(|first| (first.shipment.chunks(), first.shipment.counts.spans));
            let Some((chunks, count)) = first else {
                self.work.notified().await;
                continue;
            };
            let host = host.clone();
            let taken = spawn_blocking(move || host.take(&chunks)).await;
            self.finish(count.saturating_sub(taken.unwrap_or(0)));
        }
    }

    async fn post(&self, transport: &Transport) {
        let mut pause = FIRST_PAUSE;
        loop {
            // The shipment stays in the queue until it is done with, so that it is accounted for
            // whenever this stops.
            let Some(body) = self.lock().queue.front().map(|first| first.shipment.body()) else {
                self.work.notified().await;
                continue;
            };
            let url = transport.url();
            match transport.post(body).await {
                Delivery::Done { rejected, cause } => {
                    pause = FIRST_PAUSE;
                    self.lock().record.take();
                    let stood = match rejected {
                        0 => self.stand(Standing::Well),
                        _ => self.stand(Standing::Choosy),
                    };
                    if rejected > 0 && stood != Standing::Choosy {
                        self.say(&format!("{url} does not take all that is exported: {cause}"));
                    } else if stood == Standing::Away {
                        self.say(&format!("exporting to {url} again"));
                    }
                    self.finish(rejected);
                }
                Delivery::Refused { cause } => {
                    pause = FIRST_PAUSE;
                    if self.stand(Standing::Refused) != Standing::Refused {
                        self.say(&format!("{url} does not take what is exported: {cause}"));
                    }
                    self.finish(u64::MAX);
                }
                Delivery::Retry { after, cause } => {
                    match self.put_back() {
                        Next::GiveUp => self.give_up(url, &cause),
                        // A request that fails each time says nothing new of its endpoint.
                        Next::WaitOn => {}
                        Next::TryAgain | Next::Wait => {
                            if self.stand(Standing::Away) != Standing::Away {
                                self.say(&format!("cannot export to {url}: {cause}; trying again"));
                            }
                        }
                    }
                    pause = self.pause(pause, after).await;
                }
            }
        }
    }

    /// Pauses before another try, and returns how long the next pause would be.
    async fn pause(&self, pause: Duration, asked: Option<Duration>) -> Duration {
        // Never less than our own: whoever asks for no pause at all would be asked without end.
        let wait = jittered(pause).max(asked.unwrap_or_default().min(LONGEST_ASKED_PAUSE));
        let mut time = std::pin::pin!(sleep(wait));
        loop {
            tokio::select! {
                () = &mut time => return (pause * 2).min(LONGEST_PAUSE),
                () = self.wake.notified() => if asked.is_none() || self.is_last() {
                    return FIRST_PAUSE;
                }
            }
        }
    }

    /// Notes that the first shipment was sent in vain, lets others go first if it was so too often, and
    /// tells what is to become of it.
    fn put_back(&self) -> Next {
        let mut state = self.lock();
        let State { queue, record, .. } = &mut *state;
        let Some(first) = queue.front_mut() else { return Next::TryAgain };
        let next = first.tries.fail(record, self.patience, Instant::now());
        if matches!(next, Next::Wait | Next::WaitOn) {
            queue.rotate_left(1);
        }
        next
    }

    /// Lets the first shipment go, as the endpoint fails on it and takes others.
    fn give_up(&self, url: &str, cause: &str) {
        if !std::mem::replace(&mut self.lock().is_told, true) {
            let why = "it was tried for long, while others were taken";
            self.say(&format!("gave up a request that {url} fails on: {cause}; {why}"));
        }
        self.settle(u64::MAX, Tally::given_up);
    }

    /// Counts what the first shipment came to and lets it go.
    fn finish(&self, rejected: u64) {
        self.settle(rejected, Tally::refused);
    }

    fn settle(&self, rejected: u64, count: fn(&Tally, Counts)) {
        let mut state = self.lock();
        let Some(Waiting { shipment, .. }) = state.queue.pop_front() else { return };
        let (exported, refused) = shipment.split(rejected);
        state.refused += refused.total();
        drop(state);
        self.recorder.settle(shipment.len());
        self.tally.exported(exported);
        count(&self.tally, refused);
        self.progress.notify_one();
    }

    /// Notes how the endpoint stands, and returns how it stood.
    fn stand(&self, standing: Standing) -> Standing {
        std::mem::replace(&mut self.lock().standing, standing)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, text: &str) {
        if !self.is_quiet {
            say(text);
        }
    }
}

/// Returns between half of a pause and all of it, so that many processes do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let [random, ..] = SpanId::generate().to_bytes();
    pause.mul_f64(0.5 + f64::from(random) / 512.0)
}
