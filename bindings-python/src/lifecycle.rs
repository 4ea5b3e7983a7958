//! Starting and stopping the export, and what becomes of it in a forked child.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pyo3::{prelude::*, types::PyDict, wrap_pyfunction};
use tracebaton::{
    hop::{self, Level, Recorder},
    otlp::{self, Exporter, Options},
};

use crate::{
    errors::ConfigError,
    logger,
    propagation::{Propagation, set_for_process},
};

/// How long the interpreter's exit waits for what the application did not shut down itself.
const AT_EXIT_MS: u64 = 2_000;

struct Running {
    exporter: Exporter,
    options: Options,
}

static RUNNING: Mutex<Option<Running>> = Mutex::new(None);
static HAS_HOOKS: AtomicBool = AtomicBool::new(false);

fn running() -> MutexGuard<'static, Option<Running>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the export of spans, ledger events and log lines, as the `OTEL_*` variables say.
///
/// A second call replaces the first.
#[pyfunction]
#[pyo3(signature = (service_name=None, *, resource=None, propagation=None, log_format="json", log_level="info"))]
pub(crate) fn init(
    py: Python<'_>,
    service_name: Option<String>,
    resource: Option<Vec<(String, String)>>,
    propagation: Option<&Bound<'_, Propagation>>,
    log_format: &str,
    log_level: &str,
) -> PyResult<()> {
    let is_text = match log_format {
        "json" => false,
        "text" => true,
        _ => {
            let message = format!("log_format: is neither json nor text: {log_format}");
            return Err(ConfigError::new_err(message));
        }
    };
    let levels = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];
    let level = levels.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(log_level));
    let level = level.ok_or_else(|| {
        let message = format!("log_level: is none of trace, debug, info, warn, error: {log_level}");
        ConfigError::new_err(message)
    })?;
    let mut options = Options::from_env().map_err(|error| wrong_option(&error))?;
    options.service_name = options.service_name.or(service_name);
    options.resource.extend(resource.into_iter().flatten());
    options.language = "python";
    add_hooks(py)?;
    py.detach(|| {
        let mut running = running();
        drop(running.take());
        let exporter = Exporter::start(Recorder::global(), &options)?;
        *running = Some(Running { exporter, options });
        Ok(())
    })
    .map_err(|error| wrong_option(&error))?;
    logger::configure(is_text, level);
    if let Some(propagation) = propagation {
        set_for_process(propagation.get());
    }
    Ok(())
}

/// Sends everything recorded so far; tells whether it arrived within the deadline.
#[pyfunction]
#[pyo3(signature = (timeout_ms=5_000))]
pub(crate) fn flush(py: Python<'_>, timeout_ms: u64) -> bool {
    let within = Duration::from_millis(timeout_ms);
    py.detach(|| running().as_ref().is_some_and(|running| running.exporter.flush(within)))
}

/// Sends what is left within the deadline, stops, and tells what came of it all.
#[pyfunction]
#[pyo3(signature = (timeout_ms=5_000))]
pub(crate) fn shutdown(py: Python<'_>, timeout_ms: u64) -> ShutdownReport {
    let within = Duration::from_millis(timeout_ms);
    let report = py.detach(|| running().take().map(|running| running.exporter.shutdown(within)));
    ShutdownReport(report.unwrap_or_default())
}

fn wrong_option(error: &otlp::OptionError) -> PyErr {
    ConfigError::new_err(error.to_string())
}

/// Registers, once, what is to happen at exit and in forked children.
fn add_hooks(py: Python<'_>) -> PyResult<()> {
    if HAS_HOOKS.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let module = PyModule::new(py, "tracebaton._native")?;
    let shutdown = wrap_pyfunction!(shutdown, &module)?;
    py.import("atexit")?.call_method1("register", (shutdown, AT_EXIT_MS))?;
    let os = py.import("os")?;
    // There is no fork on Windows.
    if os.hasattr("register_at_fork")? {
        let hooks = PyDict::new(py);
        hooks.set_item("after_in_child", wrap_pyfunction!(after_fork, &module)?)?;
        os.call_method("register_at_fork", (), Some(&hooks))?;
    }
    Ok(())
}

/// Starts the export anew: the parent's thread does not exist in the child, and what was recorded
/// before the fork is the parent's to send.
#[pyfunction]
fn after_fork() {
    let Ok(mut running) = RUNNING.try_lock() else { return };
    let Some(Running { exporter, options }) = running.take() else { return };
    // Joining a thread that is not there would wait for ever.
    std::mem::forget(exporter);
    let recorder = Recorder::global();
    loop {
        let taken = recorder.take();
        recorder.settle(taken.spans.len() + taken.logs.len());
        if taken.is_empty() {
            break;
        }
    }
    *running =
        Exporter::start(recorder, &options).ok().map(|exporter| Running { exporter, options });
}

/// How many spans, log lines and ledger events.
#[pyclass(module = "tracebaton", frozen, eq)]
#[derive(Clone, PartialEq)]
pub(crate) struct Counts(hop::Counts);

#[pymethods]
impl Counts {
    #[getter]
    fn spans(&self) -> u64 {
        self.0.spans
    }

    #[getter]
    fn logs(&self) -> u64 {
        self.0.logs
    }

    #[getter]
    fn ledger(&self) -> u64 {
        self.0.ledger
    }

    #[getter]
    fn total(&self) -> u64 {
        self.0.total()
    }

    fn __repr__(&self) -> String {
        let hop::Counts { spans, logs, ledger } = self.0;
        format!("<tracebaton.Counts spans={spans} logs={logs} ledger={ledger}>")
    }
}

/// What an export came to.
#[pyclass(module = "tracebaton", frozen)]
pub(crate) struct ShutdownReport(otlp::ShutdownReport);

#[pymethods]
impl ShutdownReport {
    #[getter]
    fn exported(&self) -> Counts {
        Counts(self.0.exported)
    }

    #[getter]
    fn dropped(&self) -> Counts {
        Counts(self.0.dropped)
    }

    #[getter]
    fn lost(&self) -> Counts {
        Counts(self.0.lost)
    }

    #[getter]
    fn is_complete(&self) -> bool {
        self.0.is_complete()
    }

    fn __repr__(&self) -> String {
        format!("<tracebaton.ShutdownReport {}>", self.0)
    }
}
