//! As much of reading protobuf as answers need.

/// The fields of a message, up to the first that cannot be read.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    /// A varint.
    Number(u64),
    /// Something with a length.
    Bytes(&'a [u8]),
    /// Something of four or eight bytes, which no answer needs.
    Fixed,
}

impl<'a> Fields<'a> {
    /// Returns the last number of a field, as proto3 has it; zero where there is none.
    pub(super) fn number(self, wanted: u64) -> i64 {
        let numbers = self.filter_map(|(number, field)| match field {
            Field::Number(value) if number == wanted => Some(value.cast_signed()),
            _ => None,
        });
        numbers.last().unwrap_or_default()
    }

    /// Returns what each field of that number holds that has a length.
    pub(super) fn all(self, wanted: u64) -> impl Iterator<Item = &'a [u8]> {
        self.filter_map(move |(number, field)| match field {
            Field::Bytes(bytes) if number == wanted => Some(bytes),
            _ => None,
        })
    }

    /// Returns the last text of a field; empty where there is none.
    pub(super) fn text(self, wanted: u64) -> String {
        String::from_utf8_lossy(self.all(wanted).last().unwrap_or_default()).into_owned()
    }

    fn read(&mut self) -> Option<(u64, Field<'a>)> {
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => self.skip(8).map(|_| Field::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.skip(length)?)
            }
            5 => self.skip(4).map(|_| Field::Fixed)?,
            _ => return None,
        };
        Some((tag >> 3, field))
    }

    fn skip(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read();
        if next.is_none() {
            self.0 = &[];
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_up_to_the_first_that_is_broken() {
        let message = [0x08, 0x96, 0x01, 0x12, 0x02, b'o', b'k', 0x0d, 1, 2, 3, 4, 0x12, 0xff];
        assert_eq!(Fields(&message).number(1), 150);
        assert_eq!(Fields(&message).text(2), "ok");
        assert_eq!(Fields(&message).count(), 3);
        assert_eq!(Fields(b"<html>").count(), 0);
        assert_eq!(Fields(&[0x08]).count(), 0, "a tag without a value");
        assert_eq!(Fields(&[0xff; 20]).count(), 0, "a number without an end");
    }
}
