//! Python values as attributes, fields and texts. What a value's own methods raise does not matter here,
//! unless it is an interruption.

use std::borrow::Cow;

use pyo3::{
    prelude::*,
    types::{PyBool, PyBytes, PyFloat, PyInt, PyString},
};
use tracebaton::hop::Value;

use crate::{errors::caught, headers::wrong};

/// Returns a text as UTF-8; lone surrogates become U+FFFD.
///
/// # Errors
///
/// Raises `TypeError`, which names `what`, for anything but a `str`.
pub(crate) fn text<'a>(what: &str, value: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, str>> {
    let text = value.cast::<PyString>().map_err(|_| wrong(what, "str", value))?;
    Ok(text.to_string_lossy())
}

/// A text that a caller gives: it may quote what a peer sent, so lone surrogates become U+FFFD.
#[derive(Default)]
pub(crate) struct Lossy(pub(crate) String);

impl<'py> FromPyObject<'_, 'py> for Lossy {
    type Error = PyErr;

    fn extract(text: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(text.cast::<PyString>()?.to_string_lossy().into_owned()))
    }
}

/// Returns a value as an attribute; what has no type of its own there is written as its text.
///
/// # Errors
///
/// Raises as [`shown`] does.
pub(crate) fn attribute(value: &Bound<'_, PyAny>) -> PyResult<Value<'static>> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Value::Text(text.to_string_lossy().into_owned().into()));
    }
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(Value::Bool(flag.is_true()));
    }
    if value.is_instance_of::<PyInt>()
        && let Ok(number) = value.extract::<i64>()
    {
        return Ok(Value::Int(number));
    }
    if let Ok(number) = value.cast::<PyFloat>() {
        return Ok(Value::Double(number.value()));
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(Value::Bytes(bytes.as_bytes().to_vec().into()));
    }
    Ok(Value::Text(shown(value)?.into()))
}

/// Returns `str(value)`, or what can be said where that raises.
///
/// # Errors
///
/// Raises on an interruption alone.
pub(crate) fn shown(value: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(caught(value.py(), value.str())?.map_or_else(
        |_| format!("<{} without a text>", type_name(value)),
        |text| text.to_string_lossy().into_owned(),
    ))
}

/// Returns a key as text.
///
/// # Errors
///
/// Raises as [`shown`] does.
pub(crate) fn plain<'a>(key: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, str>> {
    match key.cast::<PyString>() {
        Ok(text) => Ok(text.to_string_lossy()),
        Err(_) => shown(key).map(Into::into),
    }
}

/// Returns a value as [`attribute`] does, without copying a text.
///
/// # Errors
///
/// Raises as [`shown`] does.
pub(crate) fn borrowed<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<Value<'a>> {
    match value.cast::<PyString>() {
        Ok(text) => Ok(Value::Text(text.to_string_lossy())),
        Err(_) => attribute(value),
    }
}

/// Says what an error is by `with`: its type and its message, as OpenTelemetry names them
/// ("exception.type", "exception.message").
///
/// An error may be given as an exception, as confluent-kafka's `KafkaError`, or as the name of its
/// type with the message beside it.
///
/// # Errors
///
/// Raises an interruption of whoever is asked about the error, once the error was told all the same.
pub(crate) fn tell(
    error: &Bound<'_, PyAny>,
    message: &str,
    with: impl FnOnce(&str, &str),
) -> PyResult<()> {
    if let Ok(name) = error.cast::<PyString>() {
        with(&name.to_string_lossy(), message);
        return Ok(());
    }
    let told = named(error).and_then(|named| match named {
        Some(named) => Ok(named),
        None => Ok((type_name(error), shown(error)?)),
    });
    match told {
        Ok((kind, text)) => with(&kind, &text),
        Err(raised) => {
            with(&type_name(error), "");
            return Err(raised);
        }
    }
    Ok(())
}

/// Asks an error of confluent-kafka's kind for its name and its text.
fn named(error: &Bound<'_, PyAny>) -> PyResult<Option<(String, String)>> {
    let call = |name: &str| {
        let said = caught(error.py(), error.call_method0(name))?.ok();
        PyResult::Ok(said.and_then(|said| said.extract::<String>().ok()))
    };
    let Some(name) = call("name")? else { return Ok(None) };
    Ok(call("str")?.map(|text| (name, text)))
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
