//! What is known of a request when it comes in: encoded at once, in one piece of memory.

use std::{cell::Cell, mem};

use super::proto::{Key, Writer};

/// What a request is called in the ledger, and attributes of its span.
#[derive(Default)]
pub(crate) struct Facts {
    /// The name, and after it the attributes as a `Span` has them.
    bytes: Vec<u8>,
    name_length: usize,
    count: usize,
    /// What the span is called until the route is known.
    span_name: &'static str,
}

/// Most requests say no more of themselves.
const USUAL: usize = 384;
/// How an attribute of a `Span` begins: field 9, and that it has a length (opentelemetry-proto,
/// `trace.proto`).
const TAG: u8 = 9 << 3 | 2;

/// Encodes the key of an attribute of [`Facts`] when this is compiled.
macro_rules! attribute {
    ($key:expr) => {
        $crate::hop::key!(9, $key)
    };
}
pub(crate) use attribute;

/// Encodes an attribute of [`Facts`] when this is compiled, key and value.
macro_rules! pair {
    ($key:literal, $value:literal) => {
        const { &$crate::hop::encoded_pair::<{ $key.len() + $value.len() + 8 }>(9, $key, $value) }
    };
}
pub(crate) use pair;

/// Facts that took more than this do not leave their memory behind.
const MAX_SPARE: usize = 4 << 10;

thread_local! {
    /// The memory of the last facts that went, for the next.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Drop for Facts {
    fn drop(&mut self) {
        // Only requests have any.
        if (1..=MAX_SPARE).contains(&self.bytes.capacity()) {
            let bytes = mem::take(&mut self.bytes);
            // A thread that is ending keeps nothing.
            let _ = SPARE.try_with(|spare| spare.set(bytes));
        }
    }
}

impl Facts {
    pub(crate) fn new(name: &str, span_name: &'static str) -> Self {
        let mut bytes = SPARE.try_with(Cell::take).unwrap_or_default();
        bytes.clear();
        bytes.reserve(name.len() + USUAL);
        bytes.extend_from_slice(name.as_bytes());
        Self { bytes, name_length: name.len(), count: 0, span_name }
    }

    /// Adds an attribute that was encoded beforehand, under a key that was not there before.
    #[inline]
    pub(crate) fn constant<const N: usize>(&mut self, pair: &[u8; N]) {
        self.bytes.extend_from_slice(pair);
        self.count += 1;
    }

    /// Adds the attributes of others, whose keys were not there before.
    #[cfg(any(feature = "tower", test))]
    pub(crate) fn extend(&mut self, others: &Self) {
        self.bytes.extend_from_slice(others.encoded());
        self.count += others.count;
    }

    /// Adds an attribute under a key that was not there before.
    #[inline]
    pub(crate) fn text<const N: usize>(&mut self, key: &Key<N>, text: &str) {
        Writer::new(&mut self.bytes).text_at(key, text);
        self.count += 1;
    }

    /// Adds an attribute under a key that was not there before.
    #[cfg(any(feature = "tower", test))]
    #[inline]
    pub(crate) fn int<const N: usize>(&mut self, key: &Key<N>, number: i64) {
        Writer::new(&mut self.bytes).int(key, number);
        self.count += 1;
    }

    pub(super) fn span_name(&self) -> &'static str {
        self.span_name
    }

    pub(super) fn name(&self) -> &str {
        let name = self.bytes.get(..self.name_length).unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }

    /// Returns the attributes as a `Span` has them.
    #[inline]
    pub(super) fn encoded(&self) -> &[u8] {
        self.bytes.get(self.name_length..).unwrap_or_default()
    }

    /// Returns how many attributes there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Takes out an attribute in whose place there is another now.
    pub(super) fn remove(&mut self, key: &str) {
        let mut start = self.name_length;
        while let Some((own, length)) = first(self.bytes.get(start..).unwrap_or_default()) {
            if own == key.as_bytes() {
                self.bytes.drain(start..start + length);
                self.count -= 1;
                return;
            }
            start += length;
        }
    }
}

/// Returns the key of the attribute that stands first, and how many bytes it takes.
fn first(encoded: &[u8]) -> Option<(&[u8], usize)> {
    let rest = encoded.strip_prefix(&[TAG])?;
    let (pair, rest) = split(rest)?;
    let (key, _) = split(pair.get(1..)?)?;
    Some((key, encoded.len() - rest.len()))
}

/// Splits off what has its length before it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut length, mut shift) = (0, 0);
    for (at, byte) in bytes.iter().enumerate().take(4) {
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if *byte < 0x80 {
            return bytes.get(at + 1..)?.split_at_checked(length);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_beforehand_is_nothing_else() {
        let (mut said, mut known) = (Facts::new("", "GET"), Facts::new("", "GET"));
        said.text(attribute!("url.scheme"), "https");
        known.constant(pair!("url.scheme", "https"));
        assert_eq!((said.encoded(), said.count()), (known.encoded(), known.count()));
    }

    #[test]
    fn memory_is_used_again_and_a_large_one_is_not_kept() {
        drop(Facts::new("/orders/7", "GET"));
        assert_eq!(SPARE.take().capacity(), 9 + USUAL);
        drop(Facts::new(&"x".repeat(MAX_SPARE), "GET"));
        drop(Facts::default());
        assert_eq!(SPARE.take().capacity(), 0);
    }

    #[test]
    fn what_is_taken_out_leaves_all_else_as_it_was() {
        let keys = ["url.path", "url.query", "server.port", "user_agent.original"];
        let long = "x".repeat(1024);
        let facts = |left_out: &str| {
            let mut facts = Facts::new("/orders/7", "GET");
            for key in keys.into_iter().filter(|key| *key != left_out) {
                match key {
                    "url.path" => facts.text(attribute!("url.path"), "/orders/7"),
                    "url.query" => facts.text(attribute!("url.query"), &long),
                    "server.port" => facts.int(attribute!("server.port"), 8080),
                    _ => facts.text(attribute!("user_agent.original"), "curl/8.5.0"),
                }
            }
            facts
        };
        for key in keys {
            let mut all = facts("");
            all.remove(key);
            assert_eq!(all.encoded(), facts(key).encoded(), "{key}");
            assert_eq!((all.name(), all.count()), ("/orders/7", 3));
            all.remove(key);
            assert_eq!(all.count(), 3);
        }
    }
}
