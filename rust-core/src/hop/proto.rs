//! The little of protobuf's wire format that OTLP needs, appended to one buffer.

/// Appends fields to a buffer (Protocol Buffers, "Encoding").
pub(crate) struct Writer<'a>(&'a mut Vec<u8>);

impl<'a> Writer<'a> {
    /// Appends to `buffer`.
    pub(crate) fn new(buffer: &'a mut Vec<u8>) -> Self {
        Self(buffer)
    }

    #[inline]
    fn varint(&mut self, value: u64) {
        if value < 0x80 {
            self.0.push(value as u8);
            return;
        }
        let mut bytes = [0; 10];
        let count = varint_bytes(value, &mut bytes);
        self.0.extend_from_slice(bytes.get(..count).unwrap_or_default());
    }

    fn tag(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    /// Writes an unsigned, enum, bool or int64 field; zero is written too.
    pub(crate) fn uint(&mut self, field: u32, value: u64) {
        self.tag(field, 0);
        self.varint(value);
    }

    /// Writes a fixed64 or double field.
    pub(crate) fn fixed64(&mut self, field: u32, value: u64) {
        self.tag(field, 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes a fixed32 field.
    pub(crate) fn fixed32(&mut self, field: u32, value: u32) {
        self.tag(field, 5);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes a string or bytes field; an empty one is written too.
    pub(crate) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.tag(field, 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// Writes a text field unless it is empty, as proto3 leaves out defaults.
    pub(crate) fn text(&mut self, field: u32, value: &str) {
        if !value.is_empty() {
            self.bytes(field, value.as_bytes());
        }
    }

    /// Appends fields that are already encoded.
    /// Writes a `KeyValue` whose value is a text: the attribute that is written most.
    pub(crate) fn text_pair(&mut self, field: u32, key: &str, text: &str) {
        let (key, text) = (key.as_bytes(), text.as_bytes());
        // Where all lengths have one byte they are known before anything is written.
        let lengths = (u8::try_from(key.len()), u8::try_from(text.len()), u8::try_from(field));
        if let (Ok(key_len), Ok(text_len), Ok(field @ 0..16)) = lengths
            && usize::from(key_len) + usize::from(text_len) + 6 < 0x80
        {
            let all = key_len + text_len + 6;
            self.0.extend_from_slice(&[field << 3 | 2, all, 0x0a, key_len]);
            self.0.extend_from_slice(key);
            self.0.extend_from_slice(&[0x12, text_len + 2, 0x0a, text_len]);
            self.0.extend_from_slice(text);
            return;
        }
        self.message(field, |pair| {
            pair.bytes(1, key);
            pair.message(2, |any| any.bytes(1, text));
        });
    }

    #[cfg(feature = "otlp")]
    pub(crate) fn raw(&mut self, encoded: &[u8]) {
        self.0.extend_from_slice(encoded);
    }

    /// Writes an embedded message.
    ///
    /// One byte is kept for the length; where it needs more, the body moves up.
    pub(crate) fn message(&mut self, field: u32, body: impl FnOnce(&mut Writer<'_>)) {
        self.tag(field, 2);
        let at = self.0.len();
        self.0.push(0);
        body(&mut Writer(self.0));
        let length = self.0.len() - at - 1;
        if let (Ok(short @ 0..0x80), Some(byte)) = (u8::try_from(length), self.0.get_mut(at)) {
            *byte = short;
            return;
        }
        // Room for the length's other bytes is made behind, and the body moved up by them.
        let mut size = [0; 10];
        let more = varint_bytes(length as u64, &mut size) - 1;
        let end = self.0.len();
        self.0.resize(end + more, 0);
        self.0.copy_within(at + 1..end, at + 1 + more);
        for (to, from) in self.0.iter_mut().skip(at).zip(size).take(more + 1) {
            *to = from;
        }
    }
}

/// Writes a number seven bits a byte, and returns how many bytes it has.
fn varint_bytes(mut value: u64, out: &mut [u8; 10]) -> usize {
    let mut count = 0;
    for byte in out {
        count += 1;
        if value < 0x80 {
            *byte = value as u8;
            break;
        }
        *byte = value as u8 | 0x80;
        value >>= 7;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let mut buffer = Vec::new();
        write(&mut Writer::new(&mut buffer));
        buffer
    }

    #[test]
    fn numbers_use_seven_bits_a_byte() {
        assert_eq!(written(|w| w.uint(1, 150)), [0x08, 0x96, 0x01]);
    }

    #[test]
    fn long_messages_get_a_long_length() {
        let text = [b'x'; 200];
        let bytes = written(|w| w.message(3, |inner| inner.bytes(1, &text)));
        assert_eq!(bytes[..6], [0x1a, 0xcb, 0x01, 0x0a, 0xc8, 0x01]);
        assert_eq!(bytes.len(), 6 + 200);
        assert!(bytes[6..].iter().all(|byte| *byte == b'x'));
    }

    #[test]
    fn text_pairs_are_messages_in_messages() {
        for length in [0, 1, 60, 115, 116, 117, 118, 200, 20_000] {
            let text = "x".repeat(length);
            let plain = written(|w| {
                w.message(9, |pair| {
                    pair.bytes(1, b"key.one");
                    pair.message(2, |any| any.bytes(1, text.as_bytes()));
                });
            });
            assert_eq!(written(|w| w.text_pair(9, "key.one", &text)), plain, "{length}");
        }
    }

    #[test]
    fn empty_messages_are_written() {
        assert_eq!(written(|w| w.message(3, |_| ())), [0x1a, 0x00]);
    }
}
