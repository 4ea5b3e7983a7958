//! Reading and writing batons by rules of one's own; the functions beside use the process's.

use std::sync::Arc;

use napi::bindgen_prelude::{Buffer, Either};
use napi_derive::napi;
use tracebaton::{
    carrier::{List, Medium},
    config::Settings,
    propagate,
};

use crate::{
    baton::{Baton, Extracted, wrong},
    headers::{self, Rewritten, Value},
    settings::{self, Given},
};

/// How batons are read and written.
#[napi]
pub struct Propagation(Arc<propagate::Propagation>);

#[napi]
impl Propagation {
    /// Takes settings, keys and values by position.
    ///
    /// # Errors
    ///
    /// Throws for a key that there is none of, and for a value that a key cannot have.
    #[napi(factory)]
    pub fn of(keys: Vec<String>, values: Vec<Given>) -> napi::Result<Self> {
        let settings = settings::over(Settings::default(), keys, values);
        let settings = settings.map_err(|error| wrong(&error.to_string()))?;
        Ok(Self(Arc::new(settings.propagation())))
    }

    /// Takes the settings of the environment, and of the file that it names.
    ///
    /// # Errors
    ///
    /// Throws for a setting that cannot be used.
    #[napi(factory)]
    pub fn of_env() -> napi::Result<Self> {
        let read = propagate::Propagation::from_env();
        read.map(|rules| Self(Arc::new(rules))).map_err(|error| wrong(&error.to_string()))
    }

    /// Takes the settings of a file.
    ///
    /// # Errors
    ///
    /// Throws for a file that cannot be read, and for a setting that cannot be used.
    #[napi(factory)]
    pub fn of_yaml(path: String) -> napi::Result<Self> {
        let read = propagate::Propagation::from_yaml(path);
        read.map(|rules| Self(Arc::new(rules))).map_err(|error| wrong(&error.to_string()))
    }

    /// Reads a baton from headers.
    ///
    /// # Errors
    ///
    /// Throws for a medium that there is none of.
    #[napi]
    pub fn extract(
        &self,
        names: Vec<String>,
        values: Vec<Value>,
        medium: String,
    ) -> napi::Result<Extracted> {
        let list = headers::read(names, values, headers::medium(&medium)?);
        Ok(Extracted(self.0.extract(&list)))
    }

    /// Reads a baton from a JSON payload.
    #[napi]
    pub fn extract_payload(&self, payload: Value) -> Extracted {
        Extracted(self.0.extract_payload(&bytes(payload)))
    }

    /// Writes the baton to headers of these names, and tells what stays and what comes.
    ///
    /// # Errors
    ///
    /// Throws for a medium that there is none of.
    #[napi]
    pub fn inject(
        &self,
        baton: &Baton,
        names: Vec<String>,
        medium: String,
    ) -> napi::Result<Rewritten> {
        let medium = headers::medium(&medium)?;
        Ok(headers::rewrite(names, medium, |list| self.0.inject(&baton.0, list)))
    }

    /// Returns a copy of a JSON object with the baton in it.
    ///
    /// # Errors
    ///
    /// Throws for a payload that cannot take a baton.
    #[napi]
    pub fn inject_payload(&self, baton: &Baton, payload: Value) -> napi::Result<Buffer> {
        let job = self.0.inject_payload(&baton.0, &bytes(payload));
        job.map(Buffer::from).map_err(|error| wrong(&error.to_string()))
    }
}

impl Propagation {
    /// Takes the rules of the process.
    fn of_process() -> Self {
        Self(propagate::Propagation::of_process())
    }
}

/// Reads a baton from headers.
///
/// # Errors
///
/// Throws for a medium that there is none of.
#[napi]
pub fn extract(names: Vec<String>, values: Vec<Value>, medium: String) -> napi::Result<Extracted> {
    Propagation::of_process().extract(names, values, medium)
}

/// Returns how many refusals this process has listed so far: kind, count, kind, count …
#[napi]
pub fn refusals() -> Vec<Either<String, f64>> {
    let counted = propagate::refusals().filter(|(_, count)| *count > 0);
    counted
        .flat_map(|(kind, count)| [Either::A(kind.as_str().to_owned()), Either::B(count as f64)])
        .collect()
}

/// Reads a baton from a JSON payload.
#[napi]
pub fn extract_payload(payload: Value) -> Extracted {
    Propagation::of_process().extract_payload(payload)
}

/// Writes the baton to headers of these names, and tells what stays and what comes.
///
/// # Errors
///
/// Throws for a medium that there is none of.
#[napi]
pub fn inject(baton: &Baton, names: Vec<String>, medium: String) -> napi::Result<Rewritten> {
    Propagation::of_process().inject(baton, names, medium)
}

/// Returns a copy of a JSON payload with the baton in it.
///
/// # Errors
///
/// Throws where the payload is not a JSON object, or cannot take a baton.
#[napi]
pub fn inject_payload(baton: &Baton, payload: Value) -> napi::Result<Buffer> {
    Propagation::of_process().inject_payload(baton, payload)
}

/// Returns what a fresh carrier gets of the baton, as name, value, name, value …
///
/// # Errors
///
/// Throws for a medium that there is none of.
#[napi]
pub fn headers(baton: &Baton, medium: String) -> napi::Result<Vec<String>> {
    let mut list = List::new(headers::medium(&medium)?, Vec::<(String, Option<String>)>::new());
    propagate::Propagation::of_process().inject(&baton.0, &mut list);
    Ok(headers::write(list))
}

fn bytes(payload: Value) -> Vec<u8> {
    let list = headers::read(vec![String::new()], vec![payload], Medium::Kafka);
    list.into_entries().into_iter().find_map(|(_, value)| value).unwrap_or_default()
}
