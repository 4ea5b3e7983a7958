//! Headers as JavaScript gives them ⇄ the core's plain list.

use napi::bindgen_prelude::{Buffer, Either3, Null};
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
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let pairs = list.into_entries().into_iter();
    pairs.filter_map(|(name, value)| Some([text(name), text(value?)])).flatten().collect()
}
