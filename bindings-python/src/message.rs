//! Messages of confluent-kafka, aiokafka and kafka-python, recognised by their structure alone.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::{exceptions::PyTypeError, prelude::*, types::PyString};
use tracebaton::{
    carrier::{Carrier, Medium},
    error::ErrorKind,
    hop::Consumer,
    propagate::{Compact, Extracted, Propagation, Refusal},
};

use crate::{borrowed, errors::caught, headers, once::name, value::type_name};

/// Who read a message, and where it stood.
pub(crate) struct Input {
    pub(crate) consumer: Consumer,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// Returns where a message was read.
///
/// # Errors
///
/// Raises `TypeError` where `message` has no topic, partition or offset.
pub(crate) fn input(message: &Bound<'_, PyAny>, group: Option<&str>) -> PyResult<Input> {
    let py = message.py();
    let name = name!(py, "topic");
    let topic = known(message, name)?;
    let text = topic.cast::<PyString>().ok().and_then(|topic| topic.to_str().ok());
    let consumer = Consumer::of(text.ok_or_else(|| is_wrong(name, &topic))?, group);
    let (partition, offset) = (name!(py, "partition"), name!(py, "offset"));
    Ok(Input { consumer, partition: part(message, partition)?, offset: part(message, offset)? })
}

/// Reads the baton of a message's headers as [`extract`] does, by rules of its own or else the process's.
///
/// # Errors
///
/// As [`extract`].
pub(crate) fn read(
    own_rules: Option<&Propagation>,
    message: &Bound<'_, PyAny>,
) -> PyResult<Compact> {
    match own_rules {
        Some(own) => extract(own, message),
        None => Propagation::with_process(|rules| extract(rules, message)),
    }
}

/// Reads the baton of a message's headers, and says so where the client could not read some of them.
///
/// confluent-kafka raises once where a name is not UTF-8; from then on it returns a list whose
/// pairs have holes, and code that unpacks those crashes the process. The message gets a list
/// without them.
///
/// # Errors
///
/// Raises `TypeError` where the headers are of a type that no client uses.
fn extract(propagation: &Propagation, message: &Bound<'_, PyAny>) -> PyResult<Compact> {
    let (py, name) = (message.py(), name!(message.py(), "headers"));
    let (found, has_raised) = match caught(py, field(message, name))? {
        Ok(found) => (found, false),
        Err(_) => match caught(py, field(message, name))? {
            Ok(found) => (found, true),
            Err(_) => return Ok(damaged(Extracted::default()).into()),
        },
    };
    let read = |carrier: &dyn Carrier| propagation.extract_compact(carrier);
    if !has_raised && let Some(found) = borrowed::of_pairs(&found, Medium::Kafka, read) {
        return Ok(found);
    }
    let (list, has_holes) = headers::read_with_holes(&found, Medium::Kafka)?;
    let extracted = propagation.extract(&list);
    if has_holes {
        let whole = headers::write(list, Medium::Kafka, &found)?;
        // Where a client has no such method, its list stays as it is.
        let _ = caught(py, message.call_method1("set_headers", (whole,)))?;
    }
    let extracted = if has_raised || has_holes { damaged(extracted) } else { extracted };
    Ok(extracted.into())
}

fn damaged(mut extracted: Extracted) -> Extracted {
    extracted.refused.push(Refusal { name: "headers".into(), kind: ErrorKind::NotText });
    extracted
}

/// Reads partition and offset of a delivery report or of the metadata a producer returns; nothing
/// where the broker was not asked for an acknowledgement: aiokafka has `None` then.
pub(crate) fn place(metadata: &Bound<'_, PyAny>) -> PyResult<Option<(i32, i64)>> {
    if metadata.is_none() {
        return Ok(None);
    }
    let py = metadata.py();
    let partition = known(metadata, name!(py, "partition"))?;
    let offset = known(metadata, name!(py, "offset"))?;
    if partition.is_none() || offset.is_none() {
        return Ok(None);
    }
    let offset: i64 = offset.extract()?;
    Ok((offset >= 0).then_some((partition.extract()?, offset)))
}

/// Where the type of the last message lies whose parts were methods.
static WITH_METHODS: AtomicUsize = AtomicUsize::new(0);

/// Reads a part that is an attribute in some clients and a method in others.
///
/// What the last message was like is a guess only: it spares the method an object of its own.
pub(crate) fn field<'py>(
    message: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    let kind = message.get_type_ptr().addr();
    if WITH_METHODS.load(Ordering::Relaxed) == kind {
        return caught(message.py(), message.call_method0(name))?.or_else(|error| {
            match caught(message.py(), message.getattr(name))? {
                Ok(found) if !found.is_callable() => Ok(found),
                _ => Err(error),
            }
        });
    }
    let found = message.getattr(name)?;
    if !found.is_callable() {
        return Ok(found);
    }
    WITH_METHODS.store(kind, Ordering::Relaxed);
    found.call0()
}

fn part<'py, T>(message: &Bound<'py, PyAny>, name: &Bound<'py, PyString>) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    let found = known(message, name)?;
    let part = found.extract().map_err(Into::into);
    caught(message.py(), part)?.map_err(|_| is_wrong(name, &found))
}

/// Reads a part that every message has.
fn known<'py>(
    message: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    caught(message.py(), field(message, name))?.map_err(|_| lacks(message, name))
}

fn is_wrong(name: &Bound<'_, PyString>, found: &Bound<'_, PyAny>) -> PyErr {
    let mut text = format!("the message's {name} is of type {}", type_name(found));
    if found.is_none() {
        text += "; a client hands out its errors as messages: leave out those whose error() is set";
    }
    PyTypeError::new_err(text)
}

fn lacks(message: &Bound<'_, PyAny>, name: &Bound<'_, PyString>) -> PyErr {
    let found = type_name(message);
    PyTypeError::new_err(format!("{found} is no Kafka message: it has no readable {name}"))
}
