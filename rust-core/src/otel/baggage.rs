//! Our baggage as OpenTelemetry's own, and back: the application reads and changes it there.

use opentelemetry::{
    Context,
    baggage::{Baggage as Given, BaggageExt},
};

use crate::wire::Baggage;

/// Returns `cx` with this baggage in place of what it had.
pub(super) fn give(cx: Context, baggage: &Baggage) -> Context {
    let is_known = baggage.is_empty() && cx.baggage().is_empty();
    if is_known { cx } else { cx.with_baggage(given(baggage)) }
}

/// Returns what OpenTelemetry takes of it: its limits are its own.
fn given(baggage: &Baggage) -> Given {
    let mut given = Given::new();
    baggage.for_each(|key, value, properties| {
        given.insert_with_metadata(key.to_owned(), value.to_owned(), properties.to_owned());
    });
    given
}

/// Returns the baggage of `cx` where that is no longer `ours`, of which OpenTelemetry was given `known`.
pub(super) fn changed(cx: &Context, ours: &Baggage, known: &Baggage) -> Option<Baggage> {
    let now = cx.baggage();
    if now.is_empty() && known.is_empty() {
        return None;
    }
    let is_ours = |key: &str, value: &str, properties: &str| {
        ours.entries().iter().any(|entry| {
            (entry.key.as_str(), entry.value.as_str()) == (key, value)
                && entry.properties.as_deref().unwrap_or_default() == properties
        })
    };
    let mut others: Vec<_> = now
        .iter()
        .map(|(key, (value, properties))| (key.as_str(), value.as_str(), properties.as_str()))
        .filter(|(key, value, properties)| !is_ours(key, value, properties))
        .collect();
    if others.is_empty() && now.len() == known.entries().len() {
        return None;
    }
    let given = given(known);
    let mut baggage = ours.clone();
    // What it could not take, nobody there has removed.
    baggage.retain(|key| now.get(key).is_some() || given.get(key).is_none());
    // OpenTelemetry keeps no order: the same baggage is to be written alike each time.
    others.sort_unstable();
    for (key, value, properties) in others {
        baggage.retain(|known| known != key);
        // A key that is no token cannot be written, nor what is too much.
        let _ = baggage.add(entry(key, value, properties));
    }
    Some(baggage)
}

fn entry(key: &str, value: &str, properties: &str) -> Baggage {
    let mut one = Baggage::default();
    let is_set = one.set(key, value).is_ok();
    if !is_set || properties.is_empty() {
        return one;
    }
    // The reader checks the properties; the pair stays without them where they are none.
    let whole = Baggage::parse(&format!("{};{properties}", one.to_header()));
    if whole.entries().len() == 1 { whole } else { one }
}
