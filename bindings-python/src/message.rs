//! Messages of confluent-kafka, aiokafka and kafka-python, recognised by their structure alone.

use pyo3::{exceptions::PyTypeError, prelude::*};
use tracebaton::{
    carrier::{List, Medium},
    hop::Coordinates,
};

use crate::{headers, value::type_name};

/// Returns where a message was read.
///
/// # Errors
///
/// Raises `TypeError` where `message` has no topic, partition or offset.
pub(crate) fn coordinates(
    message: &Bound<'_, PyAny>,
    group: Option<String>,
) -> PyResult<Coordinates> {
    Ok(Coordinates {
        topic: part(message, "topic")?,
        partition: part(message, "partition")?,
        offset: part(message, "offset")?,
        group,
    })
}

/// Returns a message's headers; nothing where the client itself cannot read them: one whose key is
/// not UTF-8 makes confluent-kafka raise.
///
/// # Errors
///
/// Raises `TypeError` where the headers are of a type that no client uses.
pub(crate) fn headers(message: &Bound<'_, PyAny>) -> PyResult<Option<List>> {
    match field(message, "headers") {
        Ok(found) => headers::read(&found, Medium::Kafka).map(Some),
        Err(_) => Ok(None),
    }
}

/// Reads partition and offset of a delivery report or of the metadata a producer returns; nothing
/// where the broker was not asked for an acknowledgement.
pub(crate) fn place(metadata: &Bound<'_, PyAny>) -> PyResult<Option<(i32, i64)>> {
    let partition = field(metadata, "partition").map_err(|_| lacks(metadata, "partition"))?;
    let offset = field(metadata, "offset").map_err(|_| lacks(metadata, "offset"))?;
    if partition.is_none() || offset.is_none() {
        return Ok(None);
    }
    let offset: i64 = offset.extract()?;
    Ok((offset >= 0).then_some((partition.extract()?, offset)))
}

/// Reads a part that is an attribute in some clients and a method in others.
pub(crate) fn field<'py>(message: &Bound<'py, PyAny>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let found = message.getattr(name)?;
    if found.is_callable() { found.call0() } else { Ok(found) }
}

fn part<'py, T>(message: &Bound<'py, PyAny>, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    let found = field(message, name).map_err(|_| lacks(message, name))?;
    found.extract().map_err(|_| {
        PyTypeError::new_err(format!("message has a {name} of type {}", type_name(&found)))
    })
}

fn lacks(message: &Bound<'_, PyAny>, name: &str) -> PyErr {
    let found = type_name(message);
    PyTypeError::new_err(format!("{found} is no Kafka message: it has no readable {name}"))
}
