//! Headers read where they lie: nothing of them is copied, and no reference to them is taken.

use std::cell::Cell;

use pyo3::{
    ffi,
    prelude::*,
    sync::critical_section::with_critical_section,
    types::{PyDict, PyList, PyTuple},
};
use tracebaton::carrier::{Carrier, Medium, Search};

type Entry<'a> = (&'a [u8], Option<&'a [u8]>);

/// Reads headers in the shape that Kafka clients have them: a list or tuple of pairs of `str` and
/// `bytes`. Nothing where they are of another shape and have to be converted.
///
/// `read` runs no Python code.
#[inline]
pub(crate) fn of_pairs<T>(
    headers: &Bound<'_, PyAny>,
    medium: Medium,
    read: impl FnOnce(&dyn Carrier) -> T,
) -> Option<T> {
    if let Ok(list) = headers.cast_exact::<PyList>() {
        return with_critical_section(headers, || {
            let item = |at: usize| {
                // SAFETY: `at` is below the list's length, which cannot change: no Python code runs
                // in here, and other threads wait for the interpreter or for the critical section.
                #[expect(
                    unsafe_code,
                    reason = "a reference to each item costs more than to read it"
                )]
                unsafe {
                    ffi::PyList_GET_ITEM(list.as_ptr(), at.cast_signed())
                }
            };
            let pairs = Pairs { medium, count: list.len(), item, is_odd: Cell::new(false) };
            let read = read(&pairs);
            (!pairs.is_odd.get()).then_some(read)
        });
    }
    let tuple = headers.cast_exact::<PyTuple>().ok()?;
    let item = |at: usize| {
        // SAFETY: `at` is below the tuple's length.
        #[expect(unsafe_code, reason = "a reference to each item costs more than to read it")]
        unsafe {
            ffi::PyTuple_GET_ITEM(tuple.as_ptr(), at.cast_signed())
        }
    };
    let pairs = Pairs { medium, count: tuple.len(), item, is_odd: Cell::new(false) };
    let read = read(&pairs);
    (!pairs.is_odd.get()).then_some(read)
}

/// The items of a list or tuple that is alive and does not change while this is in use.
struct Pairs<I> {
    medium: Medium,
    count: usize,
    item: I,
    /// Whether one was met that is no pair of `str` and `bytes`: what was read is worth nothing then.
    is_odd: Cell<bool>,
}

impl<I: Fn(usize) -> *mut ffi::PyObject> Carrier for Pairs<I> {
    fn medium(&self) -> Medium {
        self.medium
    }

    #[inline]
    fn search<'a>(&'a self, search: &mut Search<'_, 'a>) {
        for at in 0..self.count {
            // SAFETY: the item belongs to a list or tuple that is alive and does not change while
            // `self` is in use: what the core does with it runs no Python code.
            #[expect(unsafe_code, reason = "a reference to each item costs more than to read it")]
            let read = unsafe { pair((self.item)(at)) };
            let Some((name, value)) = read else {
                self.is_odd.set(true);
                return search.give_up();
            };
            search.offer(name, value);
        }
    }
}

/// Reads a plain dictionary of `str` to `str` or `bytes`, as [`of_pairs`] does.
pub(crate) fn of_dict<T>(
    headers: &Bound<'_, PyAny>,
    medium: Medium,
    read: impl FnOnce(&dyn Carrier) -> T,
) -> Option<T> {
    let dict = headers.cast_exact::<PyDict>().ok()?;
    with_critical_section(headers, || {
        let members = Members { medium, dict, is_odd: Cell::new(false) };
        let read = read(&members);
        (!members.is_odd.get()).then_some(read)
    })
}

/// A dictionary that does not change while this is in use, for the reason given above for lists.
struct Members<'a, 'py> {
    medium: Medium,
    dict: &'a Bound<'py, PyDict>,
    /// As in [`Pairs`].
    is_odd: Cell<bool>,
}

impl Carrier for Members<'_, '_> {
    fn medium(&self) -> Medium {
        self.medium
    }

    fn search<'a>(&'a self, search: &mut Search<'_, 'a>) {
        let (dict, mut at) = (self.dict.as_ptr(), 0);
        let (mut name, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the dictionary does not change, so its keys and values outlive `self`.
        #[expect(unsafe_code, reason = "a reference to each item costs more than to read it")]
        while unsafe { ffi::PyDict_Next(dict, &raw mut at, &raw mut name, &raw mut value) } != 0 {
            // SAFETY: as before.
            let read = unsafe { text(name).zip(bytes(value)) };
            let Some((name, value)) = read else {
                self.is_odd.set(true);
                return search.give_up();
            };
            search.offer(name, value);
        }
    }
}

/// Reads a pair: a tuple of a name and a value, neither of them missing.
///
/// # Safety
///
/// `item` has to be an object that lives, unchanged, for as long as `'a`, or null.
#[inline(always)]
#[expect(unsafe_code, reason = "see the callers")]
unsafe fn pair<'a>(item: *mut ffi::PyObject) -> Option<Entry<'a>> {
    // SAFETY: tuples and what is in them do not change, and a tuple of length two has two items;
    // each may be null, where a client has left a hole.
    unsafe {
        if item.is_null() || ffi::PyTuple_CheckExact(item) == 0 || ffi::PyTuple_GET_SIZE(item) != 2
        {
            return None;
        }
        Some((text(ffi::PyTuple_GET_ITEM(item, 0))?, bytes(ffi::PyTuple_GET_ITEM(item, 1))?))
    }
}

/// Returns a text as UTF-8; nothing for one with lone surrogates, and for anything else.
///
/// # Safety
///
/// As for [`pair`].
#[inline(always)]
#[expect(unsafe_code, reason = "see the callers")]
unsafe fn text<'a>(object: *mut ffi::PyObject) -> Option<&'a [u8]> {
    // SAFETY: the object is a `str`, which does not change; ASCII is its own UTF-8, and of CPython 3.14
    // on pyo3 does not know where that is written.
    unsafe {
        if object.is_null() || ffi::PyUnicode_CheckExact(object) == 0 {
            return None;
        }
        #[cfg(not(Py_3_14))]
        if ffi::PyUnicode_IS_COMPACT_ASCII(object) != 0 {
            let length = ffi::PyUnicode_GET_LENGTH(object).cast_unsigned();
            let start = ffi::PyUnicode_1BYTE_DATA(object);
            return Some(std::slice::from_raw_parts(start.cast_const(), length));
        }
        encoded(object)
    }
}

/// Returns a `str` as UTF-8; nothing for one with lone surrogates.
///
/// # Safety
///
/// As for [`pair`]; the object has to be a `str`.
#[inline(never)]
#[expect(unsafe_code, reason = "see the callers")]
unsafe fn encoded<'a>(object: *mut ffi::PyObject) -> Option<&'a [u8]> {
    // SAFETY: a `str` keeps its UTF-8 for as long as it lives; making it runs no Python code. Where it
    // has none, the error is ours to take back.
    unsafe {
        let mut length = 0;
        let start = ffi::PyUnicode_AsUTF8AndSize(object, &raw mut length);
        if start.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        Some(std::slice::from_raw_parts(start.cast(), length.cast_unsigned()))
    }
}

/// Returns a value's bytes, or that it is absent; nothing for a value of another type.
///
/// # Safety
///
/// As for [`pair`].
#[inline(always)]
#[expect(unsafe_code, reason = "see the callers")]
#[expect(clippy::option_option, reason = "an absent value is a value")]
unsafe fn bytes<'a>(object: *mut ffi::PyObject) -> Option<Option<&'a [u8]>> {
    // SAFETY: the object is `bytes`, which never change.
    unsafe {
        if !object.is_null() && ffi::PyBytes_CheckExact(object) != 0 {
            let start = ffi::PyBytes_AS_STRING(object).cast();
            let length = ffi::Py_SIZE(object).cast_unsigned();
            return Some(Some(std::slice::from_raw_parts(start, length)));
        }
        if ffi::Py_IsNone(object) != 0 {
            return Some(None);
        }
        text(object).map(Some)
    }
}
