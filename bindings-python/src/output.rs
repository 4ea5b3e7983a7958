//! One message on its way out of a hop.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::{PyException, PyTypeError},
    prelude::*,
    types::{PyCFunction, PyDict, PyString, PyTuple},
};
use tracebaton::{hop, propagate};

use crate::{
    baton::Baton,
    message,
    once::name,
    value::{self, Lossy},
};

/// A message on its way to a topic, until the broker has it or is known not to.
#[pyclass(module = "tracebaton", frozen)]
pub(crate) struct Output {
    topic: Py<PyString>,
    baton: propagate::Baton,
    headers: Py<PyAny>,
    value: Option<Py<PyAny>>,
    state: Mutex<State>,
}

struct State {
    output: Option<hop::Output>,
    is_delivered: bool,
}

impl Output {
    /// Creates the Python side of an output and the headers its message is to have.
    pub(crate) fn new(
        output: hop::Output,
        topic: Bound<'_, PyString>,
        headers: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
    ) -> Self {
        Self {
            topic: topic.unbind(),
            baton: output.baton().clone(),
            headers: headers.unbind(),
            value: value.map(Bound::unbind),
            state: Mutex::new(State { output: Some(output), is_delivered: false }),
        }
    }

    /// Takes the core's handle; what is told of an output a second time changes nothing.
    fn take(&self) -> Option<hop::Output> {
        self.state().output.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Output {
    #[getter]
    fn topic<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        self.topic.bind(py).clone()
    }

    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.headers.bind(py).clone()
    }

    /// What the message says, where `transform` made it.
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.value.as_ref().map(|value| value.bind(py).clone())
    }

    #[getter]
    fn baton(&self) -> Baton {
        Baton(self.baton.clone())
    }

    /// Whether the broker has it, as far as is known.
    #[getter]
    fn is_delivered(&self) -> bool {
        self.state().is_delivered
    }

    /// Takes confluent-kafka's delivery report.
    fn on_delivery(&self, err: &Bound<'_, PyAny>, msg: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some(output) = self.take() else { return Ok(()) };
        let is_delivered = settle(output, err, msg)?;
        self.state().is_delivered = is_delivered;
        Ok(())
    }

    /// Says where the broker put it: partition and offset, or the metadata that aiokafka and
    /// kafka-python return.
    #[pyo3(signature = (metadata, offset=None, /))]
    fn delivered(&self, metadata: &Bound<'_, PyAny>, offset: Option<i64>) -> PyResult<()> {
        let place = match offset {
            Some(offset) => Some((metadata.extract()?, offset)),
            None if metadata.extract::<i32>().is_ok() => {
                return Err(PyTypeError::new_err("delivered() takes an offset with a partition"));
            }
            None => message::place(metadata)?,
        };
        if let (Some(output), Some((partition, offset))) = (self.take(), place) {
            output.delivered(partition, offset);
            self.state().is_delivered = true;
        }
        Ok(())
    }

    /// Says that the broker or the client refused it; the hop's message has then failed.
    #[pyo3(signature = (error, message=Lossy::default()), text_signature = "($self, error, message='')")]
    fn undelivered(&self, error: &Bound<'_, PyAny>, message: Lossy) -> PyResult<()> {
        value::tell(error, &message.0, |kind, text| {
            if let Some(output) = self.take() {
                output.undelivered(kind, text);
            }
        })
    }

    /// Says that the client took it and returned this future: it is settled as the future is. Returns
    /// the future.
    fn sent<'py>(slf: &Bound<'py, Self>, future: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if let Ok(on_success) = future.getattr(name!(py, "add_callback")) {
            on_success.call1((slf.getattr(name!(py, "delivered"))?,))?;
            let undelivered = slf.getattr(name!(py, "undelivered"))?;
            future.call_method1(name!(py, "add_errback"), (undelivered,))?;
            return Ok(future);
        }
        let output = slf.clone().unbind();
        let settle = move |args: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
            let (output, future) = (output.bind(args.py()).get(), args.get_item(0)?);
            match future.call_method0(name!(args.py(), "result")) {
                Ok(metadata) => output.on_delivery(args.py().None().bind(args.py()), &metadata)?,
                Err(error) => output.undelivered(error.value(args.py()), Lossy::default())?,
            }
            PyResult::Ok(())
        };
        let settle = PyCFunction::new_closure(py, None, None, settle)?;
        let Ok(add) = future.getattr(name!(py, "add_done_callback")) else {
            let found = value::type_name(&future);
            return Err(PyTypeError::new_err(format!("sent() takes a future, not {found}")));
        };
        add.call1((settle,))?;
        Ok(future)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.headers)?;
        visit.call(&self.value)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<tracebaton.Output to {}>", self.topic.bind(py).to_string_lossy())
    }
}

/// Settles an output by a delivery report and tells whether the broker has it; without an
/// acknowledgement it stays unconfirmed. Where nobody knows the form of a success, the broker has it at a
/// place that is not known: whoever waits for the client is to hear nothing of ours.
pub(crate) fn settle(
    output: hop::Output,
    err: &Bound<'_, PyAny>,
    msg: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    if !err.is_none() {
        let told = value::tell(err, "", |kind, text| output.undelivered(kind, text));
        return told.map(|()| false);
    }
    match message::place(msg) {
        Ok(Some((partition, offset))) => output.delivered(partition, offset),
        Ok(None) => return Ok(false),
        Err(error) if error.is_instance_of::<PyException>(msg.py()) => output.acknowledged(),
        Err(error) => return Err(error),
    }
    Ok(true)
}
