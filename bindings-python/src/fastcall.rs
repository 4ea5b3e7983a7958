//! Methods and functions that take their arguments where the interpreter has them: keyword arguments
//! become no dictionary.

use std::{
    ffi::CStr,
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
};

use pyo3::{
    PyClass,
    exceptions::{PySystemError, PyTypeError},
    ffi,
    prelude::*,
    types::{PyString, PyTuple, PyType},
};

/// What a method was called with.
pub(crate) struct Call<'a, 'py> {
    /// The arguments by place, then those by name.
    pub(crate) values: &'a [Bound<'py, PyAny>],
    /// How many came by place.
    pub(crate) by_place: usize,
    /// The names of the others.
    pub(crate) names: &'a [Bound<'py, PyAny>],
}

impl<'a, 'py> Call<'a, 'py> {
    /// Returns names and values of what came by name.
    pub(crate) fn named(&self) -> impl Iterator<Item = Named<'a, 'py>> + Clone {
        let values = self.values.get(self.by_place..).unwrap_or_default();
        self.names.iter().zip(values)
    }

    /// Returns the arguments in the order of these parameters, of which the first few may come by place.
    ///
    /// # Errors
    ///
    /// Raises `TypeError` for an argument too many.
    #[inline]
    pub(crate) fn sorted<const N: usize>(
        &self,
        function: &str,
        parameters: [&str; N],
        places: usize,
    ) -> PyResult<[Option<&'a Bound<'py, PyAny>>; N]> {
        let mut sorted = [None; N];
        if self.by_place > places {
            let found = self.by_place;
            return Err(PyTypeError::new_err(format!(
                "{function}() takes at most {places} positional arguments ({found} given)"
            )));
        }
        for (place, value) in sorted.iter_mut().zip(self.values.iter().take(self.by_place)) {
            *place = Some(value);
        }
        for (name, value) in self.named() {
            // Names of arguments are plain texts; one with lone surrogates is nobody's.
            let name = name.cast::<PyString>()?.to_str().unwrap_or_default();
            let at = parameters.iter().position(|known| *known == name);
            match at.and_then(|at| sorted.get_mut(at)) {
                Some(place) if place.is_none() => *place = Some(value),
                found => {
                    let what =
                        if found.is_some() { "multiple values for" } else { "an unexpected" };
                    let text = format!("{function}() got {what} argument {name}");
                    return Err(PyTypeError::new_err(text));
                }
            }
        }
        Ok(sorted)
    }
}

/// Returns an argument that has to be there.
///
/// # Errors
///
/// Raises `TypeError` where it is missing.
#[inline]
pub(crate) fn needed<'a, 'py>(
    function: &str,
    name: &str,
    value: Option<&'a Bound<'py, PyAny>>,
) -> PyResult<&'a Bound<'py, PyAny>> {
    value.ok_or_else(|| PyTypeError::new_err(format!("{function}() needs an argument {name}")))
}

/// A name and the value that was given under it.
pub(crate) type Named<'a, 'py> = (&'a Bound<'py, PyAny>, &'a Bound<'py, PyAny>);

/// A method in Rust.
pub(crate) trait Method {
    /// The class it belongs to.
    type Class: PyClass;
    const NAME: &'static CStr;
    /// Signature and description, as `inspect` finds them.
    const DOC: &'static CStr;

    /// Does what the method does.
    ///
    /// # Errors
    ///
    /// Raises what the method raises.
    fn call<'py>(
        own: &Bound<'py, Self::Class>,
        call: &Call<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>>;
}

/// A function of a module in Rust.
pub(crate) trait Function {
    const NAME: &'static CStr;
    /// Signature and description, as `inspect` finds them.
    const DOC: &'static CStr;

    /// Does what the function does.
    ///
    /// # Errors
    ///
    /// Raises what the function raises.
    fn call<'py>(py: Python<'py>, call: &Call<'_, 'py>) -> PyResult<Bound<'py, PyAny>>;
}

type Entry = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    ffi::Py_ssize_t,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// Says how the interpreter is to call an entry. That has to live as long as the class or the module, which
/// is for ever.
fn definition(name: &CStr, doc: &CStr, entry: Entry) -> *mut ffi::PyMethodDef {
    Box::into_raw(Box::new(ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: entry },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: doc.as_ptr(),
    }))
}

/// Adds a method to its class.
///
/// # Errors
///
/// Raises what adding an attribute to a class raises.
#[expect(unsafe_code, reason = "pyo3 makes a dictionary of what comes by name")]
pub(crate) fn add<M: Method>(class: &Bound<'_, PyType>) -> PyResult<()> {
    let method = definition(M::NAME, M::DOC, method::<M>);
    // SAFETY: the class is alive, the method lives for ever and is of the kind that its flags say; the
    // descriptor is null on failure or a reference of our own.
    let descriptor = unsafe {
        let made = ffi::PyDescr_NewMethod(class.as_type_ptr(), method);
        Bound::from_owned_ptr_or_err(class.py(), made)?
    };
    class.setattr(M::NAME.to_string_lossy(), descriptor)
}

/// Adds a function to a module.
///
/// # Errors
///
/// Raises what adding an attribute to a module raises.
#[expect(unsafe_code, reason = "pyo3 sorts the arguments in its own, slower way")]
pub(crate) fn add_function<F: Function>(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let function = definition(F::NAME, F::DOC, function::<F>);
    let name = module.name()?;
    // SAFETY: module and name are alive and the function takes references to them; its definition lives
    // for ever and is of the kind that its flags say; it is null on failure or a reference of our own.
    let made = unsafe {
        let made = ffi::PyCFunction_NewEx(function, module.as_ptr(), name.as_ptr());
        Bound::from_owned_ptr_or_err(module.py(), made)?
    };
    module.add(&*F::NAME.to_string_lossy(), made)
}

/// What the interpreter calls for a method.
///
/// # Safety
///
/// To be called by the interpreter alone, as a method of the kind that [`definition`] says it is.
#[expect(unsafe_code, reason = "see `add`")]
unsafe extern "C" fn method<M: Method>(
    own: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    by_place: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: what the interpreter passes is handed on as it is; the object outlives the call.
    unsafe {
        answer(values, by_place, names, |py, call| {
            M::call(Bound::ref_from_ptr(py, &own).cast()?, call)
        })
    }
}

/// What the interpreter calls for a function.
///
/// # Safety
///
/// As for [`method`].
#[expect(unsafe_code, reason = "see `add_function`")]
unsafe extern "C" fn function<F: Function>(
    _module: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    by_place: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: what the interpreter passes is handed on as it is.
    unsafe { answer(values, by_place, names, F::call) }
}

/// Calls `act` with what the interpreter passed, and returns as the interpreter wants it.
///
/// # Safety
///
/// The interpreter calls, with these arguments, a function of the kind that [`definition`] says it is.
#[inline]
#[expect(unsafe_code, reason = "see the callers")]
unsafe fn answer<'py>(
    values: *const *mut ffi::PyObject,
    by_place: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
    act: impl FnOnce(Python<'py>, &Call<'_, 'py>) -> PyResult<Bound<'py, PyAny>>,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls this, so the thread is attached to it until this returns.
    let py = unsafe { Python::assume_attached() };
    let call = || {
        // SAFETY: the interpreter passes references that outlive the call: the names or null, and as
        // many values as there are places and names. A `Bound` is laid out as the pointer in it.
        let (names, values) = unsafe {
            let names = (!names.is_null()).then(|| Bound::ref_from_ptr(py, &names));
            let by_name = names.map_or(0, |names| ffi::PyTuple_GET_SIZE(names.as_ptr()));
            let count = (by_place + by_name).cast_unsigned();
            let values = match count {
                0 => &[][..],
                _ => slice::from_raw_parts(values.cast::<Bound<'_, PyAny>>(), count),
            };
            (names, values)
        };
        let names = names.map(|names| names.cast::<PyTuple>()).transpose()?;
        let names = names.map_or(&[][..], |names| names.as_slice());
        act(py, &Call { values, by_place: by_place.cast_unsigned(), names })
    };
    // What leaves the closure is a word: an answer that is handed through memory costs as much as a call.
    let told = || match call() {
        Ok(found) => found.into_ptr(),
        Err(error) => raised(py, error),
    };
    let done = catch_unwind(AssertUnwindSafe(told));
    done.unwrap_or_else(|_| raised(py, PySystemError::new_err("a call of tracebaton panicked")))
}

#[cold]
fn raised(py: Python<'_>, error: PyErr) -> *mut ffi::PyObject {
    error.restore(py);
    std::ptr::null_mut()
}
