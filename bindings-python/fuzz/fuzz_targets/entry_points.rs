//! Arbitrary bytes at the binding's entry points, in every shape that headers and payloads come in. What a peer sent raises nothing,
//! a wrong type raises `TypeError`, a payload that takes no baton `PayloadError`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    sync::PyOnceLock,
    types::{PyByteArray, PyBytes, PyDict, PyList, PyMemoryView, PyString, PyTuple},
};
use tracebaton_fuzz::checks::NAMES;
use tracebaton_python::_native;

const FORMATS: [&str; 9] =
    ["tracecontext", "baggage", "legacy", "b3", "b3multi", "jaeger", "xray", "gcp", "datadog"];

/// The module, an object with the same methods that goes by all formats, and the error of payloads.
struct Entry {
    module: Py<PyAny>,
    all: Py<PyAny>,
    payload_error: Py<PyAny>,
    media: [Py<PyDict>; 3],
}

static ENTRY: PyOnceLock<Entry> = PyOnceLock::new();

fn load(py: Python<'_>) -> PyResult<Entry> {
    let module = py.import("_native")?;
    let formats = PyDict::new(py);
    formats.set_item("read", FORMATS)?;
    formats.set_item("write", FORMATS)?;
    let medium = |name| {
        let named = PyDict::new(py);
        named.set_item("medium", name).map(|()| named.unbind())
    };
    Ok(Entry {
        all: module.getattr("Propagation")?.call((), Some(&formats))?.unbind(),
        payload_error: module.getattr("PayloadError")?.unbind(),
        media: [medium("http")?, medium("kafka")?, medium("metadata")?],
        module: module.into_any().unbind(),
    })
}

fuzz_target!(
    init: {
        pyo3::append_to_inittab!(_native);
    },
    |data: &[u8]| {
        Python::attach(|py| {
            let entry = ENTRY.get_or_try_init(py, || load(py)).expect("the module is there");
            // The interpreter says more of an exception than its name.
            let told = |error: PyErr| error.display(py);
            let [which, kinds, rest @ ..] = data else { return };
            let rules = if which & 8 == 0 { &entry.module } else { &entry.all };
            let made = if which & 4 == 0 {
                headers(rules.bind(py), entry, *which, *kinds, rest)
            } else {
                payload(rules.bind(py), entry, *kinds, rest)
            };
            made.map_err(told).expect("nothing but what is promised is raised");
        });
    }
);

/// Reads headers, writes them, and reads them again.
fn headers(
    rules: &Bound<'_, PyAny>,
    entry: &Entry,
    which: u8,
    kinds: u8,
    data: &[u8],
) -> PyResult<()> {
    let py = rules.py();
    let medium = entry.media[usize::from(which % 3)].bind(py);
    let (faults, data) = data.split_first().unwrap_or((&0, data));
    let mut is_wrong = false;
    let mut pairs = pairs(py, kinds, data)?;
    if faults % 16 == 15 {
        is_wrong = true;
        pairs.push(fault(py, faults >> 4)?);
    }
    let headers = shape(py, which >> 4, &pairs)?;
    let found = match rules.call_method("extract", (&headers,), Some(medium)) {
        Err(error) if is_wrong && error.is_instance_of::<PyTypeError>(py) => return Ok(()),
        found => found?,
    };
    assert!(!is_wrong, "a wrong type is told");
    look(&found)?;
    let headers = shape(py, which >> 4, &pairs)?;
    let out = rules.call_method("inject", (&found, &headers), Some(medium))?;
    let again = rules.call_method("extract", (&out,), Some(medium))?;
    let [before, after] =
        [&found, &again].map(|found| found.getattr("baton")?.getattr("traceparent"));
    assert!(before?.eq(after?)?, "what was written is read");
    Ok(())
}

/// Reads a payload and writes it.
fn payload(rules: &Bound<'_, PyAny>, entry: &Entry, kinds: u8, data: &[u8]) -> PyResult<()> {
    let py = rules.py();
    let payload = value(py, kinds % 7, data)?;
    let found = match rules.call_method1("extract_payload", (&payload,)) {
        Err(error) if payload.is_none() && error.is_instance_of::<PyTypeError>(py) => return Ok(()),
        found => found?,
    };
    look(&found)?;
    match rules.call_method1("inject_payload", (&found, &payload)) {
        Err(error) if error.is_instance(py, entry.payload_error.bind(py)) => Ok(()),
        out => look(&rules.call_method1("extract_payload", (out?,))?),
    }
}

/// Looks at what is made only then.
fn look(found: &Bound<'_, PyAny>) -> PyResult<()> {
    assert!(found.getattr("refused")?.len()? <= 64);
    assert!(!found.getattr("source")?.is_none() || found.getattr("trace_id")?.is_none());
    let baton = found.getattr("baton")?;
    ["legacy_id", "tracestate", "baggage"]
        .iter()
        .try_for_each(|name| baton.getattr(*name).map(drop))
}

type Pair<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

/// Reads pairs: a byte for the name, one for the length, and the value; from 240 on the name is the value itself.
fn pairs<'py>(py: Python<'py>, kinds: u8, mut data: &[u8]) -> PyResult<Vec<Pair<'py>>> {
    let mut pairs = Vec::new();
    while let [name, length, rest @ ..] = data {
        let (bytes, after) = rest.split_at(rest.len().min(usize::from(*length)));
        let name = match name {
            240.. => value(py, (kinds >> 3) % 6, bytes)?,
            _ => PyString::new(py, NAMES[usize::from(*name) % NAMES.len()]).into_any(),
        };
        let kind = kinds.wrapping_add(u8::try_from(pairs.len() % 7).unwrap_or_default());
        pairs.push((name, value(py, if *length == 255 { 6 } else { kind % 7 }, bytes)?));
        data = after;
    }
    Ok(pairs)
}

/// Makes a value of one of the kinds that are taken; the last is none.
fn value<'py>(py: Python<'py>, kind: u8, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let bytes = PyBytes::new(py, data);
    let decode = |errors| bytes.call_method1("decode", ("utf-8", errors));
    Ok(match kind {
        0 => bytes.into_any(),
        1 => {
            PyString::new(py, &data.iter().copied().map(char::from).collect::<String>()).into_any()
        }
        2 => decode("surrogateescape")?, // lone surrogates
        3 => PyByteArray::new(py, data).into_any(),
        4 => PyMemoryView::from(bytes.as_any())?.into_any(),
        5 => PyString::new(py, &String::from_utf8_lossy(data)).into_any(),
        _ => py.None().into_bound(py),
    })
}

/// Makes a pair one half of which has a type that is not taken.
fn fault(py: Python<'_>, which: u8) -> PyResult<Pair<'_>> {
    let number = 7_i32.into_pyobject(py)?.into_any();
    let dict = PyDict::new(py).into_any();
    let text = PyString::new(py, "traceparent").into_any();
    Ok(match which % 4 {
        0 => (text, number),
        1 => (number, text),
        2 => (text, dict),
        _ => (text, PyList::new(py, [number])?.into_any()),
    })
}

/// Makes headers of one of the shapes: pairs, lists of two, a generator, a dict, a dict of lists.
fn shape<'py>(py: Python<'py>, which: u8, pairs: &[Pair<'py>]) -> PyResult<Bound<'py, PyAny>> {
    let tuples = || pairs.iter().map(|(name, value)| PyTuple::new(py, [name, value]));
    let list = || PyList::new(py, tuples().collect::<PyResult<Vec<_>>>()?);
    // What has no hash, as a bytearray, is no key: it comes as a pair.
    let has_hashes = pairs.iter().all(|(name, _)| name.hash().is_ok());
    let dict = PyDict::new(py);
    match which % 5 {
        1 => {
            let lists = pairs.iter().map(|(name, value)| PyList::new(py, [name, value]));
            return Ok(PyList::new(py, lists.collect::<PyResult<Vec<_>>>()?)?.into_any());
        }
        2 => return Ok(list()?.try_iter()?.into_any()),
        3 if has_hashes => {
            pairs.iter().try_for_each(|(name, value)| dict.set_item(name, value))?;
        }
        4 if has_hashes => {
            for (name, value) in pairs {
                dict.set_item(name, PyTuple::new(py, [value, value])?)?;
            }
        }
        _ => return Ok(list()?.into_any()),
    }
    Ok(dict.into_any())
}
