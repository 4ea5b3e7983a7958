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

/// Returns a message's headers, and whether the client could not read some of them.
///
/// confluent-kafka raises once where a name is not UTF-8; from then on it returns a list whose
/// pairs have holes, and code that unpacks those crashes the process. The message gets a list
/// without them.
///
/// # Errors
///
/// Raises `TypeError` where the headers are of a type that no client uses.
pub(crate) fn headers(message: &Bound<'_, PyAny>) -> PyResult<(List, bool)> {
    let (found, has_raised) = match field(message, "headers") {
        Ok(found) => (found, false),
        Err(_) => match field(message, "headers") {
            Ok(found) => (found, true),
            Err(_) => return Ok((List::new::<Vec<u8>, Vec<u8>>(Medium::Kafka, []), true)),
        },
    };
    let (list, has_holes) = headers::read_with_holes(&found, Medium::Kafka)?;
    if has_holes {
        let whole = headers::write(list.clone(), Medium::Kafka, &found)?;
        // Where a client has no such method, its list stays as it is.
        let _ = message.call_method1("set_headers", (whole,));
    }
    Ok((list, has_raised || has_holes))
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
