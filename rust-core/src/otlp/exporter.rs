//! The handle of the background thread.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::{Notify, mpsc};

use super::{
    error::OptionError,
    options::{LONGEST, Options},
    report::{ShutdownReport, Tally, say},
    resource,
    worker::{Command, Worker},
};
use crate::hop::Recorder;

/// Sends what a [`Recorder`] holds to an OTLP endpoint, from a thread of its own.
///
/// Dropping it shuts it down with a deadline of one second.
pub struct Exporter {
    commands: mpsc::UnboundedSender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
    tally: Tally,
    recorder: Recorder,
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
    /// Returns an [`OptionError`] where an endpoint or its certificates cannot be used, or no thread
    /// can be started.
    pub fn start(recorder: &Recorder, options: &Options) -> Result<Self, OptionError> {
        let (commands, inbox) = mpsc::unbounded_channel();
        let tally = Tally::default();
        recorder.set_service(&resource::service_name(options));
        if options.is_disabled {
            return Ok(Self {
                commands,
                thread: Mutex::default(),
                tally,
                recorder: recorder.clone(),
            });
        }
        let worker = Worker::new(recorder, options, tally.clone())?;
        if !options.is_quiet {
            options.warnings.iter().for_each(|warning| say(&warning.to_string()));
        }
        if let Some(rate) = options.sample_rate {
            recorder.set_sample_rate(rate);
        }
        let full = Arc::new(Notify::new());
        let waker = full.clone();
        recorder.on_full(move || waker.notify_one());
        recorder.set_limit(options.limit_bytes);
        recorder.switch(true);
        let failed = |error: std::io::Error| OptionError::new("exporter thread", error.to_string());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let thread = thread::Builder::new()
            .name("tracebaton-otlp".into())
            .spawn(move || {
                runtime.block_on(worker.run(inbox, full));
                // A look-up of the endpoint's name may still hang in a thread: it is not waited for.
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        let thread = Mutex::new(Some(thread));
        Ok(Self { commands, thread, tally, recorder: recorder.clone() })
    }

    /// Sends everything recorded so far; tells whether the endpoint has it within the deadline.
    ///
    /// What does not arrive by then is kept and tried again.
    pub fn flush(&self, within: Duration) -> bool {
        let (done, answer) = std_mpsc::channel();
        let within = within.min(LONGEST);
        let deadline = Instant::now() + within;
        let is_sent = self.commands.send(Command::Flush { deadline, done }).is_ok();
        is_sent && answer.recv_timeout(within + GRACE).unwrap_or(false)
    }

    /// Sends what is left within the deadline, stops, and tells what came of it all.
    ///
    /// Hops that are done but for word of their outputs are told as they are, these unconfirmed. Those of
    /// which the broker has an output and that are not done by then are pending.
    pub fn shutdown(&self, within: Duration) -> ShutdownReport {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let deadline = Instant::now() + within.min(LONGEST);
            self.recorder.settle_waiting();
            let _ = self.commands.send(Command::Shutdown { deadline });
            // A panic of the thread shows in the report: what it held was not exported.
            let _ = thread.join();
        }
        self.tally.report()
    }
}

/// How much later than its deadline an answer to a flush may come: the thread may be at work.
const GRACE: Duration = Duration::from_millis(100);

impl Drop for Exporter {
    fn drop(&mut self) {
        self.shutdown(Duration::from_secs(1));
    }
}
