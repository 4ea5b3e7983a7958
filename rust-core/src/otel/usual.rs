//! A word between our propagator and our own carriers, through OpenTelemetry's extractor.
//!
//! An extractor can be asked for a value, for all names, and for all values of a name, and the answers
//! to the last two are lists that have to be made for each message. Our own carriers answer one more
//! question: which of the usual names are there. It is asked as if it were a name, though no header
//! can have it, and answered by a text that is known by where it stands, not by what it says: no header
//! can be taken for it. The answer speaks for the carrier itself and not for another that holds it: it
//! tells how large that is.

use std::{mem, ptr};

use opentelemetry::propagation::Extractor;

/// The names that are read unless others are configured.
pub(crate) const NAMES: [&str; 6] =
    ["traceparent", "tracestate", "baggage", "x-trace-id", "trace_id", "x-span-id"];
pub(super) const PREFIX: &str = "x-baggage-";

/// The bit of each name's length.
const LENGTHS: u64 = 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11;

/// More has to be looked at than one value of each name.
const MORE: u8 = 1 << NAMES.len();

static QUESTION: &str = "\0which?";
/// How many answers there are for a carrier.
const OF_ONE: usize = 2 * MORE as usize;
/// A letter for each answer there may be, for carriers of up to 15 words.
static ANSWERS: [u8; 16 * OF_ONE] = [b'!'; 16 * OF_ONE];

/// Which of the usual names a carrier has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usual(u8);

impl Usual {
    /// Takes note of a header, and returns the number of its name.
    #[inline]
    pub(crate) fn note(&mut self, name: &[u8]) -> Option<usize> {
        if LENGTHS >> name.len().min(63) & 1 == 1
            && let Some(number) = number(name)
        {
            self.0 |= 1 << number;
            return Some(number);
        }
        if let [b'x' | b'X', ..] = name
            && let Some(start) = name.get(..PREFIX.len())
            && start.eq_ignore_ascii_case(PREFIX.as_bytes())
        {
            self.0 |= MORE;
        }
        None
    }

    /// Takes note that more has to be looked at than one value of each name.
    pub(crate) fn note_more(&mut self) {
        self.0 |= MORE;
    }

    /// Tells whether a header of this number was noted.
    #[inline]
    pub(super) fn has(self, number: usize) -> bool {
        self.0 >> number & 1 == 1
    }

    /// Tells whether there is a `traceparent`, and nothing else that is looked at beside one.
    #[inline]
    pub(super) fn is_parent(self) -> bool {
        self.0 == 1
    }

    /// Tells whether one value of each name is all there is.
    pub(crate) fn is_all(self) -> bool {
        self.0 & MORE == 0
    }

    /// Returns the answer that stands for this, of a carrier of type `T`.
    pub(crate) fn answer<T>(self) -> Option<&'static str> {
        let place = words(mem::size_of::<T>()) * OF_ONE + usize::from(self.0);
        std::str::from_utf8(ANSWERS.get(place..=place)?).ok()
    }

    /// Asks an extractor; nothing where it is none of our carriers.
    #[inline]
    pub(super) fn ask(extractor: &dyn Extractor) -> Option<Self> {
        let answer = extractor.get(QUESTION)?;
        let place = answer.as_ptr().addr().checked_sub(ANSWERS.as_ptr().addr())?;
        let bits = place.checked_sub(words(mem::size_of_val(extractor)) * OF_ONE)?;
        (place < ANSWERS.len() && bits < OF_ONE).then_some(Self(bits as u8))
    }
}

fn words(bytes: usize) -> usize {
    bytes / mem::size_of::<usize>()
}

/// Tells whether the question is asked, and no name.
#[inline]
pub(crate) fn is_asked(name: &str) -> bool {
    ptr::eq(name, QUESTION)
}

/// Returns the number of a usual name.
#[inline]
pub(crate) fn number(name: &[u8]) -> Option<usize> {
    match name {
        b"traceparent" => Some(0),
        b"tracestate" => Some(1),
        b"baggage" => Some(2),
        b"x-trace-id" => Some(3),
        b"trace_id" => Some(4),
        b"x-span-id" => Some(5),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ours(u8);

    impl Extractor for Ours {
        fn get(&self, key: &str) -> Option<&str> {
            if is_asked(key) { Usual(self.0).answer::<Self>() } else { None }
        }

        fn keys(&self) -> Vec<&str> {
            Vec::new()
        }
    }

    /// Holds one of ours, and more.
    struct Holder(Ours, [usize; 4]);

    impl Extractor for Holder {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.get(key).filter(|_| self.1[0] == 0)
        }

        fn keys(&self) -> Vec<&str> {
            Vec::new()
        }
    }

    struct Parrot(&'static str);

    impl Extractor for Parrot {
        fn get(&self, _: &str) -> Option<&str> {
            Some(self.0)
        }

        fn keys(&self) -> Vec<&str> {
            Vec::new()
        }
    }

    #[test]
    fn an_answer_is_understood_of_our_own_carriers_only() {
        for bits in 0..2 * MORE {
            assert_eq!(Usual::ask(&Ours(bits)).unwrap().0, bits);
            assert!(Usual::ask(&Holder(Ours(bits), [0; 4])).is_none());
        }
        for text in ["!", "", QUESTION, "!!!!!!!!"] {
            assert!(Usual::ask(&Parrot(text)).is_none());
        }
        assert!(!is_asked(String::from(QUESTION).as_str()));
    }

    #[test]
    fn the_usual_names_have_their_numbers() {
        for (index, name) in NAMES.into_iter().enumerate() {
            assert_eq!(number(name.as_bytes()), Some(index));
            assert_eq!(Usual::default().note(name.as_bytes()), Some(index));
        }
        assert_eq!(number(b"Traceparent"), None);
    }
}
