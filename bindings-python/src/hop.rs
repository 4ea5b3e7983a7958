//! The hop of one consumed message, as a context manager.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::PyGeneratorExit,
    prelude::*,
    types::{PyList, PyString},
};
use tracebaton::{
    carrier::{CarrierMut, Medium},
    hop::{self, Recorder},
    propagate::{self, Compact, Propagation},
};

use crate::{
    baton::{Baton, Extracted, baton_of},
    current::Block,
    errors::stops,
    headers,
    message::{self, Input},
    once::name,
    output::{Output, settle},
    value::{self, Lossy},
};

/// What happens to one message: its span, its ledger event, and the messages made of it.
#[pyclass(module = "tracebaton", frozen)]
pub(crate) struct Hop {
    hop: hop::Hop,
    /// The message; nothing where it is that of a batch.
    message: Option<Py<PyAny>>,
    extracted: Compact,
    /// Rules of its own, where it was given any.
    own_rules: Option<Arc<Propagation>>,
    /// Whether it is that of a batch, which ends it.
    is_batch: bool,
    block: Block,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Outputs that were asked for by `headers` and wait for `on_delivery`, oldest first.
    waiting: Vec<hop::Output>,
    has_failed: bool,
    is_filtered: bool,
    is_dead_letter: bool,
    has_ended: bool,
}

impl Hop {
    /// Creates the hop of one message.
    pub(crate) fn new(
        hop: hop::Hop,
        message: Py<PyAny>,
        extracted: Compact,
        own_rules: Option<Arc<Propagation>>,
    ) -> Self {
        let (message, block, state) = (Some(message), Block::default(), Mutex::default());
        Self { hop, message, extracted, own_rules, is_batch: false, block, state }
    }

    /// Creates the hop of a batch: no headers are its own, and the batch ends it.
    pub(crate) fn of_batch(hop: hop::Hop, own_rules: Option<Arc<Propagation>>) -> Self {
        let extracted = propagate::Extracted::default().into();
        let (block, state) = (Block::default(), Mutex::default());
        Self { hop, message: None, extracted, own_rules, is_batch: true, block, state }
    }

    /// Returns the core's handle.
    pub(crate) fn core(&self) -> &hop::Hop {
        &self.hop
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inject(&self, baton: &propagate::Baton, headers: &mut dyn CarrierMut) {
        match &self.own_rules {
            Some(own) => own.inject(baton, headers),
            None => Propagation::with_process(|rules| rules.inject(baton, headers)),
        }
    }

    fn start<'py>(
        &self,
        py: Python<'py>,
        topic: &str,
        existing: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(hop::Output, Bound<'py, PyAny>)> {
        self.headed(py, self.hop.output(topic), existing)
    }

    /// Returns an output and its headers: those that are there, the baton, and of a dead letter why.
    pub(crate) fn headed<'py>(
        &self,
        py: Python<'py>,
        output: hop::Output,
        existing: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(hop::Output, Bound<'py, PyAny>)> {
        let is_dead_letter = output.is_dead_letter() || self.state().is_dead_letter;
        if existing.is_none() && !is_dead_letter {
            let mut made = headers::Made::new(py);
            self.inject(output.baton(), &mut made);
            return Ok((output, made.into_list()?.into_any()));
        }
        let none = PyList::empty(py).into_any();
        let mut list = headers::read(existing.as_ref().unwrap_or(&none), Medium::Kafka)?;
        self.inject(output.baton(), &mut list);
        if is_dead_letter {
            for (name, text) in self.hop.error_headers() {
                list.set(name, &text);
            }
        }
        Ok((output, headers::write(list, Medium::Kafka, &none)?))
    }
}

#[pymethods]
impl Hop {
    #[getter]
    fn trace_id(&self) -> String {
        self.hop.trace_id().to_string()
    }

    #[getter]
    fn span_id(&self) -> String {
        self.hop.span_id().to_string()
    }

    #[getter]
    fn legacy_id(&self) -> Option<&str> {
        self.hop.legacy_text()
    }

    #[getter]
    fn baton(&self) -> Baton {
        Baton(self.hop.baton().clone())
    }

    /// The message as it was given; `None` where it is the hop of a batch.
    #[getter]
    fn message<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.message.as_ref().map(|message| message.bind(py).clone())
    }

    #[getter]
    fn extracted(&self) -> Extracted {
        Extracted(self.extracted.clone())
    }

    /// Starts a message on its way out to `topic`.
    #[pyo3(signature = (topic, headers=None, *, value=None))]
    fn output<'py>(
        &self,
        py: Python<'py>,
        topic: Bound<'py, PyString>,
        headers: Option<Bound<'py, PyAny>>,
        value: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Output> {
        let (output, headers) = self.start(py, topic.to_str()?, headers)?;
        Ok(Output::new(output, topic, headers, value))
    }

    /// Makes this hop the current one within a `with` statement, without ending it.
    fn active(slf: Bound<'_, Self>) -> Active {
        Active { hop: slf.unbind(), block: Block::default() }
    }

    /// Returns the headers of one message to `topic`; hand `on_delivery` to the producer with it.
    #[pyo3(signature = (topic, headers=None))]
    fn headers<'py>(
        &self,
        py: Python<'py>,
        topic: &str,
        headers: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (output, headers) = self.start(py, topic, headers)?;
        self.state().waiting.push(output);
        Ok(headers)
    }

    /// Takes confluent-kafka's delivery report of a message whose headers `headers` made.
    ///
    /// A report does not tell which of several messages to one topic it is for: they are taken in
    /// order. Use `output` where each message's span is to name its own offset.
    fn on_delivery(&self, err: &Bound<'_, PyAny>, msg: &Bound<'_, PyAny>) -> PyResult<()> {
        let topic: String = message::field(msg, name!(msg.py(), "topic"))?.extract()?;
        let mut state = self.state();
        let at = state.waiting.iter().position(|output| output.topic() == topic);
        let output = at.map(|at| state.waiting.remove(at));
        drop(state);
        output.map_or(Ok(()), |output| settle(output, err, msg).map(drop))
    }

    /// Sets an attribute of the span.
    fn set(&self, key: Lossy, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.hop.set(key.0, value::attribute(value)?);
        Ok(())
    }

    /// Says that the message was left out on purpose.
    fn filtered(&self, reason: Lossy) {
        self.hop.filtered(&reason.0);
        self.state().is_filtered = true;
    }

    /// Says that nothing was made of the message, unless its end was told already.
    #[pyo3(name = "_made_nothing")]
    fn made_nothing(&self, reason: &str) {
        let mut state = self.state();
        if !(state.is_filtered || state.has_failed) {
            state.is_filtered = true;
            drop(state);
            self.hop.filtered(reason);
        }
    }

    /// Says that the message could not be handled and nothing else took it.
    #[pyo3(signature = (error, message=Lossy::default()), text_signature = "($self, error, message='')")]
    fn failed(&self, error: &Bound<'_, PyAny>, message: Lossy) -> PyResult<()> {
        value::tell(error, &message.0, |kind, text| {
            self.hop.failed(kind, text);
            self.state().has_failed = true;
        })
    }

    /// Says that the message goes to a dead-letter topic; make the output for it after this.
    #[pyo3(signature = (error, message=Lossy::default()), text_signature = "($self, error, message='')")]
    fn dead_lettered(&self, error: &Bound<'_, PyAny>, message: Lossy) -> PyResult<()> {
        value::tell(error, &message.0, |kind, text| {
            self.hop.dead_lettered(kind, text);
            let mut state = self.state();
            state.has_failed = true;
            state.is_dead_letter = true;
        })
    }

    /// Says that the message goes to a dead-letter topic, and starts the message for it.
    #[pyo3(signature = (topic, error, headers=None))]
    fn dead_letter<'py>(
        &self,
        py: Python<'py>,
        topic: Bound<'py, PyString>,
        error: &Bound<'py, PyAny>,
        headers: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Output> {
        self.dead_lettered(error, Lossy::default())?;
        self.output(py, topic, headers, None)
    }

    /// Lets no `with` block end it: whoever holds it does, and its `__exit__` says so.
    #[pyo3(name = "_hold")]
    fn hold(&self) {
        self.block.hold();
    }

    /// Ends the hop; leaving the `with` block does.
    fn end(&self) {
        self.state().has_ended = true;
        if !self.is_batch {
            self.hop.end();
        }
    }

    fn __enter__<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        slf.get().block.enter(&slf)?;
        Ok(slf)
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        self.block.leave(py)?;
        self.finish(error)?;
        Ok(false)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.message)?;
        self.block.traverse(&visit)
    }

    fn __repr__(&self) -> String {
        format!("<tracebaton.Hop {} {}>", self.hop.trace_id(), self.hop.span_id())
    }
}

impl Hop {
    /// Ends the hop of a message that has left its batch, by the exception that left the batch's block, if
    /// one did: that takes nothing back of what was said of this message.
    pub(crate) fn finish_within(&self, error: &Bound<'_, PyAny>) -> PyResult<()> {
        let is_filtered = self.state().is_filtered;
        let none = error.py().None();
        self.finish(if is_filtered { none.bind(error.py()) } else { error })
    }

    /// Ends the hop of a record that was taken out of a batch which nobody said anything of: unless something
    /// was said of this one it is pending, as they all are.
    pub(crate) fn leave(&self) {
        let mut state = self.state();
        if std::mem::replace(&mut state.has_ended, true) {
            return;
        }
        let is_told = state.has_failed || state.is_filtered;
        drop(state);
        if is_told {
            self.hop.end();
        } else {
            self.hop.leave_pending();
        }
    }

    /// Returns whether its record goes to the dead letters: what is sent there is waited for.
    pub(crate) fn is_dead_letter(&self) -> bool {
        self.state().is_dead_letter
    }

    /// Ends the hop, by the exception that left its block, if one did; once it has ended nothing is
    /// changed. One that stops the program leaves the record pending: its offset is not committed, and it
    /// comes again.
    fn finish(&self, error: &Bound<'_, PyAny>) -> PyResult<()> {
        let (has_failed, is_dead_letter, is_filtered) = {
            let mut state = self.state();
            if self.is_batch || std::mem::replace(&mut state.has_ended, true) {
                return Ok(());
            }
            (state.has_failed, state.is_dead_letter, state.is_filtered)
        };
        // A generator that is closed early takes nothing back of what was said of its message.
        let is_told = has_failed || (is_filtered && error.is_instance_of::<PyGeneratorExit>());
        let is_stopped = stops(error);
        let mut noted = Ok(());
        if !(error.is_none() || is_told || is_stopped) {
            noted = value::tell(error, "", |kind, text| self.hop.failed(kind, text));
        }
        // A failure no output can change any more; whether a dead letter arrives, its output tells.
        if error.is_none() || is_dead_letter {
            self.hop.end();
        } else if is_stopped {
            self.hop.leave_pending();
        } else {
            self.hop.close();
        }
        noted
    }
}

/// A stretch of code that works for a hop.
#[pyclass(module = "tracebaton", frozen)]
pub(crate) struct Active {
    hop: Py<Hop>,
    block: Block,
}

#[pymethods]
impl Active {
    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Hop>> {
        let hop = self.hop.bind(py);
        self.block.enter(hop)?;
        Ok(hop.clone())
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        self.block.leave(py)?;
        Ok(false)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.hop)?;
        self.block.traverse(&visit)
    }
}

/// Starts the hop of one consumed message; use it in a `with` statement.
#[pyfunction]
#[pyo3(signature = (message, *, group=None, baton=None, attempt=1, propagation=None))]
pub(crate) fn process<'py>(
    message: &Bound<'py, PyAny>,
    group: Option<&Bound<'_, PyString>>,
    baton: Option<&Bound<'_, PyAny>>,
    attempt: u32,
    propagation: Option<&Bound<'_, crate::propagation::Propagation>>,
) -> PyResult<Bound<'py, Hop>> {
    let group = group.map(|group| group.to_str()).transpose()?;
    let Input { consumer, partition, offset } = message::input(message, group)?;
    let own_rules = propagation.map(|own| own.get().core());
    let extracted = match baton {
        Some(baton) => match baton.cast::<Extracted>() {
            Ok(extracted) => extracted.get().0.clone(),
            Err(_) => {
                let baton = baton_of(baton)?;
                propagate::Extracted { baton, ..propagate::Extracted::default() }.into()
            }
        },
        None => message::read(own_rules.as_deref(), message)?,
    };
    let hop = consumer.process(Recorder::global(), partition, offset, &extracted.baton());
    if let Some(linked) = extracted.linked() {
        hop.link(linked);
    }
    if attempt != 1 {
        hop.set_attempt(attempt);
    }
    Bound::new(message.py(), Hop::new(hop, message.clone().unbind(), extracted, own_rules))
}
