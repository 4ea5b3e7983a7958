//! The background thread: takes, posts, tries again, and accounts for everything it took.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{sleep, sleep_until, timeout_at},
};

use super::{
    options::{OptionError, Options},
    request::{Shipment, Signal, shipments},
    resource,
    transport::{Delivery, Transport},
};
use crate::hop::{Counts, Recorder};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What an exporter's life came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// What the endpoint acknowledged.
    pub exported: Counts,
    /// What was given up: the endpoint refused it, or memory was full.
    pub dropped: Counts,
    /// What was still held when the deadline came.
    pub lost: Counts,
}

impl ShutdownReport {
    /// Tells whether the endpoint has everything that was recorded.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.dropped.total() == 0 && self.lost.total() == 0
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (exported, dropped, lost) =
            (self.exported.total(), self.dropped.total(), self.lost.total());
        write!(f, "{exported} exported, {dropped} dropped, {lost} lost")
    }
}

enum Command {
    Flush { deadline: Instant, done: oneshot::Sender<bool> },
    Shutdown { deadline: Instant },
}

/// Sends what a [`Recorder`] holds to an OTLP endpoint, from a thread of its own.
///
/// Dropping it shuts it down with a deadline of one second.
pub struct Exporter {
    commands: mpsc::UnboundedSender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
    report: Arc<Mutex<ShutdownReport>>,
}

impl Exporter {
    /// Starts exporting what the process records, as the environment says.
    ///
    /// # Errors
    ///
    /// Returns an [`OptionError`] that names the variable whose value cannot be used.
    pub fn from_env(service_name: &str) -> Result<Self, OptionError> {
        let mut options = Options::from_env()?;
        options.service_name.get_or_insert_with(|| service_name.to_owned());
        Self::start(Recorder::global(), &options)
    }

    /// Starts exporting what `recorder` holds.
    ///
    /// # Errors
    ///
    /// Returns an [`OptionError`] where the certificates cannot be read or no thread can be started.
    pub fn start(recorder: &Recorder, options: &Options) -> Result<Self, OptionError> {
        let (commands, inbox) = mpsc::unbounded_channel();
        let report = Arc::<Mutex<ShutdownReport>>::default();
        recorder.set_service(&resource::service_name(options));
        if options.is_disabled {
            return Ok(Self { commands, thread: Mutex::default(), report });
        }
        let transport = Transport::new(options)?;
        let full = Arc::new(Notify::new());
        let waker = full.clone();
        recorder.on_full(move || waker.notify_one());
        recorder.set_limit(options.limit_bytes);
        recorder.switch(true);
        let worker = Worker {
            recorder: recorder.clone(),
            resource: resource::encode(options),
            transport,
            options: options.clone(),
            report: report.clone(),
            out_of_reach: None,
        };
        let failed = |error: std::io::Error| OptionError::new("exporter thread", error.to_string());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let thread = thread::Builder::new()
            .name("tracebaton-otlp".into())
            .spawn(move || runtime.block_on(worker.run(inbox, full)))
            .map_err(failed)?;
        Ok(Self { commands, thread: Mutex::new(Some(thread)), report })
    }

    /// Sends everything recorded so far; tells whether the endpoint has it within the deadline.
    pub fn flush(&self, within: Duration) -> bool {
        let (done, answer) = oneshot::channel();
        let command = Command::Flush { deadline: Instant::now() + within, done };
        self.commands.send(command).is_ok() && answer.blocking_recv().unwrap_or(false)
    }

    /// Sends what is left within the deadline, stops, and tells what came of it all.
    pub fn shutdown(&self, within: Duration) -> ShutdownReport {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = self.commands.send(Command::Shutdown { deadline: Instant::now() + within });
            // A panic of the thread shows in the report: what it held was not exported.
            let _ = thread.join();
        }
        *self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.shutdown(Duration::from_secs(1));
    }
}

struct Worker {
    recorder: Recorder,
    resource: Vec<u8>,
    transport: Transport,
    options: Options,
    report: Arc<Mutex<ShutdownReport>>,
    /// The signal that does not get through, once that has been said.
    out_of_reach: Option<Signal>,
}

impl Worker {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Command>, full: Arc<Notify>) {
        let mut waiting = None;
        loop {
            let command = match waiting.take() {
                Some(command) => Some(command),
                None => tokio::select! {
                    command = inbox.recv() => Some(command.unwrap_or(Command::Shutdown {
                        deadline: Instant::now() + Duration::from_secs(1),
                    })),
                    () = full.notified() => None,
                    () = sleep(self.options.interval) => None,
                },
            };
            match command {
                None => waiting = self.drain(None, Some(&mut inbox)).await,
                Some(Command::Flush { deadline, done }) => {
                    self.drain(Some(deadline), None).await;
                    let _ = done.send(self.recorder.held().total() == 0);
                }
                Some(Command::Shutdown { deadline }) => {
                    self.drain(Some(deadline), None).await;
                    self.recorder.switch(false);
                    return self.account();
                }
            }
        }
    }

    /// Posts all that is held. Ends early at the deadline, or with the command that came in.
    async fn drain(
        &mut self,
        deadline: Option<Instant>,
        mut inbox: Option<&mut mpsc::UnboundedReceiver<Command>>,
    ) -> Option<Command> {
        let mut command = None;
        let mut deadline = deadline;
        loop {
            let taken = self.recorder.take();
            if taken.is_empty() {
                return command;
            }
            for shipment in shipments(taken, &self.resource) {
                let arrived =
                    self.deliver(&shipment, &mut deadline, &mut command, &mut inbox).await;
                match arrived {
                    Some(rejected) => self.count(&shipment, rejected),
                    None => self.with_report(|report| report.lost += shipment.counts),
                }
                self.recorder.settle(shipment.held);
            }
            self.report_dropped();
        }
    }

    /// Posts one shipment until it is done with: returns how many of its items were rejected, or
    /// nothing where the deadline came first.
    async fn deliver(
        &mut self,
        shipment: &Shipment,
        deadline: &mut Option<Instant>,
        command: &mut Option<Command>,
        inbox: &mut Option<&mut mpsc::UnboundedReceiver<Command>>,
    ) -> Option<u64> {
        let mut pause = FIRST_PAUSE;
        loop {
            let post = self.transport.post(shipment.signal, &shipment.body);
            let delivery = match *deadline {
                Some(at) => timeout_at(at.into(), post).await.ok()?,
                None => post.await,
            };
            let (after, cause) = match delivery {
                Delivery::Done { rejected } => {
                    self.say_back(shipment.signal);
                    return Some(rejected);
                }
                Delivery::Refused { cause } => {
                    self.say_away(shipment.signal, &cause, "it will not take this request");
                    return Some(shipment.counts.total());
                }
                Delivery::Retry { after, cause } => (after, cause),
            };
            self.say_away(shipment.signal, &cause, "trying again");
            let wait = after.unwrap_or(pause).min(LONGEST_PAUSE);
            pause = (pause * 2).min(LONGEST_PAUSE);
            let until = Instant::now() + wait;
            match (*deadline, inbox.as_mut()) {
                (Some(at), _) if until >= at => {
                    sleep_until(at.into()).await;
                    return None;
                }
                // A flush or a shutdown does not wait for the pause to end: it brings a deadline.
                (None, Some(inbox)) => tokio::select! {
                    () = sleep_until(until.into()) => {}
                    next = inbox.recv() => {
                        let next = next.unwrap_or(Command::Shutdown {
                            deadline: Instant::now() + Duration::from_secs(1),
                        });
                        let (Command::Flush { deadline: at, .. }
                            | Command::Shutdown { deadline: at }) = &next;
                        *deadline = Some(*at);
                        *command = Some(next);
                    }
                },
                _ => sleep_until(until.into()).await,
            }
        }
    }

    /// Counts what a shipment came to.
    fn count(&self, shipment: &Shipment, rejected: u64) {
        // The endpoint tells how many it did not want, not which: log lines are assumed first.
        let mut left = rejected;
        let mut part = |count: u64| {
            let lost = count.min(left);
            left -= lost;
            lost
        };
        let lost = Counts {
            logs: part(shipment.counts.logs),
            ledger: part(shipment.counts.ledger),
            spans: part(shipment.counts.spans),
        };
        self.with_report(|report| {
            report.exported += Counts {
                spans: shipment.counts.spans - lost.spans,
                logs: shipment.counts.logs - lost.logs,
                ledger: shipment.counts.ledger - lost.ledger,
            };
            report.dropped += lost;
        });
    }

    /// Tells the endpoint what found no place in memory, now that it answers.
    fn report_dropped(&mut self) {
        if self.out_of_reach.is_some() {
            return;
        }
        let dropped = self.account_dropped();
        if dropped.total() > 0 {
            self.recorder.report_dropped(dropped);
        }
    }

    fn account_dropped(&self) -> Counts {
        let dropped = self.recorder.take_dropped();
        self.with_report(|report| report.dropped += dropped);
        dropped
    }

    fn account(&self) {
        self.account_dropped();
        let held = self.recorder.held();
        self.with_report(|report| report.lost += held);
    }

    fn with_report(&self, change: impl FnOnce(&mut ShutdownReport)) {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Says once, on stderr, that a signal does not get through.
    fn say_away(&mut self, signal: Signal, cause: &str, what: &str) {
        if self.out_of_reach.is_none() {
            self.out_of_reach = Some(signal);
            self.say(&format!("cannot export to {}: {cause}; {what}", self.url(signal)));
        }
    }

    fn say_back(&mut self, signal: Signal) {
        if self.out_of_reach == Some(signal) {
            self.out_of_reach = None;
            self.say(&format!("exporting to {} again", self.url(signal)));
        }
    }

    fn url(&self, signal: Signal) -> &str {
        match signal {
            Signal::Traces => &self.options.traces_url,
            Signal::Logs => &self.options.logs_url,
        }
    }

    fn say(&self, text: &str) {
        if !self.options.is_quiet {
            use std::io::Write;
            // Nobody is left to tell where stderr is gone.
            let _ = writeln!(std::io::stderr(), "tracebaton: {text}");
        }
    }
}
