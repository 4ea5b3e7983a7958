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

    #[inline]
    fn is(&self, byte: u8, class: u8) -> bool {
        self.classes.get(usize::from(byte)).is_some_and(|known| known & class != 0)
    }

    /// Tells whether a list has one to four members, all right, with keys of their own.
    pub(super) fn is_plain(&self, list: &[u8]) -> bool {
        let mut keys = [&[][..]; FEW];
        let mut rest = list;
        for members in 0..FEW {
            let (key, after) = self.run(rest, KEY);
            let [b'=', after @ ..] = after else { return false };
            let earlier = keys.get(..members).unwrap_or_default();
            if !self.is_key(key) || earlier.contains(&key) {
                return false;
            }
            if let Some(place) = keys.get_mut(members) {
                *place = key;
            }
            let (value, after) = self.run(after, VALUE);
            if !(self.shortest_value..=self.longest_value).contains(&value.len()) {
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

    /// Cuts off the longest start whose bytes are of a class: four are looked at in one go.
    #[inline]
    fn run<'a>(&self, text: &'a [u8], class: u8) -> (&'a [u8], &'a [u8]) {
        let of = |byte: u8| self.classes.get(usize::from(byte)).copied().unwrap_or_default();
        let (fours, _) = text.as_chunks::<4>();
        let is_all = |&&[a, b, c, d]: &&[u8; 4]| of(a) & of(b) & of(c) & of(d) & class != 0;
        let start = 4 * fours.iter().take_while(is_all).count();
        let rest = text.get(start..).unwrap_or_default();
        let end = rest.iter().position(|byte| of(*byte) & class == 0).unwrap_or(rest.len());
        text.split_at_checked(start + end).unwrap_or_default()
    }

    fn is_key(&self, key: &[u8]) -> bool {
        key.first().is_some_and(|first| self.is(*first, FIRST)) && key.len() <= self.longest_key
    }
}
