//! A word between our propagator and our own carriers, through OpenTelemetry's extractor.
//!
//! An extractor can be asked for a value, for all names, and for all values of a name, and the answers
//! to the last two are lists that have to be made for each message. Our own carriers answer one more
//! question: which of the usual names are there. It is asked as if all values of `traceparent` were
//! wanted, which is what any other extractor takes it for, and what it answers is not lost. Ours know
//! the question by where its text stands, and answer beside the trait, in a place of the thread.
//!
//! The question names whom it is put to by address and size, so that a carrier inside of another does
//! not speak for it. A type of the same size around one of ours that hands on `get_all` as it is cannot
//! be told apart: its word counts for which names there are, and for the `traceparent`, of which all
//! values were asked for. The other values are asked of it by name.

use std::{cell::Cell, mem, ptr, slice};

use opentelemetry::propagation::Extractor;

use crate::carrier::Medium;

/// The names that are read unless others are configured.
pub(crate) const NAMES: [&str; 6] =
    ["traceparent", "tracestate", "baggage", "x-trace-id", "trace_id", "x-span-id"];
/// How the legacy id is called in HTTP, as a propagator writes it.
pub(crate) const LEGACY: &str = NAMES[3];
pub(crate) const PREFIX: &str = "x-baggage-";

/// More has to be looked at than one value of each name.
const MORE: u8 = 1 << NAMES.len();

/// The question's text stands in front of another, so that no name stands where it does.
static ASKED: &str = "traceparent, and which else?";
const ASKED_BYTES: usize = "traceparent".len();

/// Whom the question is put to.
#[derive(Clone, Copy)]
struct Whom {
    address: usize,
    size: usize,
}

impl Whom {
    #[inline]
    fn of<T: ?Sized>(carrier: &T) -> Self {
        Self { address: ptr::from_ref(carrier).addr(), size: mem::size_of_val(carrier) }
    }
}

/// A header is there whose value is no text.
pub(super) struct NotText;

/// What a carrier of ours answers.
#[derive(Clone, Copy)]
pub(crate) struct Answer<'a> {
    pub(crate) medium: Medium,
    pub(crate) usual: Usual,
    /// The value of `traceparent`, empty where there is none.
    pub(crate) parent: &'a [u8],
}

/// What was said last, and to whom or by whom. Each part is written and read on its own: to read at
/// once what was just written in parts waits for the memory.
struct Word {
    is_question: Cell<bool>,
    is_answer: Cell<bool>,
    whom: [Cell<usize>; 2],
    medium: Cell<Medium>,
    usual: Cell<Usual>,
    start: Cell<*const u8>,
    length: Cell<usize>,
}

impl Word {
    #[inline]
    fn set_whom(&self, whom: Whom) {
        let [address, size] = &self.whom;
        address.set(whom.address);
        size.set(whom.size);
    }

    #[inline]
    fn is_of(&self, whom: Whom) -> bool {
        let [address, size] = &self.whom;
        address.get() == whom.address && size.get() == whom.size
    }

    #[inline]
    fn ask(&self, whom: Whom) {
        self.set_whom(whom);
        self.is_question.set(true);
        self.is_answer.set(false);
    }

    #[inline]
    fn answer(&self, answer: Answer<'_>) {
        self.medium.set(answer.medium);
        self.usual.set(answer.usual);
        self.start.set(answer.parent.as_ptr());
        self.length.set(answer.parent.len());
        self.is_question.set(false);
        self.is_answer.set(true);
    }

    #[inline]
    fn be_silent(&self) {
        self.is_question.set(false);
        self.is_answer.set(false);
    }
}

thread_local! {
    static WORD: Word = const {
        Word {
            is_question: Cell::new(false),
            is_answer: Cell::new(false),
            whom: [const { Cell::new(0) }; 2],
            medium: Cell::new(Medium::Http),
            usual: Cell::new(Usual(0)),
            start: Cell::new(ptr::null()),
            length: Cell::new(0),
        }
    };
}

/// What an extractor says when it is asked.
pub(super) enum Reply<'a> {
    /// It is one of our carriers, and says this.
    Ours(Answer<'a>),
    /// It is another, and these are its values of `traceparent`.
    Other(Option<Vec<&'a str>>),
}

/// Asks an extractor which of the usual names it has.
#[inline]
pub(super) fn ask(extractor: &dyn Extractor) -> Reply<'_> {
    let whom = Whom::of(extractor);
    WORD.with(|word| word.ask(whom));
    let values = extractor.get_all(asked());
    WORD.with(|word| {
        // Whoever was asked may have asked one of ours, which answered for itself.
        if word.is_answer.get() && word.is_of(whom) {
            #[expect(unsafe_code, reason = "to ask for the value by name took 5 of 80 ns")]
            // SAFETY: a carrier of ours has given this slice of what it borrows for its own lifetime, and
            // has done so just now. It stands where the extractor does and is as large, so it is the
            // extractor or all that this consists of: borrowed for as long, and with it its headers.
            let parent = unsafe { slice::from_raw_parts(word.start.get(), word.length.get()) };
            Reply::Ours(Answer { medium: word.medium.get(), usual: word.usual.get(), parent })
        } else {
            word.be_silent();
            Reply::Other(values)
        }
    })
}

/// Answers with what `look` finds, if that is asked of this carrier, and no name; tells whether it is.
#[inline]
pub(crate) fn answer<'a, T>(carrier: &'a T, key: &str, look: impl FnOnce() -> Answer<'a>) -> bool {
    if !ptr::eq(key.as_ptr(), ASKED.as_ptr()) {
        return false;
    }
    let whom = Whom::of(carrier);
    let is_asked = WORD.with(|word| word.is_question.get() && word.is_of(whom));
    if is_asked {
        let answer = look();
        // It is still the one that is asked: to look asks nobody.
        WORD.with(|word| word.answer(answer));
    }
    is_asked
}

#[inline]
fn asked() -> &'static str {
    ASKED.get(..ASKED_BYTES).unwrap_or_default()
}

/// Which of the usual names there are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usual(u8);

impl Usual {
    /// Takes note of a header, and returns the number of its name.
    #[inline]
    pub(crate) fn note(&mut self, name: &[u8]) -> Option<usize> {
        if !matches!(name, [b't' | b'b' | b'x', ..]) {
            return None;
        }
        if let Some(number) = number(name) {
            self.0 |= 1 << number;
            return Some(number);
        }
        if name.starts_with(PREFIX.as_bytes()) {
            self.0 |= MORE;
        }
        None
    }

    /// Takes note of a header whose name may be spelled in any case.
    #[inline]
    pub(super) fn note_any_case(&mut self, name: &[u8]) {
        let may_be = matches!(name, [b't' | b'T' | b'b' | b'B' | b'x' | b'X', ..]);
        if !may_be || self.note(name).is_some() {
            return;
        }
        let is = |known: &str, name: &[u8]| known.as_bytes().eq_ignore_ascii_case(name);
        let is_known = NAMES.into_iter().any(|known| is(known, name));
        if is_known || name.get(..PREFIX.len()).is_some_and(|start| is(PREFIX, start)) {
            self.0 |= MORE;
        }
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

    /// Returns the value of this number, if it was noted.
    ///
    /// # Errors
    ///
    /// Returns an error where what is there cannot be given, as it is no text.
    #[inline]
    pub(super) fn value(
        self,
        number: usize,
        extractor: &dyn Extractor,
    ) -> Result<Option<&[u8]>, NotText> {
        let Some(name) = NAMES.get(number).filter(|_| self.has(number)) else { return Ok(None) };
        extractor.get(name).map(|value| Some(value.as_bytes())).ok_or(NotText)
    }

    /// Tells whether nothing was noted.
    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Tells whether there is a `traceparent`, and nothing else that is looked at beside one.
    #[inline]
    pub(crate) fn is_parent(self) -> bool {
        self.0 == 1
    }

    /// Tells whether one value of each name is all there is.
    #[inline]
    pub(crate) fn is_all(self) -> bool {
        self.0 & MORE == 0
    }
}

/// Tells by its first bytes whether a name may be a usual one; the second is asked for where it counts.
#[inline]
pub(crate) fn may_start_with(first: u8, second: impl FnOnce() -> u8) -> bool {
    match first {
        b't' => second() == b'r',
        b'x' => second() == b'-',
        first => first == b'b',
    }
}

/// Returns the number of a usual name: its length leaves one of them, or two.
#[inline]
pub(crate) fn number(name: &[u8]) -> Option<usize> {
    if name == b"traceparent" {
        return Some(0);
    }
    match name.len() {
        10 if name == b"tracestate" => Some(1),
        10 => (name == b"x-trace-id").then_some(3),
        9 => (name == b"x-span-id").then_some(5),
        8 => (name == b"trace_id").then_some(4),
        7 => (name == b"baggage").then_some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// One of ours, which has these bits and a `traceparent`.
    struct Ours(u8);

    impl Extractor for Ours {
        fn get(&self, key: &str) -> Option<&str> {
            (key == NAMES[0]).then_some(PARENT)
        }

        fn keys(&self) -> Vec<&str> {
            Vec::new()
        }

        fn get_all(&self, key: &str) -> Option<Vec<&str>> {
            let parent = PARENT.as_bytes();
            let all = || Answer { medium: Medium::Kafka, usual: Usual(self.0), parent };
            if answer(self, key, all) {
                return None;
            }
            self.get(key).map(|value| vec![value])
        }
    }

    /// Holds one of ours, and `more` beside it.
    struct Holder<T> {
        ours: Ours,
        more: T,
    }

    impl<T> Extractor for Holder<T> {
        fn get(&self, key: &str) -> Option<&str> {
            self.ours.get(key)
        }

        fn keys(&self) -> Vec<&str> {
            let _ = &self.more;
            self.ours.keys()
        }

        fn get_all(&self, key: &str) -> Option<Vec<&str>> {
            self.ours.get_all(key)
        }
    }

    /// Is of the same size as the one of ours in it, and hides all values.
    struct Hiding(Ours);

    impl Extractor for Hiding {
        fn get(&self, _: &str) -> Option<&str> {
            None
        }

        fn keys(&self) -> Vec<&str> {
            self.0.keys()
        }
    }

    fn others(extractor: &dyn Extractor) -> Option<Vec<&str>> {
        match ask(extractor) {
            Reply::Ours(..) => panic!("it is none of ours"),
            Reply::Other(values) => values,
        }
    }

    #[test]
    fn our_own_carriers_answer() {
        for bits in 0..2 * MORE {
            let carrier = Ours(bits);
            let Reply::Ours(answer) = ask(&carrier) else { panic!("no answer") };
            assert_eq!((answer.medium, answer.usual.0), (Medium::Kafka, bits));
            assert_eq!(answer.parent, PARENT.as_bytes());
        }
    }

    #[test]
    fn one_that_holds_ours_is_asked_for_its_values_as_any_other() {
        assert_eq!(others(&Holder { ours: Ours(1), more: 0_u8 }).unwrap(), [PARENT]);
        assert_eq!(others(&Holder { ours: Ours(1), more: [0; 4] }).unwrap(), [PARENT]);
        assert_eq!(others(&Hiding(Ours(1))), None);
        assert_eq!(others(&std::collections::HashMap::<String, String>::new()), None);
    }

    /// None of ours, and looks into one of ours before it says what it has.
    struct Looking(Ours);

    impl Extractor for Looking {
        fn get(&self, key: &str) -> Option<&str> {
            (key == NAMES[0]).then_some(PARENT)
        }

        fn keys(&self) -> Vec<&str> {
            vec![NAMES[0]]
        }

        fn get_all(&self, key: &str) -> Option<Vec<&str>> {
            let elsewhere = Box::new(Ours(self.0.0));
            assert!(matches!(ask(&*elsewhere), Reply::Ours(..)));
            self.get(key).map(|value| vec![value])
        }
    }

    #[test]
    fn an_answer_to_another_question_does_not_count() {
        for bits in 0..2 * MORE {
            assert_eq!(others(&Looking(Ours(bits))).unwrap(), [PARENT]);
        }
    }

    #[test]
    fn a_name_is_no_question() {
        let ours = Ours(0);
        assert_eq!(ours.get_all(NAMES[0]).unwrap(), [PARENT]);
        // Nor are its own letters, where nobody asks.
        assert_eq!(ours.get_all(asked()).unwrap(), [PARENT]);
        assert_eq!(asked(), NAMES[0]);
    }

    #[test]
    fn the_usual_names_have_their_numbers() {
        for (index, name) in NAMES.into_iter().enumerate() {
            assert_eq!(number(name.as_bytes()), Some(index));
            let mut usual = Usual::default();
            assert_eq!(usual.note(name.as_bytes()), Some(index));
            assert!(usual.has(index) && usual.is_all());
            assert!(may_start_with(name.as_bytes()[0], || name.as_bytes()[1]));
        }
        assert_eq!(number(b"Traceparent"), None);
        assert!(may_start_with(PREFIX.as_bytes()[0], || PREFIX.as_bytes()[1]));
    }

    #[test]
    fn what_is_not_spelled_as_usual_needs_a_closer_look() {
        for name in ["Traceparent", "traceParent", "X-Trace-Id", "x-baggage-a", "X-Baggage-A"] {
            let mut usual = Usual::default();
            usual.note_any_case(name.as_bytes());
            assert!(!usual.is_all(), "{name}");
        }
        for name in ["", "t", "host", "x-request-id", "x-baggage", "\u{e9}"] {
            let mut usual = Usual::default();
            usual.note_any_case(name.as_bytes());
            assert!(usual.is_empty(), "{name}");
        }
    }
}
