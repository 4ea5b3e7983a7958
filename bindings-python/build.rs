//! Tells the crate which CPython it is built for: `Py_3_14` and the like.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}
