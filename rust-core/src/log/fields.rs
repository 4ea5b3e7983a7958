//! The fields of events and spans, read once.

use std::{borrow::Cow, fmt::Write};

use tracing::field::{Field, Visit};

use crate::hop::Value;

/// A message, and whatever else was said, by name.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) message: String,
    pub(super) pairs: Vec<(&'static str, Value<'static>)>,
    /// The memory of texts that were forgotten.
    spare: Vec<String>,
}

/// A text that was longer does not leave its memory behind, nor do more texts than these.
const MAX_SPARE: usize = 1 << 10;
const MAX_SPARES: usize = 8;

impl Fields {
    /// Forgets everything but the memory.
    pub(super) fn clear(&mut self) {
        self.message.clear();
        for (_, value) in self.pairs.drain(..) {
            if let Value::Text(Cow::Owned(mut text)) = value
                && self.spare.len() < MAX_SPARES
                && text.capacity() <= MAX_SPARE
            {
                text.clear();
                self.spare.push(text);
            }
        }
    }

    /// Puts a pair last, in place of one of that name.
    pub(super) fn put(&mut self, name: &'static str, value: Value<'static>) {
        if let Some(at) = self.pairs.iter().position(|(key, _)| *key == name) {
            self.pairs.remove(at);
        }
        self.pairs.push((name, value));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.message.clear();
            let _ = write!(self.message, "{value:?}");
        } else {
            self.put(field.name(), format!("{value:?}").into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            let mut text = self.spare.pop().unwrap_or_default();
            text.push_str(value);
            self.put(field.name(), text.into());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let number = i64::try_from(value).map_or_else(|_| value.to_string().into(), Value::Int);
        self.put(field.name(), number);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value.into());
    }
}
