//! Python bindings of tracebaton: convert, call the core, convert back.
//!
//! `import tracebaton` shows what is exported here; `python/tracebaton/_native.pyi` says it in types.

use pyo3::prelude::*;

mod asked;
mod batch;
mod baton;
mod borrowed;
mod current;
mod errors;
mod fastcall;
#[cfg(unix)]
mod fork;
mod headers;
mod hop;
mod host;
mod insert;
mod interpreter;
mod lazy;
mod lifecycle;
mod logger;
mod message;
mod once;
mod otel;
mod output;
mod propagation;
mod propagator;
mod sample;
mod settings;
mod stdout;
mod value;

/// The compiled half of `tracebaton`.
///
/// It needs no GIL: what threads share is atomic or behind a lock that no Python code runs under, and
/// headers are read where they lie in a critical section.
#[pymodule(gil_used = false)]
pub mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::batch::Batch;
    #[pymodule_export]
    use crate::baton::{Baton, Extracted, Refusal, Source};
    #[pymodule_export]
    use crate::current::{current_hop, current_ids};
    #[pymodule_export]
    use crate::errors::{ConfigError, PayloadError, TracebatonError};
    #[pymodule_export]
    use crate::hop::{Active, Hop, process};
    #[pymodule_export]
    use crate::insert::{Insert, insert};
    #[pymodule_export]
    use crate::lazy::LazyContext;
    #[pymodule_export]
    use crate::lifecycle::{Counts, ShutdownReport, flush, init, shutdown};
    #[pymodule_export]
    use crate::logger::{FastMethod, Logger, log};
    #[pymodule_export]
    use crate::otel::{Carried, otel_baton, otel_fields, otel_inject};
    #[pymodule_export]
    use crate::output::Output;
    #[pymodule_export]
    use crate::propagation::{Propagation, extract_payload, inject, inject_payload, refusals};
    #[pymodule_export]
    use crate::propagator::PropagatorBase;
    #[pymodule_export]
    use crate::sample::{otel_new_span_id, otel_new_trace_id, otel_sample};

    #[pymodule_init]
    fn add_methods(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::interpreter::claim(module.py())?;
        crate::current::prepare(module.py())?;
        crate::fastcall::add_function::<crate::propagation::Extract>(module)?;
        crate::propagator::add_methods(module.py())?;
        crate::logger::add_methods(module.py())
    }
}
