//! Reading the legacy id: as the trace where there is none, else beside it.

use std::{borrow::Cow, str};

use super::{
    baton::{Extracted, Format, Place},
    extract::read_trace_context,
    field::{found, place, refuse, value},
    foreign::read_foreign,
    names::{IdName, LegacyNames},
    slots::{self, Slots},
};
use crate::{
    carrier::Search,
    error::{ErrorKind, ParseError},
    wire::{Baggage, Flags, LegacyId, SpanId, TraceContext, trim},
};

pub(super) fn read(
    names: &LegacyNames,
    slots: &Slots,
    headers: &Search<'_, '_>,
    extracted: &mut Extracted,
) {
    for (index, IdName { name, format }) in names.trace_ids().iter().enumerate() {
        match format {
            // Its own rules find the span too, and say whether it is sampled.
            Some(Format::TraceContext) => read_trace_context(headers, extracted),
            Some(format) => read_foreign(*format, slots, headers, extracted),
            None => {}
        }
        // An id of B3 that has no span is an id still.
        if format.is_some_and(|format| format != Format::B3Multi) {
            continue;
        }
        let value = value(headers, slots::TRACE_IDS + index, name, extracted);
        let Some(value) = value else { continue };
        if is_same(extracted, value) {
            break;
        }
        match LegacyId::parse_bytes(value) {
            Ok(Some(id)) => {
                let is_new = take(extracted, place(headers.medium()), name, id);
                if is_new {
                    read_span(names, headers, extracted);
                }
                break;
            }
            Ok(None) => {}
            Err(error) => refuse(extracted, name.clone(), error.kind()),
        }
    }
    read_baggage(names, slots, headers, extracted);
}

/// Tells whether a text is just the trace id that is known already: our own writers send both.
pub(super) fn is_same(extracted: &Extracted, value: &[u8]) -> bool {
    extracted.baton.context.is_some_and(|context| context.trace_id.to_hex() == value)
}

/// Takes a legacy id as the trace, or keeps its text beside the trace that is there already. Tells
/// whether it is the trace now.
#[expect(clippy::ptr_arg, reason = "a static name is noted without being copied")]
pub(super) fn take(
    extracted: &mut Extracted,
    place: Place,
    name: &Cow<'static, str>,
    id: LegacyId,
) -> bool {
    let known = extracted.baton.context;
    let trace_id = id.trace_id();
    match known {
        Some(context) if context.trace_id != trace_id => {
            refuse(extracted, name.clone(), ErrorKind::Conflict);
        }
        Some(_) => {}
        None => {
            let flags = Flags::default();
            extracted.baton.context = Some(TraceContext { trace_id, span_id: None, flags });
            extracted.baton.is_deferred = true;
            found(extracted, place, Format::Legacy, name.clone());
        }
    }
    // What the client knows the trace by is kept, unless it is nothing but the trace id in use.
    let is_plain = id.is_canonical() && known.is_none_or(|context| context.trace_id == trace_id);
    if !is_plain {
        extracted.baton.legacy = Some(id);
    }
    known.is_none()
}

/// Reads the span id that may go with a legacy id.
fn read_span(names: &LegacyNames, headers: &Search<'_, '_>, extracted: &mut Extracted) {
    let name = names.span_id();
    let Some(value) = value(headers, slots::SPAN_ID, name, extracted) else { return };
    match span_id(value) {
        Ok(span_id) => {
            if let Some(context) = &mut extracted.baton.context {
                context.span_id = Some(span_id);
            }
        }
        Err(error) => refuse(extracted, name.clone(), error.kind()),
    }
}

fn span_id(value: &[u8]) -> Result<SpanId, ParseError> {
    let Some(digits) = value.first_chunk::<16>().filter(|_| value.len() == 16) else {
        return Err(ParseError::new(ErrorKind::BadLength, value.len().min(16)));
    };
    let lower = digits.to_ascii_lowercase();
    SpanId::parse(str::from_utf8(&lower).map_err(|_| ParseError::new(ErrorKind::NotText, 0))?)
}

/// Reads one pair from each header of the prefix; W3C baggage of the same key goes before it.
fn read_baggage(
    names: &LegacyNames,
    slots: &Slots,
    headers: &Search<'_, '_>,
    extracted: &mut Extracted,
) {
    let prefix = names.baggage_prefix();
    let mut baggage = Baggage::default();
    for (key, value) in headers.prefixed(slots.baggage_prefix) {
        let value = value.ok_or(ErrorKind::NotText);
        let pair = value.and_then(|value| pair(key, trim(value)));
        if let Err(kind) = pair.and_then(|(key, value)| baggage.set(&key, value)) {
            refuse(extracted, prefix.clone(), kind);
        }
    }
    if let Err(kind) = extracted.baton.baggage.add(baggage) {
        refuse(extracted, prefix.clone(), kind);
    }
}

fn pair<'a>(key: &[u8], value: &'a [u8]) -> Result<(String, &'a str), ErrorKind> {
    // The names of HTTP have no case, so none is kept.
    let key = str::from_utf8(key).map_err(|_| ErrorKind::NotText)?.to_ascii_lowercase();
    let value = str::from_utf8(value).map_err(|_| ErrorKind::NotText)?;
    let is_clean = !value.chars().any(char::is_control);
    is_clean.then_some((key, value)).ok_or(ErrorKind::BadByte)
}
