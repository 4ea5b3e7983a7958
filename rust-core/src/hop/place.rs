//! Where a record stands in its topic: two attributes that a hop writes four times, each time in one go.

use super::proto::{ROOM, Writer, key, put, varint};

const PARTITION: &str = "messaging.destination.partition.id";
const OFFSET: &str = "messaging.kafka.offset";

/// Where the only digit of a partition stands, and the lengths of the offset that are filled in.
const DIGIT: usize = PARTITION.len() + 8;
const PAIR: usize = DIGIT + 2;
const VALUE: usize = PAIR + OFFSET.len() + 6;

/// How many bytes both attributes take at most as most messages have them.
pub(super) const PLACE: usize = VALUE + ROOM;

/// The place of most messages: few topics have more than ten partitions.
pub(super) struct UsualPlace {
    digit: u8,
    offset: [u8; ROOM],
    length: usize,
}

impl UsualPlace {
    #[inline]
    pub(super) fn of((partition, offset): (i32, i64)) -> Option<Self> {
        let (0..=9, [digit, ..]) = (partition, partition.to_le_bytes()) else { return None };
        let (offset, length) = varint(offset.cast_unsigned())?;
        Some(Self { digit: b'0' + digit, offset, length })
    }

    /// Fills it in where [`usual`] was copied to, and returns how many bytes of that are left over.
    #[inline]
    pub(super) fn fill(&self, bytes: &mut [u8; PLACE]) -> usize {
        bytes[DIGIT] = self.digit;
        bytes[PAIR] = (OFFSET.len() + 5 + self.length) as u8;
        bytes[VALUE - 2] = self.length as u8 + 1;
        bytes[VALUE..].copy_from_slice(&self.offset);
        ROOM - self.length
    }
}

/// Writes partition and offset as attributes of a span (field 9) or of an event (field 6).
#[inline]
pub(super) fn write_place<const FIELD: u32>(writer: &mut Writer<'_>, place: (i32, i64)) {
    let (partition, offset) = place;
    if let Some(place) = UsualPlace::of(place) {
        let mut left_over = 0;
        writer.filled(const { &usual(FIELD) }, |bytes| left_over = place.fill(bytes));
        writer.take_back(left_over);
    } else if FIELD == 9 {
        writer.partition(key!(9, PARTITION), partition);
        writer.int(key!(9, OFFSET), offset);
    } else {
        writer.partition(key!(6, PARTITION), partition);
        writer.int(key!(6, OFFSET), offset);
    }
}

/// Encodes both for a partition of one digit and an offset of any length; done when this is compiled.
pub(super) const fn usual(field: u32) -> [u8; PLACE] {
    let mut bytes = [0; PLACE];
    let tag = (field << 3 | 2) as u8;
    let at = put(&mut bytes, 0, &[tag, DIGIT as u8 - 1, 0x0a, PARTITION.len() as u8]);
    let at = put(&mut bytes, at, PARTITION.as_bytes());
    let at = put(&mut bytes, at, &[0x12, 3, 0x0a, 1, b'0']);
    assert!(at == DIGIT + 1);
    let at = put(&mut bytes, at, &[tag, 0, 0x0a, OFFSET.len() as u8]);
    let at = put(&mut bytes, at, OFFSET.as_bytes());
    let at = put(&mut bytes, at, &[0x12, 0, 0x18]);
    assert!(at == VALUE && field < 16);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_written_as_they_are_one_by_one() {
        let offsets = [0, 127, 128, 16_384, i64::from(u32::MAX), 1 << 55, 1 << 56, i64::MAX, -1];
        for partition in [0, 9, 10, -1, i32::MAX] {
            for offset in offsets {
                let mut one_by_one = Vec::new();
                let mut writer = Writer::new(&mut one_by_one);
                for field in [9, 6] {
                    writer.text_pair(field, PARTITION, &partition.to_string());
                    writer.int_pair(field, OFFSET, offset);
                }
                let mut at_once = Vec::new();
                write_place::<9>(&mut Writer::new(&mut at_once), (partition, offset));
                write_place::<6>(&mut Writer::new(&mut at_once), (partition, offset));
                assert_eq!(at_once, one_by_one, "{partition} {offset}");
            }
        }
    }
}
