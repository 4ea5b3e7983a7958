//! The little of protobuf's wire format that OTLP needs, appended to one buffer.

use super::value::Digits;

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
        } else {
            self.long_varint(value);
        }
    }

    fn long_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    #[inline]
    fn tag(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    /// Writes an unsigned, enum, bool or int64 field; zero is written too.
    #[inline]
    pub(crate) fn uint(&mut self, field: u32, value: u64) {
        self.tag(field, 0);
        self.varint(value);
    }

    /// Writes a fixed64 or double field.
    #[inline]
    pub(crate) fn fixed64(&mut self, field: u32, value: u64) {
        self.tag(field, 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes a fixed32 field.
    #[inline]
    pub(crate) fn fixed32(&mut self, field: u32, value: u32) {
        self.tag(field, 5);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes a string or bytes field; an empty one is written too.
    #[inline]
    pub(crate) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.tag(field, 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// Writes a text field unless it is empty, as proto3 leaves out defaults.
    #[inline]
    pub(crate) fn text(&mut self, field: u32, value: &str) {
        if !value.is_empty() {
            self.bytes(field, value.as_bytes());
        }
    }

    /// Appends fields that are already encoded.
    #[inline]
    pub(crate) fn raw(&mut self, encoded: &[u8]) {
        self.0.extend_from_slice(encoded);
    }

    /// Appends bytes and has them filled in where they stand: the processor waits for what is put
    /// together in one place by small pieces and then moved by large ones.
    #[inline]
    pub(crate) fn filled<const N: usize>(
        &mut self,
        bytes: &[u8; N],
        fill: impl FnOnce(&mut [u8; N]),
    ) {
        self.0.extend_from_slice(bytes);
        if let Some(place) = self.0.last_chunk_mut() {
            fill(place);
        }
    }

    /// Writes what stands before an embedded message of that many bytes.
    #[cfg(feature = "otlp")]
    pub(crate) fn start(&mut self, field: u32, length: usize) {
        self.tag(field, 2);
        self.varint(length as u64);
    }

    /// Writes an embedded message that is most likely short.
    ///
    /// One byte is kept for the length; where it needs more, the body moves up.
    #[inline]
    pub(crate) fn message(&mut self, field: u32, body: impl FnOnce(&mut Writer<'_>)) {
        self.embedded(field, 1, body);
    }

    /// Writes an embedded message that is most likely between 128 and 16,383 bytes long.
    #[inline]
    pub(crate) fn long_message(&mut self, field: u32, body: impl FnOnce(&mut Writer<'_>)) {
        self.embedded(field, 2, body);
    }

    /// Writes an embedded message that is most likely shorter than 128 bytes, or most likely not.
    #[inline]
    pub(crate) fn message_of(
        &mut self,
        field: u32,
        is_short: bool,
        body: impl FnOnce(&mut Writer<'_>),
    ) {
        self.embedded(field, if is_short { 1 } else { 2 }, body);
    }

    /// Writes an embedded message after `kept` bytes for its length; where the length takes another
    /// number of bytes, the body moves.
    #[inline]
    fn embedded(&mut self, field: u32, kept: usize, body: impl FnOnce(&mut Writer<'_>)) {
        if field < 16 {
            let start = [(field << 3 | 2) as u8, 0, 0];
            self.0.extend_from_slice(start.get(..=kept).unwrap_or_default());
        } else {
            self.tag(field, 2);
            self.0.extend_from_slice([0; 2].get(..kept).unwrap_or_default());
        }
        let at = self.0.len() - kept;
        body(&mut Writer(self.0));
        self.close(at, kept);
    }

    /// Appends the start of an embedded message, three bytes for tag and length before it, has it filled
    /// in where it stands and takes back as many bytes as `fill` has left over; [`Writer::end`] ends it.
    #[inline]
    pub(super) fn begin(&mut self, start: &[u8], fill: impl FnOnce(&mut [u8]) -> usize) -> Begun {
        let at = self.0.len();
        self.0.extend_from_slice(start);
        let left_over = self.0.get_mut(at..).map_or(0, fill);
        self.take_back(left_over);
        Begun(at + 1)
    }

    /// Ends a message that is most likely between 128 and 16,383 bytes long.
    #[inline]
    pub(super) fn end(&mut self, Begun(at): Begun) {
        self.close(at, 2);
    }

    /// Writes the length of the message that began after `kept` bytes at a place.
    #[inline]
    fn close(&mut self, at: usize, kept: usize) {
        let length = self.0.len() - at - kept;
        let bytes = [length as u8 & 0x7f | 0x80, (length >> 7) as u8];
        match (kept, length, self.0.get_mut(at..at + kept)) {
            (1, 0..0x80, Some([byte])) => *byte = length as u8,
            (2, 0x80..0x4000, Some(place)) => place.copy_from_slice(&bytes),
            _ => self.mend(at, kept, length as u64),
        }
    }

    /// Writes a length where another number of bytes was kept for it.
    #[cold]
    fn mend(&mut self, at: usize, kept: usize, mut length: u64) {
        let (end, needed) = (self.0.len(), varint_len(length));
        self.0.resize(end.max(end + needed - kept), 0);
        self.0.copy_within(at + kept..end, at + needed);
        self.0.truncate(end + needed - kept);
        for byte in self.0.iter_mut().skip(at).take(needed) {
            let more = if length >= 0x80 { 0x80 } else { 0 };
            *byte = length as u8 & 0x7f | more;
            length >>= 7;
        }
    }

    /// Writes a `KeyValue` whose value is a text (opentelemetry-proto, `common.proto`): the commonest
    /// of all messages, written in one go where it is short.
    #[inline]
    pub(crate) fn text_pair(&mut self, field: u32, key: &str, text: &str) {
        let (key, text) = (key.as_bytes(), text.as_bytes());
        let any = text.len() + 2;
        let pair = key.len() + any + 4;
        if field >= 16 || pair >= 0x80 {
            return self.long_pair(field, key, |any| any.bytes(1, text));
        }
        self.0.reserve(pair + 2);
        self.0.extend_from_slice(&[(field << 3 | 2) as u8, pair as u8, 0x0a, key.len() as u8]);
        self.0.extend_from_slice(key);
        self.0.extend_from_slice(&[0x12, any as u8, 0x0a, text.len() as u8]);
        self.0.extend_from_slice(text);
    }

    /// Writes a `KeyValue` whose value is a whole number.
    #[inline]
    pub(crate) fn int_pair(&mut self, field: u32, key: &str, number: i64) {
        let (key, number) = (key.as_bytes(), number.cast_unsigned());
        let any = varint_len(number) + 1;
        let pair = key.len() + any + 4;
        if field >= 16 || pair >= 0x80 {
            return self.long_pair(field, key, |any| any.uint(3, number));
        }
        self.0.reserve(pair + 2);
        self.0.extend_from_slice(&[(field << 3 | 2) as u8, pair as u8, 0x0a, key.len() as u8]);
        self.0.extend_from_slice(key);
        self.0.extend_from_slice(&[0x12, any as u8, 0x18]);
        self.varint(number);
    }

    /// Writes a whole number under a key that is encoded already.
    #[inline]
    pub(crate) fn int<const N: usize>(&mut self, key: &Key<N>, number: i64) {
        let number = number.cast_unsigned();
        let Some((value, length)) = varint(number) else {
            let (field, name) = key.parts();
            return self.int_pair(field, name, number.cast_signed());
        };
        self.fill(key, 0x18, value, length, 0);
    }

    /// Writes a text under a key that is encoded already.
    #[inline]
    pub(crate) fn text_at<const N: usize>(&mut self, key: &Key<N>, text: &str) {
        if N - ROOM + text.len() > 0x80 {
            let (field, name) = key.parts();
            let value = |any: &mut Writer<'_>| any.bytes(1, text.as_bytes());
            return self.long_pair(field, name.as_bytes(), value);
        }
        let length = text.len() as u8;
        self.fill(key, 0x0a, [length, 0, 0, 0, 0, 0, 0, 0], 1, length);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Writes the attribute that names a partition: a text by the messaging conventions.
    #[inline]
    pub(crate) fn partition<const N: usize>(&mut self, key: &Key<N>, partition: i32) {
        // Most topics have few partitions.
        if let 0..=9 = partition {
            let [digit, ..] = partition.to_le_bytes();
            self.fill(key, 0x0a, [1, b'0' + digit, 0, 0, 0, 0, 0, 0], 2, 0);
        } else {
            self.text_at(key, Digits::of(partition).as_str());
        }
    }

    /// Writes a pair whose value has a tag and so many bytes after it, and `more` that the caller
    /// appends. All the room of the key is written, as its size is known when this is compiled, and
    /// what is too much is taken back.
    #[inline]
    fn fill<const N: usize>(
        &mut self,
        key: &Key<N>,
        tag: u8,
        value: [u8; ROOM],
        length: usize,
        more: u8,
    ) {
        self.filled(&key.0, |bytes| {
            if let Some((start, place)) = bytes.split_last_chunk_mut::<ROOM>()
                && let [_, pair, .., any_length, any_tag] = start
            {
                let any = length as u8 + 1 + more;
                (*pair, *any_length, *any_tag) = ((N - ROOM) as u8 - 3 + any, any, tag);
                *place = value;
            }
        });
        self.take_back(ROOM - length);
    }

    /// Takes back so many bytes that were written last.
    #[inline]
    pub(super) fn take_back(&mut self, count: usize) {
        self.0.truncate(self.0.len().saturating_sub(count));
    }

    #[cold]
    fn long_pair(&mut self, field: u32, key: &[u8], value: impl FnOnce(&mut Writer<'_>)) {
        self.message(field, |pair| {
            pair.bytes(1, key);
            pair.message(2, value);
        });
    }
}

/// Where the length of a message is to stand that was begun.
pub(super) struct Begun(usize);

/// A value under a [`Key`] that takes more bytes than these is written in the slow way.
pub(crate) const ROOM: usize = 8;

/// The key of an attribute as a `KeyValue` starts with it, up to the tag of its value, and room for
/// that; lengths are filled in.
pub(crate) struct Key<const N: usize>([u8; N]);

impl<const N: usize> Key<N> {
    /// Encodes a key of `N - 7 - ROOM` bytes for attributes in a field; done when this is compiled.
    pub(crate) const fn new(field: u32, key: &str) -> Self {
        let key = key.as_bytes();
        assert!(field < 16 && key.len() == N - 7 - ROOM && N < 0x60);
        let mut bytes = [0; N];
        let at = put(&mut bytes, 0, &[(field << 3 | 2) as u8, 0, 0x0a, key.len() as u8]);
        let at = put(&mut bytes, at, key);
        put(&mut bytes, at, &[0x12]);
        Self(bytes)
    }

    /// Returns the number of the field and the key itself.
    fn parts(&self) -> (u32, &str) {
        let field = self.0.first().map_or(0, |tag| tag >> 3);
        let key = self.0.get(4..N - 3 - ROOM).unwrap_or_default();
        (field.into(), str::from_utf8(key).unwrap_or_default())
    }
}

/// Encodes a `KeyValue` whose value is a text, in `N` bytes; done when this is compiled.
pub(crate) const fn encoded_pair<const N: usize>(field: u32, key: &str, value: &str) -> [u8; N] {
    let (key, value) = (key.as_bytes(), value.as_bytes());
    assert!(field < 16 && key.len() + value.len() + 8 == N && N < 0x80);
    let (tag, any) = ((field << 3 | 2) as u8, value.len() as u8 + 2);
    let mut bytes = [0; N];
    let at = put(&mut bytes, 0, &[tag, (N - 2) as u8, 0x0a, key.len() as u8]);
    let at = put(&mut bytes, at, key);
    let at = put(&mut bytes, at, &[0x12, any, 0x0a, value.len() as u8]);
    put(&mut bytes, at, value);
    bytes
}

/// Copies `more` to where it is to start, when this is compiled; returns where it ends.
#[expect(clippy::indexing_slicing, reason = "out of bounds it would not compile")]
pub(super) const fn put(bytes: &mut [u8], start: usize, more: &[u8]) -> usize {
    let mut at = 0;
    while at < more.len() {
        bytes[start + at] = more[at];
        at += 1;
    }
    start + at
}

/// Encodes the key of an attribute when this is compiled.
macro_rules! key {
    ($field:literal, $key:expr) => {
        const {
            use $crate::hop::{Key, ROOM};
            &Key::<{ $key.len() + 7 + ROOM }>::new($field, $key)
        }
    };
}
pub(crate) use key;

/// Encodes a number and returns how many bytes it takes, unless they are more than eight.
#[inline]
pub(super) fn varint(value: u64) -> Option<([u8; ROOM], usize)> {
    let length = varint_len(value);
    let group = |n: u32| (value & 0x7f << (7 * n)) << n;
    let mut groups = group(0) | group(1) | group(2) | group(3);
    if length > 4 {
        groups |= group(4) | group(5) | group(6) | group(7);
    }
    let more = 0x0080_8080_8080_8080_u64.checked_shr(8 * 8_u32.checked_sub(length as u32)?)?;
    Some(((groups | more).to_le_bytes(), length))
}

/// Returns how many bytes a number takes.
#[inline]
const fn varint_len(value: u64) -> usize {
    ((70 - (value | 1).leading_zeros()) / 7) as usize
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
    }

    #[test]
    fn a_wrong_guess_of_the_length_is_mended() {
        for length in [0, 5, 127, 128, 16_383, 16_384, 70_000] {
            let text = vec![b'x'; length];
            let short = written(|w| w.message(3, |inner| inner.raw(&text)));
            let long = written(|w| w.long_message(3, |inner| inner.raw(&text)));
            assert_eq!(short, long, "{length}");
            assert!(short.ends_with(&text));
        }
    }

    #[test]
    fn pairs_of_texts_are_written_alike_short_and_long() {
        for length in [0, 1, 100, 110, 120, 130, 300] {
            let text = "x".repeat(length);
            let by_parts = written(|w| {
                w.message(6, |pair| {
                    pair.bytes(1, b"some.key");
                    pair.message(2, |any| any.bytes(1, text.as_bytes()));
                });
            });
            assert_eq!(written(|w| w.text_pair(6, "some.key", &text)), by_parts, "{length}");
        }
    }

    #[test]
    fn pairs_of_numbers_are_written_alike_short_and_long() {
        let key = "k".repeat(120);
        for number in [0, 1, 127, 128, 16_383, 16_384, i64::from(u32::MAX), i64::MAX, -1] {
            for key in ["some.key", &key] {
                let by_parts = written(|w| {
                    w.message(6, |pair| {
                        pair.bytes(1, key.as_bytes());
                        pair.message(2, |any| any.uint(3, number.cast_unsigned()));
                    });
                });
                assert_eq!(written(|w| w.int_pair(6, key, number)), by_parts, "{number}");
            }
        }
    }

    #[test]
    fn keys_that_are_encoded_beforehand_are_no_others() {
        for number in [0, 1, 127, 128, 16_383, 16_384, i64::from(u32::MAX), i64::MAX, -1] {
            let by_parts = written(|w| w.int_pair(6, "some.key", number));
            assert_eq!(written(|w| w.int(key!(6, "some.key"), number)), by_parts, "{number}");
        }
        for length in [0, 1, 100, 110, 112, 113, 114, 130, 300] {
            let text = "x".repeat(length);
            let by_parts = written(|w| w.text_pair(6, "some.key", &text));
            assert_eq!(written(|w| w.text_at(key!(6, "some.key"), &text)), by_parts, "{length}");
        }
        for partition in [0, 7, 10, -1, i32::MAX, i32::MIN] {
            let by_parts = written(|w| w.text_pair(9, "some.key", &partition.to_string()));
            let at_once = written(|w| w.partition(key!(9, "some.key"), partition));
            assert_eq!(at_once, by_parts, "{partition}");
        }
    }

    #[test]
    fn empty_messages_are_written() {
        assert_eq!(written(|w| w.message(3, |_| ())), [0x1a, 0x00]);
    }
}
