//! Headers as Python has them ⇄ the core's plain list.

use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    ffi,
    prelude::*,
    types::{PyByteArray, PyBytes, PyDict, PyList, PyMapping, PyMemoryView, PyString, PyTuple},
};

use crate::once::name;
use tracebaton::carrier::{Carrier, CarrierMut, List, Medium};

use crate::borrowed;

type Entry = (Vec<u8>, Option<Vec<u8>>);

/// Reads the name of a medium.
///
/// # Errors
///
/// Raises `ValueError` for a name that is none.
pub(crate) fn medium(name: &str) -> PyResult<Medium> {
    match name {
        "http" => Ok(Medium::Http),
        "kafka" => Ok(Medium::Kafka),
        "metadata" => Ok(Medium::Metadata),
        _ => Err(PyValueError::new_err(format!(
            "medium is neither 'http' nor 'kafka' nor 'metadata': {name:?}"
        ))),
    }
}

/// Reads headers of any shape that [`read`] takes by `with`, which runs no Python code.
///
/// # Errors
///
/// Raises `TypeError` as [`read`] does.
#[inline]
pub(crate) fn extract<T>(
    headers: &Bound<'_, PyAny>,
    medium: Medium,
    with: impl Fn(&dyn Carrier) -> T,
) -> PyResult<T> {
    if let Some(found) = borrowed::of_pairs(headers, medium, &with) {
        return Ok(found);
    }
    match borrowed::of_dict(headers, medium, &with) {
        Some(found) => Ok(found),
        None => read(headers, medium).map(|list| with(&list)),
    }
}

/// Reads headers: a list of pairs, a mapping (whose values may be lists), or `None`.
///
/// # Errors
///
/// Raises `TypeError` for anything else; whatever the names and values say is no error.
pub(crate) fn read(headers: &Bound<'_, PyAny>, medium: Medium) -> PyResult<List> {
    read_with_holes(headers, medium).map(|(list, _)| list)
}

/// Reads headers as [`read`] does, and tells whether pairs were left out because one half of them
/// is missing: confluent-kafka leaves such a hole where it could not decode a name.
pub(crate) fn read_with_holes(
    headers: &Bound<'_, PyAny>,
    medium: Medium,
) -> PyResult<(List, bool)> {
    const WANTED: &str = "a list of (name, value) pairs or a mapping";
    let mut entries = Vec::new();
    let mut has_holes = false;
    if headers.is_none() {
        // No headers at all.
    } else if let Some(mapping) = mapping(headers) {
        for item in mapping.items()? {
            let (name, value) = item.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
            read_member(&name, &value, &mut entries)?;
        }
    } else if is_text(headers) {
        return Err(wrong("headers", WANTED, headers));
    } else {
        let items = headers.try_iter().map_err(|error| not_iterable(headers, WANTED, error))?;
        for (at, item) in items.enumerate() {
            let item = item?;
            match pair(&item) {
                Pair::Whole(name, value) => {
                    let own_name = bytes(&name).ok_or_else(|| name_is_wrong(&name))?;
                    entries.push((own_name, read_value(&name, &value)?));
                }
                Pair::Hole => has_holes = true,
                Pair::None => {
                    return Err(wrong(&format!("headers[{at}]"), "a (name, value) pair", &item));
                }
            }
        }
    }
    Ok((List::new(medium, entries), has_holes))
}

/// Returns what to raise where there is no iterator: what the headers' own `__iter__` raised, or, where they
/// have none, what was wanted of them.
fn not_iterable(headers: &Bound<'_, PyAny>, wanted: &str, raised: PyErr) -> PyErr {
    let py = headers.py();
    if !raised.is_instance_of::<PyTypeError>(py) {
        return raised;
    }
    let told = wrong("headers", wanted, headers);
    told.set_cause(py, Some(raised));
    told
}

/// Returns headers as a mapping. What is none is mostly a list, and need not ask an abstract class.
fn mapping<'a, 'py>(headers: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, PyMapping>> {
    let is_list = headers.is_exact_instance_of::<PyList>();
    if is_list || headers.is_exact_instance_of::<PyTuple>() {
        return None;
    }
    headers.cast().ok()
}

fn read_member(
    name: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
    entries: &mut Vec<Entry>,
) -> PyResult<()> {
    let own_name = bytes(name).ok_or_else(|| name_is_wrong(name))?;
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        for one in value.try_iter()? {
            entries.push((own_name.clone(), read_value(name, &one?)?));
        }
    } else {
        entries.push((own_name, read_value(name, value)?));
    }
    Ok(())
}

fn read_value(name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<Option<Vec<u8>>> {
    if value.is_none() {
        return Ok(None);
    }
    match bytes(value) {
        Some(bytes) => Ok(Some(bytes)),
        // The name is the programmer's own word here, but it may come from a peer all the same.
        None => Err(wrong(
            &format!("the value of header {}", name.repr()?.to_string_lossy()),
            "bytes, str or None",
            value,
        )),
    }
}

enum Pair<'py> {
    Whole(Bound<'py, PyAny>, Bound<'py, PyAny>),
    Hole,
    None,
}

fn pair<'py>(item: &Bound<'py, PyAny>) -> Pair<'py> {
    if let Ok(tuple) = item.cast::<PyTuple>() {
        return match (tuple.len(), half(tuple, 0), half(tuple, 1)) {
            (2, Some(name), Some(value)) => Pair::Whole(name, value),
            (2, ..) => Pair::Hole,
            _ => Pair::None,
        };
    }
    let items = item.cast::<PyList>().map(|list| list.iter().collect::<Vec<_>>());
    match items.map(<[_; 2]>::try_from) {
        Ok(Ok([name, value])) => Pair::Whole(name, value),
        _ => Pair::None,
    }
}

/// Returns an item of a tuple; nothing where the tuple is shorter or has a hole.
#[expect(unsafe_code, reason = "pyo3 takes it for granted that a tuple has no holes")]
fn half<'py>(tuple: &Bound<'py, PyTuple>, at: usize) -> Option<Bound<'py, PyAny>> {
    if at >= tuple.len() {
        return None;
    }
    let at = at.cast_signed();
    // SAFETY: the tuple is alive and `at` is within it; the item is null or a borrowed reference,
    // of which `from_borrowed_ptr_or_opt` makes `None` or a reference of our own.
    unsafe { Bound::from_borrowed_ptr_or_opt(tuple.py(), ffi::PyTuple_GetItem(tuple.as_ptr(), at)) }
}

fn is_text(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyByteArray>()
}

/// Returns the bytes of a text or of bytes. Lone surrogates become bytes that are not UTF-8, which
/// the core refuses as it does from any peer. No method of a class derived from these is called.
pub(crate) fn bytes(value: &Bound<'_, PyAny>) -> Option<Vec<u8>> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Some(bytes.as_bytes().to_vec());
    }
    if let Ok(text) = value.cast::<PyString>() {
        return match text.to_str() {
            Ok(text) => Some(text.as_bytes().to_vec()),
            Err(_) => encode(text).ok(),
        };
    }
    if let Ok(bytes) = value.cast::<PyByteArray>() {
        return Some(bytes.to_vec());
    }
    let view = value.cast::<PyMemoryView>().ok()?;
    view.call_method0(name!(view.py(), "tobytes")).ok()?.extract().ok()
}

fn encode(text: &Bound<'_, PyString>) -> PyResult<Vec<u8>> {
    let py = text.py();
    // The text may be of a class of the application's, whose own `encode` may do anything.
    let arguments = (text, "utf-8", "surrogatepass");
    py.get_type::<PyString>().call_method1(name!(py, "encode"), arguments)?.extract()
}

/// New headers of a Kafka message, made as Python has them.
pub(crate) struct Made<'py> {
    list: Bound<'py, PyList>,
    failure: Option<PyErr>,
}

impl<'py> Made<'py> {
    /// Starts without headers.
    pub(crate) fn new(py: Python<'py>) -> Self {
        Self { list: PyList::empty(py), failure: None }
    }

    /// Returns the headers as a list of pairs.
    ///
    /// # Errors
    ///
    /// Raises what making them raised: nothing but `MemoryError`.
    pub(crate) fn into_list(self) -> PyResult<Bound<'py, PyList>> {
        self.failure.map_or(Ok(self.list), Err)
    }
}

impl CarrierMut for Made<'_> {
    fn medium(&self) -> Medium {
        Medium::Kafka
    }

    /// Each name is written once: there is nothing to replace.
    fn set(&mut self, name: &str, value: &str) {
        let py = self.list.py();
        let name = match name {
            // These are looked up once, not for every message.
            "traceparent" => name!(py, "traceparent").clone(),
            "tracestate" => name!(py, "tracestate").clone(),
            "baggage" => name!(py, "baggage").clone(),
            "trace_id" => name!(py, "trace_id").clone(),
            other => PyString::intern(py, other),
        };
        if let Err(error) = self.list.append((name, PyBytes::new(py, value.as_bytes()))) {
            self.failure = Some(error);
        }
    }

    fn remove(&mut self, _: &str) {}
}

/// Gives headers back: a mapping as a `dict`, in which a name that comes more than once has a list of
/// its values, anything else as a list of pairs; values are text in HTTP and bytes elsewhere.
pub(crate) fn write<'py>(
    list: List,
    medium: Medium,
    like: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = like.py();
    let entries = list.into_entries().into_iter().map(|(name, value)| {
        let value = match value {
            None => py.None().into_bound(py),
            Some(value) if medium == Medium::Http => text(py, &value)?,
            Some(value) => PyBytes::new(py, &value).into_any(),
        };
        PyResult::Ok((text(py, &name)?, value))
    });
    let entries = entries.collect::<PyResult<Vec<_>>>()?;
    if mapping(like).is_some() {
        return Ok(gather(py, entries)?.into_any());
    }
    Ok(PyList::new(py, entries)?.into_any())
}

/// Makes a `dict` whose values are lists where a name comes more than once, so that none is lost.
fn gather<'py>(
    py: Python<'py>,
    entries: Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in entries {
        match dict.get_item(&name)? {
            None => dict.set_item(name, value)?,
            Some(known) => match known.cast_into::<PyList>() {
                Ok(values) => values.append(value)?,
                Err(known) => {
                    dict.set_item(name, PyList::new(py, [known.into_inner(), value])?)?;
                }
            },
        }
    }
    Ok(dict)
}

fn text<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(PyString::new(py, text).into_any());
    }
    // The way back of `encode`; raw bytes are kept as Python keeps them in file names.
    let bytes = PyBytes::new(py, bytes);
    let decode = |errors| bytes.call_method1(name!(py, "decode"), ("utf-8", errors));
    decode("surrogatepass").or_else(|_| decode("surrogateescape"))
}

fn name_is_wrong(name: &Bound<'_, PyAny>) -> PyErr {
    wrong("the name of a header", "str or bytes", name)
}

/// Makes the `TypeError` for a value of a wrong type; names types only, never the value.
pub(crate) fn wrong(what: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let found = value
        .get_type()
        .qualname()
        .map_or_else(|_| "something else".to_owned(), |name| name.to_string_lossy().into_owned());
    PyTypeError::new_err(format!("{what} must be {wanted}, not {found}"))
}
