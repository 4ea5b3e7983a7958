//! What the background thread does: takes from the recorder, hands to the lanes, obeys.

use std::{
    sync::{Arc, mpsc as std_mpsc},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, mpsc},
    time::{interval, sleep_until},
};

use super::{
    error::OptionError,
    lane::{Lane, Mark, Way},
    options::Options,
    report::Tally,
    request::Signal,
    resource,
    transport::Transport,
};
use crate::hop::{DropCause, Recorder};

/// What the handle asks of the thread.
pub(super) enum Command {
    Flush { deadline: Instant, done: std_mpsc::Sender<bool> },
    Shutdown { deadline: Instant },
}

/// A flush that is under way.
struct Flush {
    deadline: Instant,
    marks: [Mark; 2],
    done: std_mpsc::Sender<bool>,
}

/// One thread, two lanes: an outage of where spans go holds up no ledger event.
pub(super) struct Worker {
    recorder: Recorder,
    interval: Duration,
    tally: Tally,
    lanes: [Arc<Lane>; 2],
    /// A lane has got something done.
    progress: Arc<Notify>,
}

impl Worker {
    pub(super) fn new(
        recorder: &Recorder,
        options: &Options,
        tally: Tally,
    ) -> Result<Self, OptionError> {
        let progress = Arc::<Notify>::default();
        // One resource for both: its instance id is made here.
        let resource: Arc<[u8]> = resource::encode(options).into();
        let lane = |signal| {
            let way = match (options.endpoint(signal), &options.span_host) {
                (_, Some(host)) if signal == Signal::Traces => Way::Host(host.clone()),
                (Some(endpoint), _) => Way::Endpoint(Box::new(Transport::new(endpoint)?)),
                (None, _) => Way::Nowhere,
            };
            let (resource, tally, progress) = (resource.clone(), tally.clone(), progress.clone());
            Ok(Arc::new(Lane::new(signal, recorder, options, resource, way, tally, progress)))
        };
        let lanes = [lane(Signal::Traces)?, lane(Signal::Logs)?];
        Ok(Self { recorder: recorder.clone(), interval: options.interval, tally, lanes, progress })
    }

    pub(super) async fn run(self, mut inbox: mpsc::UnboundedReceiver<Command>, full: Arc<Notify>) {
        for lane in &self.lanes {
            tokio::spawn(lane.clone().run());
        }
        let mut ticks = interval(self.interval);
        let mut flushes = Vec::new();
        let stop = loop {
            let next = flushes.iter().map(|flush: &Flush| flush.deadline).min();
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(Command::Flush { deadline, done }) => {
                        let marks = self.hurry();
                        flushes.push(Flush { deadline, marks, done });
                    }
                    Some(Command::Shutdown { deadline }) => break deadline,
                    None => break Instant::now(),
                },
                _ = ticks.tick() => self.collect(),
                () = full.notified() => self.collect_full(),
                () = self.progress.notified() => self.report_dropped(),
                () = until(next) => {}
            }
            flushes.retain(|flush| !self.answer(flush));
        };
        self.stop(stop).await;
    }

    /// Takes what is there. Behind a lane that does not get through, things wait in the recorder
    /// until they make a full request.
    fn collect(&self) {
        self.report_dropped();
        for lane in &self.lanes {
            lane.collect(lane.is_waiting());
        }
    }

    /// Takes what makes full requests; the rest is still being filled.
    fn collect_full(&self) {
        for lane in &self.lanes {
            lane.collect(true);
        }
    }

    /// Takes all there is, lets the lanes try at once, and marks how far they have to get.
    fn hurry(&self) -> [Mark; 2] {
        self.report_dropped();
        self.lanes.each_ref().map(|lane| {
            lane.collect(false);
            lane.hurry()
        })
    }

    /// Answers a flush that has come to its end; tells whether it has.
    fn answer(&self, flush: &Flush) -> bool {
        let have_reached = self.have_reached(&flush.marks);
        let is_over = have_reached || Instant::now() >= flush.deadline;
        if is_over {
            let [traces, logs] = &self.lanes;
            let [of_traces, of_logs] = &flush.marks;
            let has_refused =
                traces.has_refused_since(of_traces) || logs.has_refused_since(of_logs);
            // Whoever asked may have stopped waiting.
            let _ = flush.done.send(have_reached && !has_refused);
        }
        is_over
    }

    fn have_reached(&self, marks: &[Mark; 2]) -> bool {
        self.lanes.iter().zip(marks).all(|(lane, mark)| lane.has_reached(mark))
    }

    /// Sends what is left until the deadline and accounts for the rest.
    async fn stop(&self, deadline: Instant) {
        self.lanes.iter().for_each(|lane| lane.end());
        // Twice: what was dropped can be told only once the endpoint has answered.
        for is_last in [false, true] {
            if is_last {
                // What is under way had all the time there was.
                self.recorder.settle_open();
            }
            let marks = self.hurry();
            while Instant::now() < deadline && !self.have_reached(&marks) {
                tokio::select! {
                    () = self.progress.notified() => {}
                    () = sleep_until(deadline.into()) => {}
                }
            }
        }
        self.recorder.switch(false);
        self.tally.memory_full(self.recorder.take_dropped());
        for lane in &self.lanes {
            // What was recorded meanwhile is taken too, so that it is counted and its memory freed.
            lane.collect(false);
            self.tally.lost(lane.abandon());
        }
    }

    /// Tells the endpoint what was dropped, once it answers.
    fn report_dropped(&self) {
        let [_, logs] = &self.lanes;
        if !logs.is_well() {
            return;
        }
        let dropped = self.recorder.take_dropped();
        self.tally.memory_full(dropped);
        let (refused, given_up) = self.tally.take_unsaid();
        for (counts, cause) in [
            (dropped, DropCause::MemoryFull),
            (refused, DropCause::Refused),
            (given_up, DropCause::GivenUp),
        ] {
            if counts.total() > 0 {
                self.recorder.report_dropped(counts, cause);
            }
        }
    }
}

/// Waits for a deadline, for ever where there is none.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
