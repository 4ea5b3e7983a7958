//! A transform's own result, as what became of its record.

use std::{any::type_name, fmt::Display};

use super::record::Hop;

impl Hop {
    /// Takes note of what a transform returned, and returns it unchanged: an error is the record's
    /// failure, under the name of its type.
    ///
    /// A record that goes to a dead-letter topic besides is said to by [`Hop::dead_lettered`].
    ///
    /// # Errors
    ///
    /// Returns the error of `result`.
    ///
    /// # Examples
    ///
    /// ```
    /// use tracebaton::hop::{Coordinates, Hop, Recorder};
    /// use tracebaton::propagate::Baton;
    ///
    /// fn total(value: &str) -> Result<u32, std::num::ParseIntError> {
    ///     value.parse()
    /// }
    ///
    /// let input = Coordinates { topic: "orders".into(), partition: 0, offset: 42, group: None };
    /// let hop = Hop::process(Recorder::global(), &input, &Baton::default());
    /// let error = hop.outcome(total("twelve")).unwrap_err();
    /// assert_eq!(error, total("twelve").unwrap_err());
    /// assert!(hop.error_headers().contains(&(
    ///     "tracebaton-error-type",
    ///     "core::num::error::ParseIntError".to_owned()
    /// )));
    /// hop.end();
    /// ```
    pub fn outcome<T, E: Display>(&self, result: Result<T, E>) -> Result<T, E> {
        result.inspect_err(|error| self.failed(type_name::<E>(), &error.to_string()))
    }
}
