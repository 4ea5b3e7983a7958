//! The way of one signal to its endpoint: a queue, a request at a time, and patience.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};

use super::{
    options::{Compression, Options},
    report::Tally,
    request::{Shipment, Signal},
    transport::{Delivery, Transport},
};
use crate::{
    hop::{Counts, Recorder},
    wire::SpanId,
};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// An endpoint may ask for more time than we would give it, but not for ever.
const LONGEST_ASKED_PAUSE: Duration = Duration::from_secs(60);

pub(super) struct Lane {
    signal: Signal,
    url: String,
    is_quiet: bool,
    is_gzip: bool,
    resource: Arc<[u8]>,
    recorder: Recorder,
    transport: Arc<Transport>,
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
    queue: VecDeque<Shipment>,
    /// How many shipments were put in, and how many are done with.
    queued: u64,
    done: u64,
    /// How many items were given up.
    refused: u64,
    standing: Standing,
}

/// What the last request came to.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Untried,
    Well,
    Refused,
    Away,
}

/// How far a lane has to get until all that was queued at a moment is done with.
pub(super) struct Mark {
    done: u64,
    refused: u64,
}

impl Lane {
    pub(super) fn new(
        signal: Signal,
        recorder: &Recorder,
        options: &Options,
        resource: Arc<[u8]>,
        transport: Arc<Transport>,
        tally: Tally,
        progress: Arc<Notify>,
    ) -> Self {
        Self {
            signal,
            url: signal.url(options).to_owned(),
            is_quiet: options.is_quiet,
            is_gzip: options.compression == Compression::Gzip,
            resource,
            recorder: recorder.clone(),
            transport,
            tally,
            state: Mutex::default(),
            work: Notify::new(),
            wake: Notify::new(),
            progress,
        }
    }

    /// Tells whether something is on its way, or waits to be.
    pub(super) fn is_waiting(&self) -> bool {
        !self.lock().queue.is_empty()
    }

    /// Tells whether what is collected has to wait for long, or memory is needed for what comes. A
    /// burst that is on its way is not packed: that costs more than all else that is done with it.
    fn has_to_wait(&self) -> bool {
        self.lock().standing == Standing::Away || self.recorder.is_filling()
    }

    /// Tells whether the endpoint has taken the last request.
    pub(super) fn is_well(&self) -> bool {
        self.lock().standing == Standing::Well
    }

    /// Takes from the recorder: all there is, or only what makes a full request.
    pub(super) fn collect(&self, only_full: bool) {
        let mut is_all = false;
        // What is recorded meanwhile waits for the next time: else a busy application would be
        // followed record by record.
        while !is_all && let Some(taken) = self.recorder.take_part(self.signal.part(), only_full) {
            is_all = taken.is_all;
            let taken_bytes: usize = taken.chunks.iter().map(Vec::len).sum();
            let (chunks, counts) = (taken.chunks, taken.counts);
            let mut shipment = Shipment::new(&self.resource, chunks, counts, &self.recorder);
            // What has to wait for long is packed: memory is what an outage costs.
            if self.is_gzip || self.has_to_wait() {
                shipment.pack();
            }
            self.recorder.charge(shipment.len());
            self.recorder.settle(taken_bytes);
            let mut state = self.lock();
            state.queue.push_back(shipment);
            state.queued += 1;
            drop(state);
            self.work.notify_one();
        }
    }

    /// Ends a pause that is under way, and marks how far there is to go.
    pub(super) fn hurry(&self) -> Mark {
        self.wake.notify_one();
        let state = self.lock();
        Mark { done: state.queued, refused: state.refused }
    }

    /// Tells whether all up to a mark is done with.
    pub(super) fn has_reached(&self, mark: &Mark) -> bool {
        self.lock().done >= mark.done
    }

    /// Tells whether anything was refused since a mark was made.
    pub(super) fn has_refused_since(&self, mark: &Mark) -> bool {
        self.lock().refused != mark.refused
    }

    /// Gives up what is queued, and returns how much that was.
    pub(super) fn abandon(&self) -> Counts {
        let mut counts = Counts::default();
        for shipment in self.lock().queue.drain(..) {
            self.recorder.settle(shipment.len());
            counts += shipment.counts;
        }
        counts
    }

    /// Delivers what is queued, for ever.
    pub(super) async fn run(self: Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        loop {
            // The shipment stays in the queue until it is done with, so that it is accounted for
            // whenever this stops.
            let Some(body) = self.lock().queue.front().map(Shipment::body) else {
                self.work.notified().await;
                continue;
            };
            match self.transport.post(self.signal, body).await {
                Delivery::Done { rejected } => {
                    pause = FIRST_PAUSE;
                    if self.stand(Standing::Well) == Standing::Away {
                        self.say(&format!("exporting to {} again", self.url));
                    }
                    self.finish(rejected);
                }
                Delivery::Refused { cause } => {
                    pause = FIRST_PAUSE;
                    if self.stand(Standing::Refused) != Standing::Refused {
                        let url = &self.url;
                        self.say(&format!("{url} does not take what is exported: {cause}"));
                    }
                    self.finish(u64::MAX);
                }
                Delivery::Retry { after, cause } => {
                    if self.stand(Standing::Away) != Standing::Away {
                        let url = &self.url;
                        self.say(&format!("cannot export to {url}: {cause}; trying again"));
                    }
                    let asked = after.map(|after| after.min(LONGEST_ASKED_PAUSE));
                    let wait = asked.unwrap_or_else(|| jittered(pause));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    tokio::select! {
                        () = sleep(wait) => {}
                        () = self.wake.notified() => pause = FIRST_PAUSE,
                    }
                }
            }
        }
    }

    /// Counts what the oldest shipment came to and lets it go.
    fn finish(&self, rejected: u64) {
        let mut state = self.lock();
        let Some(shipment) = state.queue.pop_front() else { return };
        let (exported, refused) = shipment.split(rejected);
        state.done += 1;
        state.refused += refused.total();
        drop(state);
        self.recorder.settle(shipment.len());
        self.tally.exported(exported);
        self.tally.refused(refused);
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
            use std::io::Write;
            // Nobody is left to tell where stderr is gone.
            let _ = writeln!(std::io::stderr(), "tracebaton: {text}");
        }
    }
}

/// Returns between half of a pause and all of it, so that many processes do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let [random, ..] = SpanId::generate().to_bytes();
    pause.mul_f64(0.5 + f64::from(random) / 512.0)
}
