//! Headers read where they lie: nothing of them is copied, and no reference to them is taken.

use std::mem::MaybeUninit;

use pyo3::{
    ffi,
    prelude::*,
    sync::critical_section::with_critical_section,
    types::{PyDict, PyList, PyTuple},
};
use tracebaton::{
    carrier::{Carrier, Medium, Search},
    propagate::{Baton, Extracted, Propagation},
};

/// More headers than these are read the slow way.
const MAX: usize = 16;

type Entry<'a> = (&'a [u8], Option<&'a [u8]>);

/// What the core makes of headers. It is made without running any Python code.
pub(crate) trait Read {
    /// Reads headers by these rules.
    fn read(rules: &Propagation, headers: &dyn Carrier) -> Self;
}

impl Read for Extracted {
    fn read(rules: &Propagation, headers: &dyn Carrier) -> Self {
        rules.extract(headers)
    }
}

impl Read for Baton {
    fn read(rules: &Propagation, headers: &dyn Carrier) -> Self {
        rules.extract_baton(headers)
    }
}

/// Reads headers in the shape that Kafka clients have them: a list or tuple of pairs of `str` and
/// `bytes`. Nothing where they are of another shape and have to be converted.
pub(crate) fn of_pairs<T: Read>(
    headers: &Bound<'_, PyAny>,
    medium: Medium,
    rules: &Propagation,
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
            of_items(list.len(), item, medium, rules)
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
    of_items(tuple.len(), item, medium, rules)
}

/// Reads a plain dictionary of `str` to `str` or `bytes`, as [`of_pairs`] does.
pub(crate) fn of_dict<T: Read>(
    headers: &Bound<'_, PyAny>,
    medium: Medium,
    rules: &Propagation,
) -> Option<T> {
    let dict = headers.cast_exact::<PyDict>().ok()?;
    with_critical_section(headers, || {
        let mut entries = Entries::default();
        let mut at = 0;
        let (mut name, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the dictionary does not change, for the reason given above for lists, so its keys
        // and values outlive `entries`.
        #[expect(unsafe_code, reason = "a reference to each item costs more than to read it")]
        while unsafe { ffi::PyDict_Next(dict.as_ptr(), &raw mut at, &raw mut name, &raw mut value) }
            != 0
        {
            // SAFETY: as before.
            entries.push(unsafe { (text(name)?, bytes(value)?) })?;
        }
        Some(T::read(rules, &Borrowed { medium, entries: entries.as_slice() }))
    })
}

fn of_items<T: Read>(
    count: usize,
    item: impl Fn(usize) -> *mut ffi::PyObject,
    medium: Medium,
    rules: &Propagation,
) -> Option<T> {
    let mut entries = Entries::default();
    for at in 0..count {
        // SAFETY: the item belongs to a list or tuple that is alive and does not change while
        // `entries` is in use: what the core does with it runs no Python code.
        #[expect(unsafe_code, reason = "a reference to each item costs more than to read it")]
        let read = unsafe { pair(item(at)) };
        entries.push(read?)?;
    }
    Some(T::read(rules, &Borrowed { medium, entries: entries.as_slice() }))
}

/// So many headers at most; those that are not there cost nothing.
struct Entries<'a> {
    kept: [MaybeUninit<Entry<'a>>; MAX],
    count: usize,
}

impl Default for Entries<'_> {
    fn default() -> Self {
        Self { kept: [const { MaybeUninit::uninit() }; MAX], count: 0 }
    }
}

impl<'a> Entries<'a> {
    /// Adds one; nothing where there is no room.
    fn push(&mut self, entry: Entry<'a>) -> Option<()> {
        self.kept.get_mut(self.count)?.write(entry);
        self.count += 1;
        Some(())
    }

    fn as_slice(&self) -> &[Entry<'a>] {
        // SAFETY: the first `count` were written by `push`, and there are no more than there is room
        // for; what may not be initialised is laid out as what is.
        #[expect(unsafe_code, reason = "to clear room for all costs as much as to read five")]
        unsafe {
            std::slice::from_raw_parts(self.kept.as_ptr().cast(), self.count)
        }
    }
}

/// Reads a pair: a tuple of a name and a value, neither of them missing.
///
/// # Safety
///
/// `item` has to be an object that lives, unchanged, for as long as `'a`, or null.
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
#[expect(unsafe_code, reason = "see the callers")]
unsafe fn text<'a>(object: *mut ffi::PyObject) -> Option<&'a [u8]> {
    // SAFETY: the object is a `str`, which keeps its UTF-8 for as long as it lives; making it runs
    // no Python code. Where it has none, the error is ours to take back.
    unsafe {
        if object.is_null() || ffi::PyUnicode_CheckExact(object) == 0 {
            return None;
        }
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

struct Borrowed<'a> {
    medium: Medium,
    entries: &'a [Entry<'a>],
}

impl Carrier for Borrowed<'_> {
    fn medium(&self) -> Medium {
        self.medium
    }

    fn search<'a>(&'a self, search: &mut Search<'_, 'a>) {
        for (name, value) in self.entries {
            search.offer(name, *value);
        }
    }
}
