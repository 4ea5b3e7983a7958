//! Starting and stopping the export.

use std::{
    cell::Cell,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    thread,
    time::{Duration, Instant},
};

use napi::{Env, Task, bindgen_prelude::AsyncTask};
use napi_derive::napi;
use tracebaton::{
    hop::{Counts, Recorder},
    otlp::{Exporter, OptionError, Options, ShutdownReport as Core},
};

use crate::{
    baton::wrong,
    fast::{self, forget_rules},
    host::{self, Take},
    insert,
    settings::{self, Given},
};

/// The export of the process, and the threads that run JavaScript and have asked for it.
struct Shared {
    exporter: Option<Arc<Exporter>>,
    /// How it was started last.
    options: Option<Options>,
    threads: usize,
    /// Whether the main thread has ended: the others follow.
    is_ending: bool,
}

impl Shared {
    /// Starts the export.
    fn start(&mut self, options: Options) -> Result<(), OptionError> {
        self.exporter = Some(Arc::new(Exporter::start(Recorder::global(), &options)?));
        self.options = Some(options);
        Ok(())
    }

    /// Leaves what this thread has open: it ends in the middle of it. An export that was shut down before goes
    /// on for that; tells whether it does.
    fn leave_all(&mut self) -> bool {
        let has_ended = self.exporter.is_none() && (fast::has_open() || insert::has_open());
        let options = self.options.clone().filter(|_| has_ended);
        // They have been good for an export already; where they no longer are, there is none.
        let is_revived = options.is_some_and(|options| self.start(options).is_ok());
        leave_all();
        is_revived
    }

    /// Counts a thread that goes; tells whether it is the last.
    fn count_down(&mut self) -> bool {
        self.threads = self.threads.saturating_sub(1);
        self.threads == 0
    }

    /// Ends the export. Whoever wants to start it again waits meanwhile: what a thread recorded for the new one
    /// would go with the old one, and be lost with it.
    fn stop(&mut self, within: Duration) -> Core {
        let running = self.exporter.take();
        running.map(|exporter| exporter.shutdown(within)).unwrap_or_default()
    }
}

static SHARED: Mutex<Shared> =
    Mutex::new(Shared { exporter: None, options: None, threads: 0, is_ending: false });

/// How long the last thread waits for what is left.
const LAST_WAIT: Duration = Duration::from_secs(2);

fn shared() -> MutexGuard<'static, Shared> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn try_shared() -> Option<MutexGuard<'static, Shared>> {
    match SHARED.try_lock() {
        Ok(shared) => Some(shared),
        Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Waits no longer than this, but for those who have it for a moment: whoever ends the export has it for as long as
/// that takes, by a deadline of its own.
fn shared_within(within: Duration) -> Option<MutexGuard<'static, Shared>> {
    const MOMENT: Duration = Duration::from_millis(100);
    let (started, within) = (Instant::now(), within + MOMENT);
    loop {
        let found = try_shared();
        if found.is_some() || started.elapsed() >= within {
            return found;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Starts the export, as the `OTEL_*` and `TRACEBATON_*` variables say; once it runs a further call
/// changes nothing. Settings that are given go over those of the variables.
/// `joins` says that this thread calls it for the first time: when the last such thread ends, in
/// whatever way, the export does. `take` is given where this thread's own SDK is to record the spans.
///
/// # Errors
///
/// Throws where a value cannot be used, and names its key, and its variable or file and line.
#[napi]
pub fn init(
    env: &Env,
    service_name: Option<String>,
    joins: bool,
    keys: Vec<String>,
    values: Vec<Given>,
    take: Option<Take<'_>>,
) -> napi::Result<()> {
    let mut shared = host::wait_for(take.as_ref(), try_shared);
    if shared.exporter.is_none() {
        let settings = settings::read(keys, values)?;
        settings.use_in_process();
        forget_rules();
        let mut options = Options::from_env().map_err(|error| wrong(&error.to_string()))?;
        options.sample_rate = settings.sample_rate().or(options.sample_rate);
        options.service_name = options.service_name.or(service_name);
        options.language = "nodejs";
        options.span_host = take.as_ref().map(host::spans).transpose()?;
        shared.start(options).map_err(|error| wrong(&error.to_string()))?;
    }
    if joins {
        shared.threads += 1;
        env.add_env_cleanup_hook((), |()| leave())?;
    }
    Ok(())
}

/// Leaves what this thread has open.
fn leave_all() {
    fast::leave_all();
    insert::leave_all();
}

thread_local! {
    /// How often this thread has joined and gone before its cleanup.
    static GONE: Cell<usize> = const { Cell::new(0) };
}

fn leave() {
    host::leave();
    if let Some(gone) = GONE.get().checked_sub(1) {
        GONE.set(gone);
        return leave_all();
    }
    let mut shared = shared();
    let is_revived = shared.leave_all();
    let is_last = shared.count_down();
    // What one worker had open does not bring back for the others what was shut down.
    if is_last || (is_revived && !shared.is_ending) {
        shared.stop(LAST_WAIT);
    }
}

/// How many spans, log lines and ledger events.
#[napi(object, js_name = "Counts")]
pub struct JsCounts {
    /// Spans.
    pub spans: i64,
    /// Log lines.
    pub logs: i64,
    /// Ledger events.
    pub ledger: i64,
}

impl From<Counts> for JsCounts {
    fn from(counts: Counts) -> Self {
        Self {
            spans: counts.spans.cast_signed(),
            logs: counts.logs.cast_signed(),
            ledger: counts.ledger.cast_signed(),
        }
    }
}

/// What the export came to.
#[napi(object)]
pub struct ShutdownReport {
    /// What the endpoint acknowledged.
    pub exported: JsCounts,
    /// What was not kept until the end: memory was full, the endpoint refused it, or it was given up.
    pub dropped: JsCounts,
    /// Of what was dropped, that which the endpoint refused.
    pub refused: JsCounts,
    /// Of what was dropped, that which the endpoint failed on for long while it took the rest.
    pub given_up: JsCounts,
    /// What was still held when the deadline came.
    pub lost: JsCounts,
}

impl From<Core> for ShutdownReport {
    fn from(report: Core) -> Self {
        Self {
            exported: report.exported.into(),
            dropped: report.dropped.into(),
            refused: report.refused.into(),
            given_up: report.given_up.into(),
            lost: report.lost.into(),
        }
    }
}

/// A shutdown on a thread of its own, so that the event loop goes on.
pub struct Stop(Duration);

impl Task for Stop {
    type Output = Core;
    type JsValue = ShutdownReport;

    fn compute(&mut self) -> napi::Result<Core> {
        let started = Instant::now();
        let Some(mut shared) = shared_within(self.0) else { return Ok(Core::default()) };
        Ok(shared.stop(self.0.saturating_sub(started.elapsed())))
    }

    fn resolve(&mut self, _: Env, report: Core) -> napi::Result<ShutdownReport> {
        Ok(report.into())
    }
}

/// A flush on a thread of its own.
pub struct Flush(Duration);

impl Task for Flush {
    type Output = bool;
    type JsValue = bool;

    fn compute(&mut self) -> napi::Result<bool> {
        // Waiting is done without the lock: a shutdown, and the end of the process, have deadlines of their own.
        let started = Instant::now();
        let exporter = shared_within(self.0).and_then(|shared| shared.exporter.clone());
        let left = self.0.saturating_sub(started.elapsed());
        Ok(exporter.is_some_and(|exporter| exporter.flush(left)))
    }

    fn resolve(&mut self, _: Env, is_done: bool) -> napi::Result<bool> {
        Ok(is_done)
    }
}

/// Sends everything recorded so far; tells whether the endpoint has it within the deadline.
#[napi(ts_return_type = "Promise<boolean>")]
pub fn flush(timeout_ms: u32) -> AsyncTask<Flush> {
    AsyncTask::new(Flush(Duration::from_millis(u64::from(timeout_ms))))
}

/// Sends what is left within the deadline, and tells what came of it all.
#[napi(ts_return_type = "Promise<ShutdownReport>")]
pub fn shutdown(timeout_ms: u32) -> AsyncTask<Stop> {
    AsyncTask::new(Stop(Duration::from_millis(u64::from(timeout_ms))))
}

/// Says that the process ends, and waits until what is left is sent. The hops of this thread that are still open
/// are pending.
///
/// Worker threads that still run are stopped only afterwards: the last of them sends what is left then, with
/// what they had open.
#[napi]
pub fn leave_process(timeout_ms: u32, take: Option<Take<'_>>) {
    let within = Duration::from_millis(u64::from(timeout_ms));
    // A shutdown that is under way is waited for: nothing more is taken by it.
    let mut shared = host::wait_for(take.as_ref(), try_shared);
    shared.is_ending = true;
    shared.leave_all();
    let is_last = shared.count_down();
    drop(shared);
    GONE.set(GONE.get() + 1);
    if take.is_none() {
        if is_last {
            self::shared().stop(within);
        }
        return;
    }
    // This thread's SDK takes spans for as long as this thread is there.
    let sends = thread::spawn(move || {
        let mut shared = self::shared();
        if is_last {
            shared.stop(within);
        } else if let Some(exporter) = &shared.exporter {
            exporter.flush(within);
        }
    });
    host::wait_for(take.as_ref(), || sends.is_finished().then_some(()));
    host::leave();
}
