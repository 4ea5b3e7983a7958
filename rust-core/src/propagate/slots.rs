//! Where what is found under each name is kept while headers are read.

use super::{
    baton::Format,
    foreign::{FOREIGN, JAEGER_BAGGAGE},
    names::LegacyNames,
};
use crate::carrier::Names;

pub(super) const TRACEPARENT: usize = 0;
pub(super) const TRACESTATE: usize = 1;
pub(super) const BAGGAGE: usize = 2;
pub(super) const SPAN_ID: usize = 3;
/// The first of the legacy ids, in the order they are looked at.
pub(super) const TRACE_IDS: usize = 4;

/// The names that the formats ask for, and where the rest of them is.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    pub(super) names: Names,
    foreign: usize,
    pub(super) baggage_prefix: usize,
    pub(super) jaeger_prefix: usize,
}

impl Slots {
    /// Returns the slots of everything that is read.
    pub(super) fn new(formats: &[Format], legacy: &LegacyNames) -> Self {
        let is_legacy = formats.contains(&Format::Legacy);
        let by_name = legacy.trace_ids().iter().filter_map(|id| id.format);
        let by_name = by_name.filter(|_| is_legacy);
        let mut read: Vec<Format> = formats.iter().copied().chain(by_name).collect();
        if read.contains(&Format::B3) {
            read.push(Format::B3Multi);
        }
        let mut slots = Self {
            names: Names::default(),
            foreign: TRACE_IDS + legacy.trace_ids().len(),
            baggage_prefix: usize::MAX,
            jaeger_prefix: usize::MAX,
        };
        if read.contains(&Format::TraceContext) {
            slots.names.add(TRACEPARENT, "traceparent".into());
            slots.names.add(TRACESTATE, "tracestate".into());
        }
        if read.contains(&Format::Baggage) {
            slots.names.add(BAGGAGE, "baggage".into());
        }
        if is_legacy {
            for (index, id) in legacy.trace_ids().iter().enumerate() {
                slots.names.add(TRACE_IDS + index, id.name.clone());
            }
            slots.names.add(SPAN_ID, legacy.span_id().clone());
            slots.baggage_prefix = slots.names.add_prefix(legacy.baggage_prefix().clone());
        }
        for (index, (format, name)) in FOREIGN.into_iter().enumerate() {
            if read.contains(&format) {
                slots.names.add(slots.foreign + index, name.into());
            }
        }
        if read.contains(&Format::Jaeger) {
            slots.jaeger_prefix = slots.names.add_prefix(JAEGER_BAGGAGE.into());
        }
        slots
    }

    /// Returns the slot of a name of another tracing system.
    pub(super) fn foreign(&self, name: &str) -> usize {
        let index = FOREIGN.iter().position(|(_, known)| *known == name);
        index.map_or(usize::MAX, |index| self.foreign + index)
    }
}
