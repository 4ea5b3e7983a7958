//! Starting and stopping the export.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pyo3::{
    exceptions::{PyOverflowError, PyValueError},
    prelude::*,
    types::{PyFloat, PyInt},
    wrap_pyfunction,
};
use tracebaton::{
    config::Settings,
    hop::{self, Level, Recorder},
    otlp::{self, Exporter, Options},
};

use crate::{errors::ConfigError, host, insert, logger, propagation::Propagation, settings};

/// How long the interpreter's exit waits for what the application did not shut down itself.
const AT_EXIT_MS: u64 = 2_000;

pub(crate) struct Running {
    pub(crate) exporter: Arc<Exporter>,
    pub(crate) options: Options,
}

static RUNNING: Mutex<Option<Running>> = Mutex::new(None);
static HAS_HOOKS: AtomicBool = AtomicBool::new(false);

pub(crate) fn running() -> MutexGuard<'static, Option<Running>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the export of spans, ledger events and log lines, as the `OTEL_*` and `TRACEBATON_*`
/// variables say.
///
/// A second call replaces the first.
#[pyfunction]
#[pyo3(signature = (service_name=None, *, resource=None, propagation=None, log_format="json", log_level="info", spans="otlp"))]
pub(crate) fn init(
    py: Python<'_>,
    service_name: Option<String>,
    resource: Option<Vec<(String, String)>>,
    propagation: Option<&Bound<'_, Propagation>>,
    log_format: &str,
    log_level: &str,
    spans: &str,
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
    let settings = Settings::from_env().map_err(settings::wrong)?;
    let mut options = Options::from_env().map_err(|error| wrong_option(&error))?;
    options.service_name = options.service_name.or(service_name);
    options.resource.extend(resource.into_iter().flatten());
    options.sample_rate = settings.sample_rate().or(options.sample_rate);
    options.language = "python";
    options.span_host = match spans {
        "otlp" => None,
        "host" => Some(host::spans(py)?),
        _ => {
            let message = format!("spans: is neither otlp nor host: {spans}");
            return Err(ConfigError::new_err(message));
        }
    };
    add_hooks(py)?;
    py.detach(|| {
        let before = running().take();
        drop(before);
        let exporter = Arc::new(Exporter::start(Recorder::global(), &options)?);
        let overtaken = running().replace(Running { exporter, options });
        drop(overtaken);
        Ok(())
    })
    .map_err(|error| wrong_option(&error))?;
    logger::configure(is_text, level);
    settings.use_in_process();
    if let Some(propagation) = propagation {
        propagation.get().core().set_for_process();
    }
    Ok(())
}

/// How long to wait at most, in milliseconds. What is too large to be counted is never reached.
pub(crate) struct TimeoutMs(u64);

impl<'py> FromPyObject<'_, 'py> for TimeoutMs {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let is_negative = given.is_instance_of::<PyInt>() && given.lt(0)?;
        let is_no_number = given.cast::<PyFloat>().is_ok_and(|float| !float.value().is_finite());
        if is_negative || is_no_number {
            let message =
                format!("timeout_ms must be milliseconds, 0 or more, not {}", given.str()?);
            return Err(PyValueError::new_err(message));
        }
        match given.extract::<u64>() {
            Err(error) if error.is_instance_of::<PyOverflowError>(given.py()) => Ok(Self(u64::MAX)),
            found => found.map(Self),
        }
    }
}

/// Sends everything recorded so far; tells whether it arrived within the deadline.
#[pyfunction]
#[pyo3(signature = (timeout_ms=TimeoutMs(5_000)), text_signature = "(timeout_ms=5000)")]
pub(crate) fn flush(py: Python<'_>, timeout_ms: TimeoutMs) -> bool {
    let within = Duration::from_millis(timeout_ms.0);
    py.detach(|| {
        // Waiting is done without the lock: a fork has to wait for it.
        let exporter = running().as_ref().map(|running| running.exporter.clone());
        exporter.is_some_and(|exporter| exporter.flush(within))
    })
}

/// Sends what is left within the deadline, stops, and tells what came of it all.
#[pyfunction]
#[pyo3(signature = (timeout_ms=TimeoutMs(5_000)), text_signature = "(timeout_ms=5000)")]
pub(crate) fn shutdown(py: Python<'_>, timeout_ms: TimeoutMs) -> ShutdownReport {
    let within = Duration::from_millis(timeout_ms.0);
    insert::leave_all(py);
    let report = py.detach(|| {
        let running = running().take();
        running.map(|running| running.exporter.shutdown(within))
    });
    ShutdownReport(report.unwrap_or_default())
}

fn wrong_option(error: &otlp::OptionError) -> PyErr {
    ConfigError::new_err(error.to_string())
}

/// Registers, once, what is to happen at exit and around forks.
fn add_hooks(py: Python<'_>) -> PyResult<()> {
    if HAS_HOOKS.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let module = PyModule::new(py, "tracebaton._native")?;
    let shutdown = wrap_pyfunction!(shutdown, &module)?;
    py.import("atexit")?.call_method1("register", (shutdown, AT_EXIT_MS))?;
    #[cfg(unix)]
    crate::fork::add_hooks(&module)?;
    Ok(())
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
    fn refused(&self) -> Counts {
        Counts(self.0.refused)
    }

    #[getter]
    fn given_up(&self) -> Counts {
        Counts(self.0.given_up)
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
