//! Log lines that carry the ids of the current hop: on stdout, and as OTLP.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use pyo3::{
    intern,
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};
use tracebaton::hop::{Level, Log, Recorder, Value};

use crate::{current::with_current, stdout, value};

static IS_TEXT: AtomicBool = AtomicBool::new(false);
static LEAST: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// Sets how lines look, and from which level on a `Logger` writes them.
pub(crate) fn configure(is_text: bool, least: Level) {
    IS_TEXT.store(is_text, Ordering::Relaxed);
    LEAST.store(least as u8, Ordering::Relaxed);
}

/// Writes log lines that carry the ids of the current hop.
#[pyclass(module = "tracebaton", frozen)]
pub(crate) struct Logger {
    action: Option<String>,
}

#[pymethods]
impl Logger {
    #[new]
    #[pyo3(signature = (action=None))]
    fn new(action: Option<String>) -> Self {
        Self { action }
    }

    #[getter]
    fn action(&self) -> Option<&str> {
        self.action.as_deref()
    }

    #[pyo3(signature = (message, /, **fields))]
    fn debug(
        &self,
        message: &Bound<'_, PyAny>,
        fields: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        self.write(Level::Debug, message, fields)
    }

    #[pyo3(signature = (message, /, **fields))]
    fn info(&self, message: &Bound<'_, PyAny>, fields: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        self.write(Level::Info, message, fields)
    }

    #[pyo3(signature = (message, /, **fields))]
    fn warn(&self, message: &Bound<'_, PyAny>, fields: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        self.write(Level::Warn, message, fields)
    }

    #[pyo3(signature = (message, /, **fields))]
    fn error(
        &self,
        message: &Bound<'_, PyAny>,
        fields: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        self.write(Level::Error, message, fields)
    }
}

impl Logger {
    fn write(
        &self,
        level: Level,
        message: &Bound<'_, PyAny>,
        fields: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let text = value::text("message", message)?;
        if (level as u8) < LEAST.load(Ordering::Relaxed) {
            return Ok(());
        }
        emit(message.py(), level, self.action.as_deref(), &text, fields)
    }
}

/// Writes a line at a level of the standard library's `logging`; its handler calls this.
#[pyfunction]
#[pyo3(signature = (level, message, fields=None, *, action=None))]
pub(crate) fn log(
    level: i64,
    message: &Bound<'_, PyAny>,
    fields: Option<&Bound<'_, PyDict>>,
    action: Option<&str>,
) -> PyResult<()> {
    let text = value::text("message", message)?;
    emit(message.py(), of_stdlib(level), action, &text, fields)
}

/// One method of a logger of `logging`, past its handlers.
#[pyclass(module = "tracebaton", frozen)]
pub(crate) struct FastMethod {
    logger: Py<PyAny>,
    name: String,
    number: i64,
    level: Level,
    slow: Py<PyAny>,
}

#[pymethods]
impl FastMethod {
    #[new]
    fn new(logger: Bound<'_, PyAny>, level: i64, slow: Py<PyAny>) -> PyResult<Self> {
        let name = logger.getattr("name")?.extract()?;
        Ok(Self { logger: logger.unbind(), name, number: level, level: of_stdlib(level), slow })
    }

    #[pyo3(signature = (msg, *args, **kwargs))]
    fn __call__(
        &self,
        py: Python<'_>,
        msg: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let is_enabled = intern!(py, "isEnabledFor");
        if !self.logger.bind(py).call_method1(is_enabled, (self.number,))?.is_truthy()? {
            return Ok(());
        }
        let extra = match kwargs {
            None => None,
            Some(kwargs) => match kwargs.get_item(intern!(py, "extra"))? {
                Some(extra) if kwargs.len() == 1 => extra.cast_into::<PyDict>().ok(),
                _ => None,
            },
        };
        let plain = (kwargs.is_none() || extra.is_some()).then(|| said(msg, args)).flatten();
        let Some(text) = plain else {
            // What is rare, or wrong, is `logging`'s own matter.
            let mut arguments = vec![msg.clone()];
            arguments.extend(args);
            let arguments = PyTuple::new(py, arguments)?;
            return self.slow.bind(py).call(arguments, kwargs).map(drop);
        };
        emit(py, self.level, Some(&self.name), &text, extra.as_ref())
    }
}

/// Returns what a record says: the message, with its arguments put in as `logging` does.
fn said(msg: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>) -> Option<String> {
    if args.is_empty() {
        return msg.str().ok().map(|text| text.to_string_lossy().into_owned());
    }
    let format = msg.cast::<PyString>().ok()?;
    let single =
        args.get_item(0).ok().filter(|one| args.len() == 1 && one.is_instance_of::<PyDict>());
    let arguments = single.unwrap_or_else(|| args.clone().into_any());
    let text = format.call_method1(intern!(msg.py(), "__mod__"), (arguments,)).ok()?;
    text.str().ok().map(|text| text.to_string_lossy().into_owned())
}

const fn of_stdlib(level: i64) -> Level {
    match level {
        ..10 => Level::Trace,
        10..20 => Level::Debug,
        20..30 => Level::Info,
        30..40 => Level::Warn,
        40.. => Level::Error,
    }
}

fn emit(
    py: Python<'_>,
    level: Level,
    action: Option<&str>,
    message: &str,
    given: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    // Keys and texts are borrowed from what is held here.
    let given: Vec<_> = given.into_iter().flatten().collect();
    let keys: Vec<_> = given.iter().map(|(key, _)| value::plain(key)).collect();
    let mut fields: Vec<(&str, Value<'_>)> = Vec::with_capacity(given.len() + 1);
    fields.extend(action.map(|action| ("action", Value::from(action))));
    let pairs = keys.iter().zip(&given);
    fields.extend(pairs.map(|(key, (_, value))| (&**key, value::borrowed(value))));
    let log = Log { level, message, fields: &fields };
    let recorder = Recorder::global();
    let mut line = String::with_capacity(512);
    with_current(py, |baton| {
        recorder.log(&log, baton);
        if IS_TEXT.load(Ordering::Relaxed) {
            let own = fields.get(usize::from(action.is_some())..).unwrap_or_default();
            Log { fields: own, ..log }.write_text(action.unwrap_or_default(), baton, &mut line);
        } else {
            log.write_json(recorder.service(), baton, &mut line);
        }
    })?;
    // A stdout that is gone is no reason for the application to fail.
    let _ = stdout::print(py, &line);
    Ok(())
}
