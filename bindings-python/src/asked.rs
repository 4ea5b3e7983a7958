//! A carrier that is asked by one of OpenTelemetry's getters.

use std::cell::{OnceCell, RefCell};

use pyo3::{
    prelude::*,
    types::{PyDict, PyList, PyTuple},
};
use tracebaton::carrier::{Carrier, List, Medium, Search};

use crate::{errors::caught, headers::bytes, once::name};

/// Names beyond these are not asked for; no set of formats has as many.
const MAX_NAMES: usize = 64;

type Values = Vec<Option<Vec<u8>>>;

/// What is read of a carrier that only its getter understands.
///
/// Such a getter is trusted with single names only: some list the keys of something else.
pub(crate) struct Asked<'a, 'py> {
    carrier: &'a Bound<'py, PyAny>,
    getter: &'a Bound<'py, PyAny>,
    answers: [OnceCell<(String, Values)>; MAX_NAMES],
    keys: OnceCell<Vec<String>>,
    raised: RefCell<Option<PyErr>>,
}

impl<'a, 'py> Asked<'a, 'py> {
    /// Prepares to ask `getter` about `carrier`.
    pub(crate) fn new(carrier: &'a Bound<'py, PyAny>, getter: &'a Bound<'py, PyAny>) -> Self {
        Self {
            carrier,
            getter,
            answers: [const { OnceCell::new() }; MAX_NAMES],
            keys: OnceCell::new(),
            raised: RefCell::new(None),
        }
    }

    /// Ends the questions.
    ///
    /// # Errors
    ///
    /// Raises what the getter raised, unless it is an ordinary exception: getters raise those for
    /// values that are no text, and such a value is absent.
    pub(crate) fn finish(self) -> PyResult<()> {
        self.raised.into_inner().map_or(Ok(()), Err)
    }

    fn answer(&self, name: &str) -> Option<&Values> {
        for answer in &self.answers {
            let (asked, values) = answer.get_or_init(|| (name.to_owned(), self.ask(name)));
            if asked == name {
                return Some(values);
            }
        }
        None
    }

    fn ask(&self, name: &str) -> Values {
        let get = name!(self.carrier.py(), "get");
        let found = self.getter.call_method1(get, (self.carrier, name));
        found.and_then(|found| values(&found)).unwrap_or_else(|error| self.note(error))
    }

    fn names(&self) -> &[String] {
        self.keys.get_or_init(|| {
            let keys = name!(self.carrier.py(), "keys");
            let found = self.getter.call_method1(keys, (self.carrier,));
            let names = found.and_then(|found| found.try_iter()?.collect::<PyResult<Vec<_>>>());
            let mut own = Vec::new();
            for name in names.unwrap_or_else(|error| {
                self.note(error);
                Vec::new()
            }) {
                // A carrier that holds a name twice names it twice, and gives both values each time.
                if let Ok(name) = name.extract::<String>()
                    && !own.contains(&name)
                {
                    own.push(name);
                }
            }
            own
        })
    }

    fn note(&self, error: PyErr) -> Values {
        if let Err(interruption) = caught(self.carrier.py(), PyResult::<()>::Err(error)) {
            self.raised.borrow_mut().get_or_insert(interruption);
        }
        vec![None]
    }
}

impl Carrier for Asked<'_, '_> {
    /// A getter does not say what it reads from; HTTP's rules are the stricter ones.
    fn medium(&self) -> Medium {
        Medium::Http
    }

    fn search<'a>(&'a self, search: &mut Search<'_, 'a>) {
        for (number, name) in search.names() {
            for value in self.answer(name).into_iter().flatten() {
                search.answer(number, value.as_deref());
            }
        }
        let names = if search.has_prefixes() { self.names() } else { &[] };
        for name in names {
            let values = || self.answer(name).into_iter().flatten().map(Option::as_deref).collect();
            search.offer_prefixed(name.as_bytes(), values);
        }
    }
}

/// Reads what a getter or a dictionary has for a name: nothing, one value or several.
fn values(found: &Bound<'_, PyAny>) -> PyResult<Values> {
    if found.is_none() {
        return Ok(Vec::new());
    }
    if let Some(value) = bytes(found) {
        return Ok(vec![Some(value)]);
    }
    found.try_iter()?.map(|value| Ok(bytes(&value?))).collect()
}

/// Reads a carrier whose shape is known without its getter: a list of pairs, as Kafka clients have
/// them, and a dictionary. Values of other types are absent.
///
/// # Errors
///
/// Raises on an interruption alone.
pub(crate) fn known(carrier: &Bound<'_, PyAny>, is_plain: bool) -> PyResult<Option<List>> {
    let mut entries = Vec::new();
    if let Ok(list) = carrier.cast::<PyList>() {
        for item in list {
            let Some(pair) = pair(&item) else { return Ok(None) };
            entries.push(pair);
        }
        return Ok(Some(List::new(Medium::Kafka, entries)));
    }
    let Some(dict) = carrier.cast::<PyDict>().ok().filter(|_| is_plain) else { return Ok(None) };
    // To ask a value for its parts may run code that changes the dictionary.
    for (name, found) in dict.copy()? {
        let Some(name) = bytes(&name) else { continue };
        for value in caught(carrier.py(), values(&found))?.unwrap_or_else(|_| vec![None]) {
            entries.push((name.clone(), value));
        }
    }
    Ok(Some(List::new(Medium::Http, entries)))
}

fn pair(item: &Bound<'_, PyAny>) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let pair = item.cast::<PyTuple>().ok().filter(|pair| pair.len() == 2)?;
    let (name, value) = (pair.get_item(0).ok()?, pair.get_item(1).ok()?);
    Some((bytes(&name)?, bytes(&value)))
}
