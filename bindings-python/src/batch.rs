//! The hop of messages that were read together, as a context manager.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
    sync::PyOnceLock,
    types::PyString,
};
use tracebaton::{
    hop::{self, Coordinates, Recorder},
    propagate::{self, Compact},
};

use crate::{
    current::Block,
    errors::stops,
    hop::Hop,
    message::{self, Input},
    once::get_or_make,
    output::Output,
    propagation::Propagation,
    value,
};

/// Messages that were read together: one hop, linked to the trace of each.
#[pyclass(module = "tracebaton", frozen)]
pub(crate) struct Batch {
    members: Vec<Member>,
    /// Where in `members` a message is, by its address.
    positions: HashMap<usize, usize>,
    own_rules: Option<Arc<propagate::Propagation>>,
    together: PyOnceLock<Py<Hop>>,
    block: Block,
    state: Mutex<State>,
}

struct Member {
    message: Py<PyAny>,
    input: Coordinates,
    found: Compact,
}

struct State {
    /// Nothing once the batch has ended.
    batch: Option<hop::Batch>,
    /// The hops of the messages that have left it.
    own: HashMap<usize, Py<Hop>>,
}

impl Batch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `with` with the batch itself. No Python code runs in there: the lock is held.
    fn with<T>(&self, with: impl FnOnce(&mut hop::Batch) -> T) -> PyResult<T> {
        let mut state = self.state();
        let batch = state.batch.as_mut().map(with);
        batch.ok_or_else(has_ended)
    }

    fn member(&self, message: &Bound<'_, PyAny>) -> PyResult<(usize, &Member)> {
        let at = self.positions.get(&message.as_ptr().addr()).copied();
        let member = at.and_then(|at| Some((at, self.members.get(at)?)));
        member.ok_or_else(|| PyValueError::new_err("this is no message of the batch"))
    }

    fn hop_of_all<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, Hop>> {
        let made = get_or_make(&self.together, py, || {
            let core = self.with(|batch| batch.hop().clone())?;
            Bound::new(py, Hop::of_batch(core, self.own_rules.clone())).map(Bound::unbind)
        });
        made.map(|hop| hop.bind(py))
    }

    /// Ends the hops that messages have of their own and nobody has ended, by the exception that left the
    /// block, if any did.
    fn end_own(&self, error: &Bound<'_, PyAny>) -> PyResult<()> {
        let own = std::mem::take(&mut self.state().own);
        let ended = own.values().map(|hop| hop.get().finish_within(error));
        ended.fold(Ok(()), PyResult::and)
    }
}

fn has_ended() -> PyErr {
    PyRuntimeError::new_err("the batch has ended")
}

#[pymethods]
impl Batch {
    #[new]
    #[pyo3(signature = (messages, *, group=None, propagation=None))]
    fn new(
        messages: &Bound<'_, PyAny>,
        group: Option<&Bound<'_, PyString>>,
        propagation: Option<&Bound<'_, Propagation>>,
    ) -> PyResult<Self> {
        let group = group.map(|group| group.to_str()).transpose()?;
        let own_rules = propagation.map(|own| own.get().core());
        let mut members = Vec::new();
        let mut positions = HashMap::new();
        for message in messages.try_iter()? {
            let message = message?;
            let Input { consumer, partition, offset } = message::input(&message, group)?;
            let input = Coordinates {
                topic: consumer.topic().to_owned(),
                partition,
                offset,
                group: group.map(str::to_owned),
            };
            let found = message::read(own_rules.as_deref(), &message)?;
            positions.insert(message.as_ptr().addr(), members.len());
            members.push(Member { message: message.unbind(), input, found });
        }
        // All of them are read before the first is added: a batch with a mistake in it is none.
        let mut batch = hop::Batch::poll(Recorder::global());
        for Member { input, found, .. } in &members {
            batch.add(input, &found.baton());
        }
        if !members.is_empty() {
            batch.polled();
        }
        let state = Mutex::new(State { batch: Some(batch), own: HashMap::new() });
        let (together, block) = (PyOnceLock::new(), Block::default());
        Ok(Self { members, positions, own_rules, together, block, state })
    }

    fn __len__(&self) -> usize {
        self.members.len()
    }

    #[getter]
    fn messages(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.members.iter().map(|member| member.message.clone_ref(py)).collect()
    }

    /// Returns the one hop of all messages that have none of their own.
    fn together<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Hop>> {
        self.hop_of_all(py).cloned()
    }

    /// Takes a message out of the batch and returns its own hop: say there what became of it.
    fn hop<'py>(&self, message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Hop>> {
        let py = message.py();
        let (at, Member { input, found, .. }) = self.member(message)?;
        let core = {
            let mut state = self.state();
            if let Some(known) = state.own.get(&at) {
                return Ok(known.bind(py).clone());
            }
            state.batch.as_mut().ok_or_else(has_ended)?.take_out(input, &found.baton())
        };
        // Not under the lock: an object that is made may have others collected, whose finalizers run.
        let hop = Bound::new(
            py,
            Hop::new(core, message.clone().unbind(), found.clone(), self.own_rules.clone()),
        )?;
        self.state().own.insert(at, hop.clone().unbind());
        Ok(hop)
    }

    /// Starts a message on its way out to `topic`, made of all messages or of one of them.
    #[pyo3(signature = (topic, headers=None, *, value=None, of=None))]
    fn output<'py>(
        &self,
        py: Python<'py>,
        topic: Bound<'py, PyString>,
        headers: Option<Bound<'py, PyAny>>,
        value: Option<Bound<'py, PyAny>>,
        of: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Output> {
        let hop = self.hop_of_all(py)?.get();
        let text = topic.to_str()?;
        let output = match of {
            Some(message) => {
                let (_, Member { input, found, .. }) = self.member(message)?;
                self.with(|batch| batch.output_of(text, input, &found.baton()))?
            }
            None => self.with(|batch| batch.output(text))?,
        };
        let (output, headers) = hop.headed(py, output, headers)?;
        Ok(Output::new(output, topic, headers, value))
    }

    fn __enter__<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        // A poll that brought nothing is no hop.
        if !slf.get().members.is_empty() {
            slf.get().block.enter(slf.get().hop_of_all(slf.py())?)?;
        }
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
        let own = self.end_own(error);
        let batch = self.state().batch.take();
        let is_dead_letter = self.together.get(py).is_some_and(|hop| hop.get().is_dead_letter());
        let whole = match batch {
            None => Ok(()),
            // One that is stopped while its dead letter is on its way waits for that.
            Some(batch) if error.is_none() || (stops(error) && is_dead_letter) => {
                batch.passed();
                Ok(())
            }
            Some(batch) if stops(error) => {
                batch.leave_pending();
                Ok(())
            }
            Some(batch) => value::tell(error, "", |kind, text| batch.failed(kind, text)),
        };
        own.and(whole).map(|()| false)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.members.iter().try_for_each(|member| visit.call(&member.message))?;
        // Who has the lock has a reference to the batch, too.
        let Ok(state) = self.state.try_lock() else { return Ok(()) };
        state.own.values().try_for_each(|hop| visit.call(hop))?;
        self.block.traverse(&visit)
    }

    fn __repr__(&self) -> String {
        format!("<tracebaton.Batch of {}>", self.members.len())
    }
}
