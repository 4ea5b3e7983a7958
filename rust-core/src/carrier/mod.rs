//! Something with headers: HTTP maps, Kafka headers, job metadata; read and written by name.

mod list;

pub use list::List;

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

/// Headers that can be read.
pub trait Carrier {
    /// Returns what kind of thing this is.
    fn medium(&self) -> Medium;

    /// Calls `each` with every value under `name`, in order; a header without a value has `None`.
    ///
    /// `name` is lower case. Names are compared without case in HTTP and exactly elsewhere.
    fn visit<'a>(&'a self, name: &str, each: &mut dyn FnMut(Option<&'a [u8]>));

    /// Calls `each` with the rest of the name and the value of every header whose name starts with
    /// `prefix`, compared as in [`Carrier::visit`].
    fn visit_prefix<'a>(&'a self, prefix: &str, each: &mut dyn FnMut(&'a [u8], Option<&'a [u8]>));
}

/// Headers that can be written.
pub trait CarrierMut {
    /// Returns what kind of thing this is.
    fn medium(&self) -> Medium;

    /// Removes every header of this name and adds one.
    fn set(&mut self, name: &str, value: &str);

    /// Removes every header of this name.
    fn remove(&mut self, name: &str);
}
