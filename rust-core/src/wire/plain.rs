//! Lists of `key=value` of the plainest kind, checked in one look: they are written as they came.

/// A byte that may be in a key.
const KEY: u8 = 1;
/// A byte that a key may start with.
const FIRST: u8 = 2;
/// A byte that may be in a value, and stands for itself.
const VALUE: u8 = 4;

/// Lists with more members are for the long way, which minds keys that are there twice.
const FEW: usize = 4;

/// What makes a list of one format plain.
pub(super) struct Plain {
    classes: [u8; 256],
    longest_key: usize,
    shortest_value: usize,
    longest_value: usize,
}

impl Plain {
    /// `tracestate`, without white space.
    pub(super) const TRACESTATE: Self = {
        let mut plain =
            Self { classes: [0; 256], longest_key: 256, shortest_value: 1, longest_value: 256 }
                .with(b"abcdefghijklmnopqrstuvwxyz0123456789", KEY | FIRST)
                .with(b"_-*/@", KEY);
        let mut byte = b'!';
        while byte <= b'~' {
            if byte != b',' && byte != b'=' {
                plain = plain.with(&[byte], VALUE);
            }
            byte += 1;
        }
        plain
    };

    /// `baggage`, without white space, percent-encoding and properties.
    pub(super) const BAGGAGE: Self = {
        let mut plain =
            Self { classes: [0; 256], longest_key: 8192, shortest_value: 0, longest_value: 8192 }
                .with(b"abcdefghijklmnopqrstuvwxyz0123456789", KEY | FIRST)
                .with(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", KEY | FIRST)
                .with(b"!#$%&'*+-.^_`|~", KEY | FIRST);
        let mut byte = b'!';
        while byte <= b'~' {
            if !matches!(byte, b'"' | b',' | b';' | b'\\' | b'%') {
                plain = plain.with(&[byte], VALUE);
            }
            byte += 1;
        }
        plain
    };

    const fn with(mut self, bytes: &[u8], class: u8) -> Self {
        let mut rest = bytes;
        while let [byte, after @ ..] = rest {
            let (_, from) = self.classes.split_at_mut(*byte as usize);
            if let [place, ..] = from {
                *place |= class;
            }
            rest = after;
        }
        self
    }

    fn is(&self, byte: u8, class: u8) -> bool {
        self.classes.get(usize::from(byte)).is_some_and(|known| known & class != 0)
    }

    /// Tells whether a list has one to four members, all right, with keys of their own.
    pub(super) fn is_plain(&self, list: &[u8]) -> bool {
        let mut keys = [&[][..]; FEW];
        let mut rest = list;
        for place in 0..FEW {
            let end = rest.iter().position(|byte| !self.is(*byte, KEY));
            let Some((key, [b'=', after @ ..])) = end.and_then(|end| rest.split_at_checked(end))
            else {
                return false;
            };
            let is_right = key.first().is_some_and(|first| self.is(*first, FIRST))
                && key.len() <= self.longest_key
                && !keys.contains(&key);
            if !is_right {
                return false;
            }
            if let Some(place) = keys.get_mut(place) {
                *place = key;
            }
            let end = after.iter().position(|byte| !self.is(*byte, VALUE)).unwrap_or(after.len());
            let (value, after) = after.split_at_checked(end).unwrap_or_default();
            if value.len() < self.shortest_value || value.len() > self.longest_value {
                return false;
            }
            rest = match after {
                [] => return true,
                [b',', after @ ..] => after,
                _ => return false,
            };
        }
        false
    }
}
