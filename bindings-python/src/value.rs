//! Python values as attributes, fields and texts. Nothing here raises but for a wrong type.

use std::borrow::Cow;

use pyo3::{
    prelude::*,
    types::{PyBool, PyBytes, PyFloat, PyInt, PyString},
};
use tracebaton::hop::Value;

use crate::headers::wrong;

/// Returns a text as UTF-8; lone surrogates become U+FFFD.
///
/// # Errors
///
/// Raises `TypeError`, which names `what`, for anything but a `str`.
pub(crate) fn text<'a>(what: &str, value: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, str>> {
    let text = value.cast::<PyString>().map_err(|_| wrong(what, "str", value))?;
    Ok(text.to_string_lossy())
}

/// Returns a value as an attribute; what has no type of its own there is written as its text.
pub(crate) fn attribute(value: &Bound<'_, PyAny>) -> Value<'static> {
    if let Ok(text) = value.cast::<PyString>() {
        return Value::Text(text.to_string_lossy().into_owned().into());
    }
    if let Ok(flag) = value.cast::<PyBool>() {
        return Value::Bool(flag.is_true());
    }
    if value.is_instance_of::<PyInt>()
        && let Ok(number) = value.extract::<i64>()
    {
        return Value::Int(number);
    }
    if let Ok(number) = value.cast::<PyFloat>() {
        return Value::Double(number.value());
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Value::Bytes(bytes.as_bytes().to_vec().into());
    }
    Value::Text(shown(value).into())
}

/// Returns `str(value)`, or what can be said where that raises.
pub(crate) fn shown(value: &Bound<'_, PyAny>) -> String {
    value.str().map_or_else(
        |_| format!("<{} without a text>", type_name(value)),
        |text| text.to_string_lossy().into_owned(),
    )
}

/// Returns a key as text.
pub(crate) fn plain<'a>(key: &'a Bound<'_, PyAny>) -> Cow<'a, str> {
    match key.cast::<PyString>() {
        Ok(text) => text.to_string_lossy(),
        Err(_) => shown(key).into(),
    }
}

/// Returns a value as [`attribute`] does, without copying a text.
pub(crate) fn borrowed<'a>(value: &'a Bound<'_, PyAny>) -> Value<'a> {
    match value.cast::<PyString>() {
        Ok(text) => Value::Text(text.to_string_lossy()),
        Err(_) => attribute(value),
    }
}

/// Returns the type and the message of an error, as OpenTelemetry names them ("exception.type",
/// "exception.message").
///
/// An error may be given as an exception, as confluent-kafka's `KafkaError`, or as the name of its
/// type with the message beside it.
pub(crate) fn error(error: &Bound<'_, PyAny>, message: &str) -> (String, String) {
    if let Ok(name) = error.cast::<PyString>() {
        return (name.to_string_lossy().into_owned(), message.to_owned());
    }
    let call = |name: &str| error.call_method0(name).ok()?.extract::<String>().ok();
    if let Some((name, text)) = call("name").zip(call("str")) {
        return (name, text);
    }
    (type_name(error), shown(error))
}

/// Returns the qualified name of a value's type, without `builtins`.
pub(crate) fn type_name(value: &Bound<'_, PyAny>) -> String {
    let kind = value.get_type();
    let part = |part: PyResult<Bound<'_, PyString>>| {
        part.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
    };
    match (part(kind.module()), part(kind.qualname())) {
        (module, name) if module.is_empty() || module == "builtins" => name,
        (module, name) => format!("{module}.{name}"),
    }
}
