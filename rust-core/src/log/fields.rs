//! The fields of events and spans, read once.

use std::fmt::Write;

use tracing::field::{Field, Visit};

use crate::hop::Value;

/// A message, and whatever else was said, by name.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) message: String,
    pub(super) pairs: Vec<(&'static str, Value<'static>)>,
}

impl Fields {
    /// Forgets everything but the memory.
    pub(super) fn clear(&mut self) {
        self.message.clear();
        self.pairs.clear();
    }

    fn put(&mut self, field: &Field, value: Value<'static>) {
        self.pairs.retain(|(key, _)| *key != field.name());
        self.pairs.push((field.name(), value));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.message.clear();
            let _ = write!(self.message, "{value:?}");
        } else {
            self.put(field, format!("{value:?}").into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field, value.to_owned().into());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let number = i64::try_from(value).map_or_else(|_| value.to_string().into(), Value::Int);
        self.put(field, number);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}
