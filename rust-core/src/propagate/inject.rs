//! Writing headers.

use super::{
    Propagation,
    baton::{Baton, Format},
    foreign::write_foreign,
};
use crate::carrier::CarrierMut;

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
                    let mut baggage = baton.baggage.clone();
                    self.allow(&mut baggage);
                    put(carrier, "baggage", &baggage.to_header());
                }
                Format::Legacy => {
                    if let Some(text) = baton.id_text() {
                        carrier.set(carrier.medium().legacy_name(), &text);
                    }
                }
                foreign => write_foreign(*foreign, baton, carrier),
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
