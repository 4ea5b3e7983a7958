//! Protobuf, field by field, without making messages of it (protobuf, "Encoding").

use std::fmt;

/// Why bytes are not the message they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(super) &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

pub(super) const NOT_UTF8: Malformed = Malformed("a text is not UTF-8");
const TOO_LONG: Malformed = Malformed("a number is longer than 64 bits");

/// The value of a field, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'b> {
    Number,
    Fixed64,
    Bytes(&'b [u8]),
    Fixed32,
}

/// The fields of a message, in the order in which they stand.
#[derive(Clone, Copy)]
pub(super) struct Fields<'b>(pub(super) &'b [u8]);

impl<'b> Fields<'b> {
    fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let Some((byte, rest)) = self.0.split_first() else {
                return Err(Malformed("it ends in the middle of a number"));
            };
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                // Of the tenth byte one bit is left.
                let is_too_long = shift == 63 && *byte > 1;
                return if is_too_long { Err(TOO_LONG) } else { Ok(number) };
            }
        }
        Err(TOO_LONG)
    }

    fn bytes(&mut self, length: u64) -> Result<&'b [u8], Malformed> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some((bytes, rest)) = self.0.split_at_checked(length) else {
            return Err(Malformed("it ends in the middle of a field"));
        };
        self.0 = rest;
        Ok(bytes)
    }

    fn field(&mut self) -> Result<(u32, Value<'b>), Malformed> {
        let key = u32::try_from(self.number()?).unwrap_or(0);
        let value = match key & 7 {
            0 => self.number().map(|_| Value::Number),
            1 => self.bytes(8).map(|_| Value::Fixed64),
            2 => self.number().and_then(|length| self.bytes(length)).map(Value::Bytes),
            5 => self.bytes(4).map(|_| Value::Fixed32),
            _ => Err(Malformed("a field has a type that does not exist")),
        };
        let number = key >> 3;
        if number == 0 {
            return Err(Malformed("a field has a number that does not exist"));
        }
        Ok((number, value?))
    }
}

impl<'b> Iterator for Fields<'b> {
    type Item = Result<(u32, Value<'b>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// Appends a field of bytes.
pub(super) fn put(buffer: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    buffer.push(number << 3 | 2);
    let mut length = bytes.len();
    while length > 0x7f {
        buffer.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    buffer.push(length as u8);
    buffer.extend_from_slice(bytes);
}
