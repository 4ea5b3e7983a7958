//! A batch of records on its way into a table, as a context manager.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use pyo3::{PyTraverseError, PyVisit, exceptions::PyRuntimeError, prelude::*, types::PyString};
use tracebaton::{
    hop::{self, Coordinates, Recorder},
    propagate::{self, Compact},
};

use crate::{
    baton::Baton,
    current::Block,
    errors::stops,
    hop::Hop,
    message::{self, Input},
    propagation::Propagation,
    value::{self, Lossy},
};

/// Records on their way into a table: they share what becomes of the batch.
#[pyclass(module = "tracebaton", frozen)]
pub(crate) struct Insert {
    group: Option<String>,
    own_rules: Option<Arc<propagate::Propagation>>,
    block: Block,
    state: Arc<Mutex<State>>,
}

pub(crate) struct State {
    table: String,
    /// Nothing once the batch has ended.
    insert: Option<hop::Insert>,
    batch_id: String,
    /// The span of the attempt that goes on, or of the last one.
    baton: propagate::Baton,
    /// The hops of the records that do not go in, by where those stood.
    own: HashMap<(String, i32, i64), Py<Hop>>,
}

/// The batches that this process has started and that are still there, by where their states lie. A forked
/// child has none: those it finds are its parent's to tell.
pub(crate) type Open = BTreeMap<usize, Weak<Mutex<State>>>;

static OPEN: Mutex<Open> = Mutex::new(Open::new());

pub(crate) fn open() -> MutexGuard<'static, Open> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves the batches nobody has ended, as the export stops: their records are pending. Whoever fills one
/// may go on, in a batch that is told if there is an export by then.
pub(crate) fn leave_all(py: Python<'_>) {
    let states: Vec<_> = open().values().filter_map(Weak::upgrade).collect();
    for state in states {
        let (left, own) = {
            let mut state = lock(&state);
            let State { table, insert, batch_id, own, .. } = &mut *state;
            let Some(insert) = insert else { continue };
            let mut anew = hop::Insert::start(Recorder::global(), table);
            anew.set_batch_id(batch_id);
            let own: Vec<_> = own.values().map(|hop| hop.clone_ref(py)).collect();
            (mem::replace(insert, anew), own)
        };
        left.leave_pending();
        own.iter().for_each(|hop| hop.get().leave());
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Insert {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.state).addr()
    }

    /// Reads where a record stood and what it came with.
    fn read(&self, message: &Bound<'_, PyAny>) -> PyResult<(Coordinates, Compact)> {
        let group = self.group.as_deref();
        let Input { consumer, partition, offset } = message::input(message, group)?;
        let (topic, group) = (consumer.topic().to_owned(), self.group.clone());
        let found = message::read(self.own_rules.as_deref(), message)?;
        Ok((Coordinates { topic, partition, offset, group }, found))
    }

    /// Ends the batch, if it goes on, by `end`.
    fn end(&self, end: impl FnOnce(hop::Insert)) {
        let ended = self.state().insert.take();
        if let Some(insert) = ended {
            end(insert);
        }
    }

    fn fail(&self, error: &Bound<'_, PyAny>, message: &str) -> PyResult<()> {
        value::tell(error, message, |kind, text| self.end(|insert| insert.failed(kind, text)))
    }

    /// Ends the hops that records have of their own and nobody has ended, by the exception that left the
    /// block, if any did.
    fn end_own(&self, error: &Bound<'_, PyAny>) -> PyResult<()> {
        let own = mem::take(&mut self.state().own);
        let ended = own.values().map(|hop| hop.get().finish_within(error));
        ended.fold(Ok(()), PyResult::and)
    }
}

impl Drop for Insert {
    /// What nobody said anything about is pending, whether it was taken out or not.
    fn drop(&mut self) {
        if open().remove(&self.address()).is_some() {
            self.end(hop::Insert::leave_pending);
            let own = mem::take(&mut self.state().own);
            own.values().for_each(|hop| hop.get().leave());
        }
    }
}

/// Tells records apart.
fn place_of(input: &Coordinates) -> (String, i32, i64) {
    (input.topic.clone(), input.partition, input.offset)
}

fn has_ended() -> PyErr {
    PyRuntimeError::new_err("the batch has ended")
}

/// Starts a batch of records for a table; use it in a `with` statement.
#[pyfunction]
#[pyo3(signature = (table, *, group=None, batch_id=None, propagation=None))]
pub(crate) fn insert(
    table: &str,
    group: Option<String>,
    batch_id: Option<&str>,
    propagation: Option<&Bound<'_, Propagation>>,
) -> Insert {
    let mut insert = hop::Insert::start(Recorder::global(), table);
    if let Some(batch_id) = batch_id {
        insert.set_batch_id(batch_id);
    }
    let (batch_id, baton) = (insert.batch_id().to_owned(), insert.baton().clone());
    let (table, own) = (table.to_owned(), HashMap::new());
    let state = State { table, insert: Some(insert), batch_id, baton, own };
    let insert = Insert {
        group,
        own_rules: propagation.map(|own| own.get().core()),
        block: Block::default(),
        state: Arc::new(Mutex::new(state)),
    };
    open().insert(insert.address(), Arc::downgrade(&insert.state));
    insert
}

#[pymethods]
impl Insert {
    /// The batch's name: give it to the database.
    #[getter]
    fn batch_id(&self) -> String {
        self.state().batch_id.clone()
    }

    #[setter]
    fn set_batch_id(&self, batch_id: &Bound<'_, PyString>) -> PyResult<()> {
        let batch_id = batch_id.to_str()?;
        let mut state = self.state();
        state.insert.as_mut().ok_or_else(has_ended)?.set_batch_id(batch_id);
        batch_id.clone_into(&mut state.batch_id);
        Ok(())
    }

    /// What is current while an attempt goes on.
    #[getter]
    fn baton(&self) -> Baton {
        Baton(self.state().baton.clone())
    }

    #[getter]
    fn trace_id(&self) -> Option<String> {
        self.state().baton.context.map(|context| context.trace_id.to_string())
    }

    /// How many records are in; 0 once the batch has ended.
    fn __len__(&self) -> usize {
        let len = self.state().insert.as_ref().map(hop::Insert::len);
        len.and_then(|len| usize::try_from(len).ok()).unwrap_or_default()
    }

    /// Adds a record; one that is added again counts once, and one that was taken out stays out.
    fn add(&self, message: &Bound<'_, PyAny>) -> PyResult<()> {
        let (input, found) = self.read(message)?;
        let mut state = self.state();
        let State { insert, own, .. } = &mut *state;
        let insert = insert.as_mut().ok_or_else(has_ended)?;
        if !own.contains_key(&place_of(&input)) {
            insert.add(&input, &found.baton());
        }
        Ok(())
    }

    /// Takes a record out, or says that it does not go in, and returns its own hop.
    fn take_out<'py>(&self, message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Hop>> {
        let py = message.py();
        let (input, found) = self.read(message)?;
        let place = place_of(&input);
        let core = {
            let mut state = self.state();
            if let Some(known) = state.own.get(&place) {
                return Ok(known.bind(py).clone());
            }
            let insert = state.insert.as_mut().ok_or_else(has_ended)?;
            insert.take_out(&input, &found.baton())
        };
        // Not under the lock: an object that is made may have others collected, whose finalizers run.
        let hop = Bound::new(
            py,
            Hop::new(core, message.clone().unbind(), found, self.own_rules.clone()),
        )?;
        self.state().own.insert(place, hop.clone().unbind());
        Ok(hop)
    }

    /// Says that the table has the batch; leaving the `with` block does.
    fn passed(&self, py: Python<'_>) -> PyResult<()> {
        self.end(hop::Insert::passed);
        self.end_own(py.None().bind(py))
    }

    /// Says that the batch was given up: nothing else took its records.
    #[pyo3(signature = (error, message=Lossy::default()), text_signature = "($self, error, message='')")]
    fn failed(&self, error: &Bound<'_, PyAny>, message: Lossy) -> PyResult<()> {
        let whole = self.fail(error, &message.0);
        whole.and(self.end_own(error.py().None().bind(error.py())))
    }

    /// Says that an attempt failed and another will follow: the records stay pending.
    #[pyo3(signature = (error, message=Lossy::default()), text_signature = "($self, error, message='')")]
    fn blocked(&self, error: &Bound<'_, PyAny>, message: Lossy) -> PyResult<()> {
        let told = value::tell(error, &message.0, |kind, text| {
            let mut state = self.state();
            let State { insert, baton, .. } = &mut *state;
            if let Some(insert) = insert {
                insert.blocked(kind, text);
                baton.clone_from(insert.baton());
            }
        });
        let baton = self.state().baton.clone();
        self.block.change_span(error.py(), &baton)?;
        told
    }

    fn __enter__<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        let baton = slf.get().state().baton.clone();
        slf.get().block.enter_span(slf.py(), &baton)?;
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
        let told = if error.is_none() {
            self.passed(py)
        } else if stops(error) {
            // Nobody knows whether the table has it, and its records come again.
            self.end(hop::Insert::leave_pending);
            self.end_own(error)
        } else {
            self.fail(error, "").and(self.end_own(error))
        };
        told.map(|()| false)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Who has the lock has a reference to the batch, too.
        let Ok(state) = self.state.try_lock() else { return Ok(()) };
        state.own.values().try_for_each(|hop| visit.call(hop))?;
        self.block.traverse(&visit)
    }

    fn __repr__(&self) -> String {
        // One after the other: each takes the lock.
        let (batch_id, len) = (self.batch_id(), self.__len__());
        format!("<tracebaton.Insert {batch_id} of {len}>")
    }
}
