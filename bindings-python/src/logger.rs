//! Log lines that carry the ids of the current hop: on stdout, and as OTLP.

use std::{
    borrow::Cow,
    cell::Cell,
    ffi::CStr,
    sync::atomic::{AtomicBool, AtomicU8, Ordering},
};

use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{IntoPyDict, PyDict, PyString, PyTuple},
};
use tracebaton::hop::{Level, Log, Recorder, Value};

use crate::{
    current::with_current,
    errors::caught,
    fastcall::{self, Call, Method, Named},
    once::name,
    stdout, value,
};

static IS_TEXT: AtomicBool = AtomicBool::new(false);
static LEAST: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// The action, and few facts besides.
const USUAL_FIELDS: usize = 8;
/// A thread keeps the memory of a line no longer than this.
const MAX_KEPT: usize = 16 << 10;

thread_local! {
    static LINE: Cell<String> = const { Cell::new(String::new()) };
}

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
}

/// Adds the methods that write lines to their classes.
pub(crate) fn add_methods(py: Python<'_>) -> PyResult<()> {
    let logger = py.get_type::<Logger>();
    fastcall::add::<Debug>(&logger)?;
    fastcall::add::<Info>(&logger)?;
    fastcall::add::<Warn>(&logger)?;
    fastcall::add::<Error>(&logger)?;
    fastcall::add::<FastCall>(&py.get_type::<FastMethod>())
}

macro_rules! methods {
    ($($name:ident $word:literal $doc:literal)*) => {$(
        struct $name;

        impl Method for $name {
            type Class = Logger;
            const NAME: &'static CStr = $word;
            const DOC: &'static CStr = $doc;

            fn call<'py>(
                own: &Bound<'py, Logger>,
                call: &Call<'_, 'py>,
            ) -> PyResult<Bound<'py, PyAny>> {
                own.get().write(own.py(), Level::$name, call)?;
                Ok(own.py().None().into_bound(own.py()))
            }
        }
    )*};
}

methods! {
    Debug c"debug" c"debug($self, message, /, **fields)\n--\n\n"
    Info c"info" c"info($self, message, /, **fields)\n--\n\n"
    Warn c"warn" c"warn($self, message, /, **fields)\n--\n\n"
    Error c"error" c"error($self, message, /, **fields)\n--\n\n"
}

impl Logger {
    fn write(&self, py: Python<'_>, level: Level, call: &Call<'_, '_>) -> PyResult<()> {
        let message = match call.values.get(..call.by_place) {
            Some([message]) => value::text("message", message)?,
            _ => return Err(takes_one(call.by_place)),
        };
        if (level as u8) < LEAST.load(Ordering::Relaxed) {
            return Ok(());
        }
        emit(py, level, self.action.as_deref(), &message, call.named())
    }
}

fn takes_one(count: usize) -> PyErr {
    PyTypeError::new_err(format!("a line has one message, and fields by name: {count} were given"))
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
    let fields: Vec<_> = fields.into_iter().flatten().collect();
    let pairs = fields.iter().map(|(key, value)| (key, value));
    emit(message.py(), of_stdlib(level), action, &text, pairs)
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
}

struct FastCall;

impl Method for FastCall {
    type Class = FastMethod;
    const NAME: &'static CStr = c"call";
    const DOC: &'static CStr = c"call($self, msg, /, *args, **kwargs)\n--\n\n";

    fn call<'py>(
        own: &Bound<'py, FastMethod>,
        call: &Call<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        own.get().write(own.py(), call)?;
        Ok(own.py().None().into_bound(own.py()))
    }
}

impl FastMethod {
    fn write(&self, py: Python<'_>, call: &Call<'_, '_>) -> PyResult<()> {
        let is_enabled = name!(py, "isEnabledFor");
        if !self.logger.bind(py).call_method1(is_enabled, (self.number,))?.is_truthy()? {
            return Ok(());
        }
        // What is rare, or wrong, is `logging`'s own matter.
        let slowly = || {
            let by_name = call.named().into_py_dict(py)?;
            let by_place = call.values.get(..call.by_place).unwrap_or_default();
            let by_place = PyTuple::new(py, by_place)?;
            self.slow.bind(py).call(by_place, Some(&by_name)).map(drop)
        };
        let Some([msg, args @ ..]) = call.values.get(..call.by_place) else { return slowly() };
        let mut named = call.named();
        let extra = match (named.next(), named.next()) {
            (None, _) => None,
            (Some((name, extra)), None) => match (name.eq("extra"), extra.cast::<PyDict>()) {
                (Ok(true), Ok(extra)) => Some(extra),
                _ => return slowly(),
            },
            _ => return slowly(),
        };
        let Ok(text) = caught(py, said(msg, args))? else { return slowly() };
        let extra: Vec<_> = extra.into_iter().flatten().collect();
        let pairs = extra.iter().map(|(key, value)| (key, value));
        emit(py, self.level, Some(&self.name), &text, pairs)
    }
}

/// Returns what a record says: the message, with its arguments put in as `logging` does.
///
/// # Errors
///
/// Raises where it cannot be put together.
fn said<'a>(msg: &'a Bound<'_, PyAny>, args: &[Bound<'_, PyAny>]) -> PyResult<Cow<'a, str>> {
    let own = |text: Bound<'_, PyString>| text.to_string_lossy().into_owned().into();
    if args.is_empty() {
        return match msg.cast_exact::<PyString>() {
            Ok(text) => Ok(text.to_string_lossy()),
            Err(_) => msg.str().map(own),
        };
    }
    let format = msg.cast::<PyString>()?;
    let arguments = match args {
        [single] if single.is_instance_of::<PyDict>() => single.clone(),
        several => PyTuple::new(msg.py(), several)?.into_any(),
    };
    let text = format.call_method1(name!(msg.py(), "__mod__"), (arguments,))?;
    text.str().map(own)
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

fn emit<'a, 'py: 'a>(
    py: Python<'py>,
    level: Level,
    action: Option<&str>,
    message: &str,
    given: impl Iterator<Item = Named<'a, 'py>> + Clone,
) -> PyResult<()> {
    // Keys are mostly plain texts, and borrowed; the others are made here.
    let plain = |key: &'a Bound<'py, PyAny>| key.cast::<PyString>().ok()?.to_str().ok();
    let odd: Vec<_> = given.clone().filter(|(key, _)| plain(key).is_none()).collect();
    let odd: Vec<_> = odd.into_iter().map(|(key, _)| value::plain(key)).collect::<PyResult<_>>()?;
    let mut odd = odd.iter();
    let mut fields: Vec<(&str, Value<'_>)> = Vec::with_capacity(USUAL_FIELDS);
    fields.extend(action.map(|action| ("action", Value::from(action))));
    for (key, value) in given {
        let key = plain(key).or_else(|| odd.next().map(|key| &**key));
        let key = match key.unwrap_or_default() {
            // As with a field that has the name of an id.
            "action" if action.is_some() => "action_",
            key => key,
        };
        fields.push((key, value::borrowed(value)?));
    }
    let log = Log { level, message, fields: &fields };
    let recorder = Recorder::global();
    let mut line = LINE.take();
    line.clear();
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
    if line.capacity() <= MAX_KEPT {
        LINE.set(line);
    }
    Ok(())
}
