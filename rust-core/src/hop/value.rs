//! The value of an attribute, as OTLP's `AnyValue` has it.

use std::borrow::Cow;

use super::proto::Writer;

/// An attribute's value; a text or bytes may be borrowed.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A whole number.
    Int(i64),
    /// A fraction.
    Double(f64),
    /// Yes or no.
    Bool(bool),
    /// Raw bytes.
    Bytes(Cow<'a, [u8]>),
}

impl Value<'_> {
    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Int(number) => Value::Int(number),
            Self::Double(number) => Value::Double(number),
            Self::Bool(flag) => Value::Bool(flag),
            Self::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
        }
    }

    /// Writes this as an `AnyValue` in field `field` (opentelemetry-proto, `common.proto`).
    pub(crate) fn encode(&self, writer: &mut Writer<'_>, field: u32) {
        writer.message(field, |any| match self {
            Self::Text(text) => any.bytes(1, text.as_bytes()),
            Self::Bool(flag) => any.uint(2, u64::from(*flag)),
            Self::Int(number) => any.uint(3, number.cast_unsigned()),
            Self::Double(number) => any.fixed64(4, number.to_bits()),
            Self::Bytes(bytes) => any.bytes(7, bytes),
        });
    }
}

/// A number as text: partitions are texts by the conventions.
pub(crate) struct Digits {
    bytes: [u8; 11],
    start: usize,
}

impl Digits {
    pub(crate) fn of(number: i32) -> Self {
        let (mut bytes, mut start, mut rest) = ([0; 11], 11, number.unsigned_abs());
        let mut put = |digit: u8| {
            start -= 1;
            if let Some(place) = bytes.get_mut(start) {
                *place = digit;
            }
        };
        loop {
            put(b'0' + (rest % 10) as u8);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            put(b'-');
        }
        Self { bytes, start }
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// Writes a `KeyValue` in field `field`.
#[inline]
pub(crate) fn encode_pair(writer: &mut Writer<'_>, field: u32, key: &str, value: &Value<'_>) {
    match value {
        Value::Text(text) => return writer.text_pair(field, key, text),
        Value::Int(number) => return writer.int_pair(field, key, *number),
        _ => {}
    }
    writer.message(field, |pair| {
        pair.bytes(1, key.as_bytes());
        value.encode(pair, 2);
    });
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_what_a_number_prints() {
        for number in [0, 7, -1, 10, 123, i32::MAX, i32::MIN] {
            assert_eq!(Digits::of(number).as_str(), number.to_string());
        }
    }
}
