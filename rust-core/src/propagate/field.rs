//! What stands under a name, and what is said of it when it is not taken.

use std::borrow::Cow;

use super::baton::{Extracted, Format, Place, Refusal, Source};
use crate::{
    carrier::{Medium, Search, Slot},
    error::ErrorKind,
    wire::trim,
};

/// Returns the one value of a name; a value that may not count is refused and absent.
///
/// In HTTP there may be only one; elsewhere the last counts.
#[expect(clippy::ptr_arg, reason = "a static name is noted without being copied")]
pub(super) fn value<'a>(
    headers: &Search<'_, 'a>,
    slot: usize,
    name: &Cow<'static, str>,
    extracted: &mut Extracted,
) -> Option<&'a [u8]> {
    let Slot { count, last } = headers.slot(slot);
    let kind = match (count, last) {
        (0, _) => return None,
        (2.., _) if headers.medium() == Medium::Http => ErrorKind::Duplicate,
        (_, None) => ErrorKind::NotText,
        (_, Some(value)) => return Some(trim(value)),
    };
    refuse(extracted, name.clone(), kind);
    None
}

/// Returns the values of a name whose fields are one list in HTTP (RFC 9110, section 5.3);
/// elsewhere the last counts.
pub(super) fn values<'a>(
    headers: &Search<'_, 'a>,
    slot: usize,
    name: &'static str,
    extracted: &mut Extracted,
) -> impl Iterator<Item = &'a [u8]> {
    let Slot { count, last } = headers.slot(slot);
    if count > 0 && last.is_none() {
        refuse(extracted, name, ErrorKind::NotText);
    }
    headers.values(slot)
}

/// Notes what was not taken. A name is noted once for each reason: whoever sends 10,000 bad headers
/// does not make the list longer.
pub(super) fn refuse(
    extracted: &mut Extracted,
    name: impl Into<Cow<'static, str>>,
    kind: ErrorKind,
) {
    let refusal = Refusal { name: name.into(), kind };
    if !extracted.refused.contains(&refusal) {
        extracted.refused.push(refusal);
    }
}

/// Notes where the trace id was found.
pub(super) fn found(
    extracted: &mut Extracted,
    place: Place,
    format: Format,
    name: impl Into<Cow<'static, str>>,
) {
    extracted.source = Some(Source { place, format, name: name.into(), is_trusted: true });
}

/// Returns the place that headers of this medium are.
pub(super) fn place(medium: Medium) -> Place {
    match medium {
        Medium::Http | Medium::Kafka => Place::Headers,
        Medium::Metadata => Place::Metadata,
    }
}
