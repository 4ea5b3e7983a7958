//! Writing headers.

use super::{
    Propagation,
    baton::{Baton, Format},
    foreign::write_foreign,
};
use crate::{carrier::CarrierMut, wire::trim};

impl Propagation {
    /// Writes a baton, in place of whatever stood under the same names.
    ///
    /// `tracestate` and `baggage` are written when they are not empty; what an earlier hop left
    /// under those names is removed. Without a context the trace's headers are left alone.
    pub fn inject(&self, baton: &Baton, carrier: &mut dyn CarrierMut) {
        for format in &self.write {
            match format {
                Format::TraceContext => {
                    let Some(text) = baton.context.and_then(|cx| cx.to_traceparent()) else {
                        continue;
                    };
                    carrier.set("traceparent", &text);
                    put(carrier, "tracestate", baton.tracestate.as_str());
                }
                Format::Baggage => {
                    put(carrier, "baggage", &self.allowed(&baton.baggage).to_header());
                }
                Format::Legacy => self.write_legacy(baton, carrier),
                foreign => {
                    write_foreign(*foreign, baton, &self.allowed(&baton.baggage), carrier);
                }
            }
        }
    }
}

impl Propagation {
    /// Writes the id, and, where no other format is written that holds them, the span and the
    /// baggage.
    fn write_legacy(&self, baton: &Baton, carrier: &mut dyn CarrierMut) {
        let names = &self.legacy_names;
        if let Some(text) = baton.id_text() {
            carrier.set(names.written(carrier.medium()), &text);
            let is_alone = !self.write.contains(&Format::TraceContext);
            let span_id = baton.context.and_then(|context| context.span_id).filter(|_| is_alone);
            // One that an earlier hop left would name the wrong parent.
            put(carrier, names.span_id(), &span_id.map(|id| id.to_string()).unwrap_or_default());
        }
        if self.write.contains(&Format::Baggage) {
            return;
        }
        for entry in self.allowed(&baton.baggage).entries() {
            // There is no escape in these headers: what would not be read again as it is stays behind.
            let value = entry.value.as_bytes();
            if value.iter().all(|byte| matches!(byte, b' '..=b'~')) && trim(value) == value {
                let name = format!("{}{}", names.baggage_prefix(), entry.key.to_ascii_lowercase());
                carrier.set(&name, &entry.value);
            }
        }
    }
}

fn put(carrier: &mut dyn CarrierMut, name: &str, value: &str) {
    if value.is_empty() {
        carrier.remove(name);
    } else {
        carrier.set(name, value);
    }
}
