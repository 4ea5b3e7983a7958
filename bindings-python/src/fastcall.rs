//! Methods that take their arguments where the interpreter has them: keyword arguments become no
//! dictionary.

use std::{
    ffi::CStr,
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
};

use pyo3::{
    PyClass,
    exceptions::PySystemError,
    ffi,
    prelude::*,
    types::{PyTuple, PyType},
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
    fn call(own: &Bound<'_, Self::Class>, call: &Call<'_, '_>) -> PyResult<()>;
}

/// Adds a method to its class.
///
/// # Errors
///
/// Raises what adding an attribute to a class raises.
#[expect(unsafe_code, reason = "pyo3 makes a dictionary of what comes by name")]
pub(crate) fn add<M: Method>(class: &Bound<'_, PyType>) -> PyResult<()> {
    let method = ffi::PyMethodDef {
        ml_name: M::NAME.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: entry::<M> },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: M::DOC.as_ptr(),
    };
    // It has to live as long as the class, which is for ever.
    let method = Box::leak(Box::new(method));
    // SAFETY: the class is alive, the method lives for ever and is of the kind that its flags say; the
    // descriptor is null on failure or a reference of our own.
    let descriptor = unsafe {
        let made = ffi::PyDescr_NewMethod(class.as_type_ptr(), method);
        Bound::from_owned_ptr_or_err(class.py(), made)?
    };
    class.setattr(M::NAME.to_string_lossy(), descriptor)
}

/// What the interpreter calls.
///
/// # Safety
///
/// To be called by the interpreter alone, as a method of the kind that [`add`] says it is.
#[expect(unsafe_code, reason = "see `add`")]
unsafe extern "C" fn entry<M: Method>(
    own: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    by_place: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls this, so the thread is attached to it until this returns.
    let py = unsafe { Python::assume_attached() };
    let call = || {
        // SAFETY: the interpreter passes references that outlive the call: the object itself, the
        // names or null, and as many values as there are places and names. A `Bound` is laid out as
        // the pointer in it.
        let (own, names, values) = unsafe {
            let own = Bound::ref_from_ptr(py, &own);
            let names = (!names.is_null()).then(|| Bound::ref_from_ptr(py, &names));
            let by_name = names.map_or(0, |names| ffi::PyTuple_GET_SIZE(names.as_ptr()));
            let count = (by_place + by_name).cast_unsigned();
            let values = match count {
                0 => &[][..],
                _ => slice::from_raw_parts(values.cast::<Bound<'_, PyAny>>(), count),
            };
            (own, names, values)
        };
        let names = names.map(|names| names.cast::<PyTuple>()).transpose()?;
        let names = names.map_or(&[][..], |names| names.as_slice());
        let call = Call { values, by_place: by_place.cast_unsigned(), names };
        M::call(own.cast()?, &call)
    };
    let done = catch_unwind(AssertUnwindSafe(call));
    match done.unwrap_or_else(|_| Err(PySystemError::new_err("a method of tracebaton panicked"))) {
        Ok(()) => py.None().into_ptr(),
        Err(error) => {
            error.restore(py);
            std::ptr::null_mut()
        }
    }
}
