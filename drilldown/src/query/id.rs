//! The id as a person gives it: a trace id, a UUID, a ULID, or whatever text the client used.

use std::time::{SystemTime, UNIX_EPOCH};

use tracebaton::{TraceId, wire::LegacyId};

use crate::model::Id;

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

/// Returns the moment an id was made in nanoseconds since 1970, if it tells one.
pub(crate) fn made_at(id: Id) -> Option<i64> {
    let since = TraceId::from_bytes(id.0)?.created_at()?.duration_since(UNIX_EPOCH).ok()?;
    Some(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Returns this moment in nanoseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
