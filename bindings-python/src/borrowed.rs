//! Headers read where they lie: nothing of them is copied.

use pyo3::{
    prelude::*,
    types::{PyBytes, PyList, PyString, PyTuple},
};
use tracebaton::carrier::{Carrier, Medium, Search};

/// More headers than these are read the slow way.
const MAX: usize = 16;

type Entry<'a> = (&'a [u8], Option<&'a [u8]>);

struct Borrowed<'a> {
    medium: Medium,
    entries: &'a [Entry<'a>],
}

/// Calls `read` with headers of the usual shape, a list or tuple of pairs of a `str` and `bytes`;
/// gives `read` back where they are of another, and have to be converted.
pub(crate) fn with<T, F>(headers: &Bound<'_, PyAny>, medium: Medium, read: F) -> Result<T, F>
where
    F: FnOnce(&dyn Carrier) -> T,
{
    let mut kept = [const { None }; MAX];
    let Some(count) = keep(headers, &mut kept) else { return Err(read) };
    let mut entries = [(&[][..], None); MAX];
    for (entry, kept) in entries.iter_mut().zip(kept.iter().flatten()) {
        let (name, value) = kept;
        let (Ok(name), Some(value)) = (name.to_str(), bytes(value)) else { return Err(read) };
        *entry = (name.as_bytes(), value);
    }
    let entries = entries.get(..count).unwrap_or_default();
    Ok(read(&Borrowed { medium, entries }))
}

type Kept<'py> = (Bound<'py, PyString>, Bound<'py, PyAny>);

/// Takes hold of names and values, so that they outlive whatever happens to the list.
fn keep<'py>(headers: &Bound<'py, PyAny>, kept: &mut [Option<Kept<'py>>; MAX]) -> Option<usize> {
    let mut count = 0;
    let mut take = |item: Bound<'py, PyAny>| {
        let pair = item.cast_exact::<PyTuple>().ok().filter(|pair| pair.len() == 2)?;
        let name = pair.get_item(0).ok()?.cast_into_exact::<PyString>().ok()?;
        *kept.get_mut(count)? = Some((name, pair.get_item(1).ok()?));
        count += 1;
        Some(())
    };
    if let Ok(list) = headers.cast_exact::<PyList>() {
        for item in list {
            take(item)?;
        }
    } else {
        for item in headers.cast_exact::<PyTuple>().ok()? {
            take(item)?;
        }
    }
    Some(count)
}

/// Returns a value's bytes, or that it is absent; nothing for a value of another type.
#[expect(clippy::option_option, reason = "an absent value is a value")]
fn bytes<'a>(value: &'a Bound<'_, PyAny>) -> Option<Option<&'a [u8]>> {
    if let Ok(bytes) = value.cast_exact::<PyBytes>() {
        return Some(Some(bytes.as_bytes()));
    }
    if let Ok(text) = value.cast_exact::<PyString>() {
        return text.to_str().ok().map(|text| Some(text.as_bytes()));
    }
    value.is_none().then_some(None)
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
