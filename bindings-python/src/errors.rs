//! The exceptions: one for each thing the caller can do about it, all under one base.

use pyo3::{create_exception, exceptions::PyException};

create_exception!(
    tracebaton,
    TracebatonError,
    PyException,
    "The base of every error of tracebaton."
);
create_exception!(
    tracebaton,
    ConfigError,
    TracebatonError,
    "A setting that cannot be used; the message starts with its name."
);
create_exception!(tracebaton, PayloadError, TracebatonError, "A payload that cannot take a baton.");
