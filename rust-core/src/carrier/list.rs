//! A plain list of headers: what the bindings convert to and from.

use super::{Carrier, CarrierMut, Medium, Search};

/// Headers as a list of names and values; a value may be missing.
///
/// # Examples
///
/// ```
/// use tracebaton::carrier::{List, Medium};
///
/// let list = List::new(Medium::Kafka, [("trace_id", Some("order-1234"))]);
/// assert_eq!(list.entries().len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    medium: Medium,
    entries: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl List {
    /// Creates a list of the given kind.
    pub fn new<N: Into<Vec<u8>>, V: Into<Vec<u8>>>(
        medium: Medium,
        entries: impl IntoIterator<Item = (N, Option<V>)>,
    ) -> Self {
        let own = |(name, value): (N, Option<V>)| (name.into(), value.map(Into::into));
        Self { medium, entries: entries.into_iter().map(own).collect() }
    }

    /// Returns names and values in order.
    #[must_use]
    pub fn entries(&self) -> &[(Vec<u8>, Option<Vec<u8>>)] {
        &self.entries
    }

    /// Gives up names and values in order.
    #[must_use]
    pub fn into_entries(self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        self.entries
    }

    fn is_name(&self, known: &[u8], name: &[u8]) -> bool {
        match self.medium {
            Medium::Http => known.eq_ignore_ascii_case(name),
            Medium::Kafka | Medium::Metadata => known == name,
        }
    }
}

impl Carrier for List {
    fn medium(&self) -> Medium {
        self.medium
    }

    fn search<'a>(&'a self, search: &mut Search<'_, 'a>) {
        for (name, value) in &self.entries {
            search.offer(name, value.as_deref());
        }
    }
}

impl CarrierMut for List {
    fn medium(&self) -> Medium {
        self.medium
    }

    fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.entries.push((name.into(), Some(value.into())));
    }

    fn remove(&mut self, name: &str) {
        let entries = std::mem::take(&mut self.entries);
        self.entries = entries
            .into_iter()
            .filter(|(known, _)| !self.is_name(known, name.as_bytes()))
            .collect();
    }
}
