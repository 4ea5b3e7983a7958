//! Headers as JavaScript gives them ⇄ the core's plain list.

use napi::bindgen_prelude::{Buffer, Either3, Null};
use napi_derive::napi;
use tracebaton::carrier::{List, Medium};

use crate::baton::wrong;

/// A value: raw bytes, a text, or null.
pub(crate) type Value = Either3<Buffer, String, Null>;

/// Reads the name of a medium.
pub(crate) fn medium(name: &str) -> napi::Result<Medium> {
    match name {
        "http" => Ok(Medium::Http),
        "kafka" => Ok(Medium::Kafka),
        "metadata" => Ok(Medium::Metadata),
        _ => Err(wrong("medium must be 'http', 'kafka' or 'metadata'")),
    }
}

/// Reads names and values that belong together by position.
pub(crate) fn read(names: Vec<String>, values: Vec<Value>, medium: Medium) -> List {
    let value = |value| match value {
        Either3::A(bytes) => Some(Vec::from(bytes)),
        Either3::B(text) => Some(String::into_bytes(text)),
        Either3::C(Null) => None,
    };
    List::new(medium, names.into_iter().zip(values.into_iter().map(value)))
}

/// Gives the headers of a list back as name, value, name, value …; a missing value is left out.
pub(crate) fn write(list: List) -> Vec<String> {
    let pairs = list.into_entries().into_iter();
    pairs.filter_map(|(name, value)| Some([text(name), text(value?)])).flatten().collect()
}

/// What writing a baton does to headers whose values stay in JavaScript.
#[napi(object)]
pub struct Rewritten {
    /// The positions of the headers that stay.
    pub kept: Vec<u32>,
    /// What comes after them, as name, value, name, value …
    pub added: Vec<String>,
}

/// Lets `change` write to headers of which only the names are known.
pub(crate) fn rewrite(
    names: Vec<String>,
    medium: Medium,
    change: impl FnOnce(&mut List),
) -> Rewritten {
    // What is written never has a control byte in it: NUL marks the positions of what was there.
    let marked = (0_u32..).map(|at| Some([&[0], &at.to_le_bytes()[..]].concat()));
    let mut list = List::new(medium, names.into_iter().zip(marked));
    change(&mut list);
    let (mut kept, mut added) = (Vec::new(), Vec::new());
    for (name, value) in list.into_entries() {
        match value.as_deref().and_then(<[u8]>::split_first_chunk) {
            Some(([0], at)) => kept.extend(at.try_into().map(u32::from_le_bytes)),
            _ => added.extend([text(name), text(value.unwrap_or_default())]),
        }
    }
    Rewritten { kept, added }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
