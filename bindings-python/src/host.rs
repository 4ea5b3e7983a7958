//! Spans of hops for the host's own SDK.

use pyo3::{
    prelude::*,
    types::{PyDict, PyList, PyTuple},
};
use tracebaton::{
    hop::{FinishedSpan, Value},
    otlp::SpanHost,
};

/// Returns what hands spans to `tracebaton.otel_sdk`.
///
/// # Errors
///
/// Raises `ImportError` where there is no SDK.
pub(crate) fn spans(py: Python<'_>) -> PyResult<SpanHost> {
    let record = py.import("tracebaton.otel_sdk")?.getattr("record_spans")?.unbind();
    Ok(SpanHost::new(move |spans| {
        Python::attach(|py| {
            let taken = made(py, spans).and_then(|list| record.call1(py, (list,))?.extract(py));
            // Whatever the SDK raises is its own; how many spans that cost is counted.
            taken.unwrap_or(0)
        })
    }))
}

fn made(py: Python<'_>, spans: Vec<FinishedSpan>) -> PyResult<Bound<'_, PyList>> {
    let made = spans.into_iter().map(|span| one(py, span)).collect::<PyResult<Vec<_>>>()?;
    PyList::new(py, made)
}

fn dict<'py>(py: Python<'py>, pairs: Vec<(String, Value<'_>)>) -> PyResult<Bound<'py, PyDict>> {
    let attributes = PyDict::new(py);
    for (key, value) in pairs {
        match value {
            Value::Text(text) => attributes.set_item(key, text),
            Value::Int(number) => attributes.set_item(key, number),
            Value::Double(number) => attributes.set_item(key, number),
            Value::Bool(flag) => attributes.set_item(key, flag),
            Value::Bytes(bytes) => attributes.set_item(key, bytes),
        }?;
    }
    Ok(attributes)
}

/// Returns a span as the arguments of `otel_sdk._record`.
fn one(py: Python<'_>, span: FinishedSpan) -> PyResult<Bound<'_, PyTuple>> {
    let trace = |id: tracebaton::TraceId| u128::from_be_bytes(id.to_bytes());
    let span_of = |id: tracebaton::SpanId| u64::from_be_bytes(id.to_bytes());
    let links = span.links.into_iter().map(|link| {
        let attributes = dict(py, link.attributes)?;
        Ok((trace(link.trace_id), span_of(link.span_id), link.flags.bits(), attributes))
    });
    let links = links.collect::<PyResult<Vec<_>>>()?;
    let attributes = dict(py, span.attributes)?;
    let ids = (trace(span.trace_id), span_of(span.span_id), span.flags.bits(), span.tracestate);
    let above = span.parent.map(|parent| (span_of(parent), span.parent_is_remote));
    let times = (span.start, span.end);
    (ids, above, span.name, span.kind as u8, times, attributes, links, span.error, span.exception)
        .into_pyobject(py)
}
