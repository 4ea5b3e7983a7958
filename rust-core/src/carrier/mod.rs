//! Something with headers: HTTP maps, Kafka headers, job metadata; read and written by name.

mod list;
mod search;

pub use list::List;
pub use search::Search;
pub(crate) use search::{Names, Slot};

/// What kind of thing carries the headers: it decides names and what a duplicate means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Medium {
    /// HTTP fields: names in any case; a duplicated `traceparent` or `X-Trace-Id` is absent.
    Http,
    /// Kafka headers: the last of a name counts, and the legacy name is `trace_id`.
    Kafka,
    /// The metadata of a job or message: as Kafka.
    Metadata,
}

impl Medium {
    /// Returns the name under which the legacy id is written.
    #[must_use]
    pub const fn legacy_name(self) -> &'static str {
        match self {
            Self::Http => "X-Trace-Id",
            Self::Kafka | Self::Metadata => "trace_id",
        }
    }
}

/// Headers that can be read; [`Search`] has an example.
pub trait Carrier {
    /// Returns what kind of thing this is.
    fn medium(&self) -> Medium;

    /// Offers every header to `search`, in order.
    ///
    /// It is called once for each reading. A carrier that cannot list its headers is asked for each of
    /// [`Search::names`] instead.
    fn search<'a>(&'a self, search: &mut Search<'_, 'a>);
}

/// Headers that can be written.
pub trait CarrierMut {
    /// Returns what kind of thing this is.
    fn medium(&self) -> Medium;

    /// Removes every header of this name and adds one.
    fn set(&mut self, name: &str, value: &str);

    /// Removes every header of this name.
    fn remove(&mut self, name: &str);

    /// Sets headers of different names, in order; one whose value is empty is only removed.
    ///
    /// A carrier that has to search for a name may search for all of them at once.
    fn write(&mut self, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            if value.is_empty() {
                self.remove(name);
            } else {
                self.set(name, value);
            }
        }
    }
}
