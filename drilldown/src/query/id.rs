//! The id as a person gives it: a trace id, a UUID, a ULID, or whatever text the client used.

use std::time::{SystemTime, UNIX_EPOCH};

use tracebaton::wire::{LegacyId, LegacyKind};

use crate::{
    model::Id,
    store::{Error, Store},
};

/// Maps the text to a trace id, by the rule that every hop uses.
///
/// # Errors
///
/// Returns what is wrong with the text, for a person.
pub(crate) fn resolve(text: &str) -> Result<Id, String> {
    match LegacyId::parse(text) {
        Ok(Some(id)) => Ok(Id(id.trace_id().to_bytes())),
        Ok(None) => Err(format!("`{text}` is what writers send who have no id")),
        Err(error) => Err(format!(
            "not an id ({error}): it has 1 to 128 letters, digits and ._~:+/=@|- , and not only zeros"
        )),
    }
}

/// Finds the trace that is meant: the one whose id the text stands for, or, where nothing is kept of
/// that one, the one that a client sent the text with.
pub(crate) fn find(store: &dyn Store, text: &str, id: Id) -> Result<Id, Error> {
    if store.knows(id)? {
        return Ok(id);
    }
    Ok(store.alias(text.trim())?.unwrap_or(id))
}

/// Returns the moment an id was made in nanoseconds since 1970, if its text tells one: the digits of
/// a hash say nothing.
pub(crate) fn made_at(text: &str) -> Option<i64> {
    let id = LegacyId::parse(text).ok()??;
    let millis = match id.kind() {
        LegacyKind::Hex128 | LegacyKind::Uuid => {
            let since = id.trace_id().created_at()?.duration_since(UNIX_EPOCH).ok()?;
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        }
        // Any number of 26 digits looks like a ULID, mostly one of an age to come.
        LegacyKind::Ulid => {
            let number = u128::from_be_bytes(id.trace_id().to_bytes());
            i64::try_from(number >> 80).ok().filter(|millis| *millis < YEAR_2100)?
        }
        LegacyKind::Hex64 | LegacyKind::Opaque => return None,
    };
    Some(millis.saturating_mul(1_000_000))
}

/// Milliseconds since 1970.
const YEAR_2100: i64 = 4_102_444_800_000;

/// Returns this moment in nanoseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
