//! One look at all headers: the names that mean something, picked out of those that are there.

use std::borrow::Cow;

use super::{Carrier, Medium};

/// Searches of as many names need no memory of their own.
const FEW: usize = 8;

/// The names that are looked for, each with the slot its values go to, and the starts of names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    known: Vec<Known>,
    prefixes: Vec<Cow<'static, str>>,
    slots: usize,
    /// The bit of a length is set where a name has it; the last stands for all that are longer.
    lengths: u64,
    /// The bit of a first letter is set where a name has it.
    letters: u64,
    /// … or a start of names.
    prefix_letters: u64,
    /// The bit of two first letters is set where a name has them, or a start of names.
    starts: u64,
}

#[derive(Clone, Debug)]
struct Known {
    /// Lower case.
    name: Cow<'static, str>,
    hint: u32,
    slots: Vec<usize>,
}

/// Returns what two names have in common where they are the same but for their case.
fn hint(name: &[u8]) -> u32 {
    let first = name.first().map_or(0, |byte| byte | 0x20);
    (name.len() as u32) << 8 | u32::from(first)
}

fn length_bit(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}

/// Returns the bit of a name's first letter, whatever its case.
fn letter_bit(name: &[u8]) -> u64 {
    name.first().map_or(1, |byte| 1 << (byte & 0x1f))
}

/// Returns the bit of a name's first two letters, whatever their case; of an only one the second is zero.
#[inline]
fn start_bit(first: u8, second: u8) -> u64 {
    1 << ((first & 0x1f) ^ (second & 0x1f) << 1)
}

/// Returns the bits of all names that start so.
fn start_bits(prefix: &[u8]) -> u64 {
    match prefix {
        [] => u64::MAX,
        [first] => (0..0x20).fold(0, |bits, second| bits | start_bit(*first, second)),
        [first, second, ..] => start_bit(*first, *second),
    }
}

impl Names {
    /// Looks for a name, given in lower case; its values go to `slot`.
    pub(crate) fn add(&mut self, slot: usize, name: Cow<'static, str>) {
        self.lengths |= length_bit(name.as_bytes());
        self.letters |= letter_bit(name.as_bytes());
        let letter = |at| name.as_bytes().get(at).copied().unwrap_or_default();
        self.starts |= start_bit(letter(0), letter(1));
        self.slots = self.slots.max(slot + 1);
        match self.known.iter_mut().find(|known| known.name == name) {
            Some(known) => known.slots.push(slot),
            None => {
                self.known.push(Known { hint: hint(name.as_bytes()), name, slots: vec![slot] });
            }
        }
    }

    /// Looks for names that start so, given in lower case; returns the number of the prefix.
    pub(crate) fn add_prefix(&mut self, prefix: Cow<'static, str>) -> usize {
        // Every name starts with nothing.
        let letters = if prefix.is_empty() { u64::MAX } else { letter_bit(prefix.as_bytes()) };
        self.prefix_letters |= letters;
        self.starts |= start_bits(prefix.as_bytes());
        self.prefixes.push(prefix);
        self.prefixes.len() - 1
    }

    /// Tells whether these names in this order, and this start of names, are all that is looked for.
    #[cfg(feature = "otel")]
    pub(crate) fn are(&self, names: &[&str], prefix: &str) -> bool {
        let known = self.known.iter().map(|known| &*known.name);
        known.eq(names.iter().copied()) && self.prefixes.iter().eq([prefix])
    }

    /// Tells whether a name, spelled as it is here, is looked for.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.known.iter().any(|known| known.name == name)
            || self.prefixes.iter().any(|prefix| name.starts_with(&**prefix))
    }

    /// Tells whether a name may be one that is looked for, whatever its case: most of others are not, by
    /// their first letter or their length.
    #[inline(always)]
    fn may_have(&self, name: &[u8]) -> bool {
        let letter = letter_bit(name);
        let is_known = self.letters & letter != 0 && self.lengths & length_bit(name) != 0;
        is_known || self.prefix_letters & letter != 0
    }

    /// Searches the headers of a carrier, and gives what was found to `then`.
    #[inline]
    pub(crate) fn search<'a, T>(
        &self,
        carrier: &'a dyn Carrier,
        then: impl FnOnce(&Search<'_, 'a>) -> T,
    ) -> T {
        let mut few = [Slot::default(); FEW];
        let mut many = Vec::new();
        let slots = match few.get_mut(..self.slots) {
            Some(slots) => slots,
            None => {
                many.resize(self.slots, Slot::default());
                &mut many
            }
        };
        let medium = carrier.medium();
        let mut search =
            Search { names: self, medium, slots, earlier: Vec::new(), prefixed: Vec::new() };
        carrier.search(&mut search);
        then(&search)
    }
}

/// What stands under one name.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot<'a> {
    /// How many headers there are.
    pub(crate) count: u32,
    /// The value of the last one.
    pub(crate) last: Option<&'a [u8]>,
}

/// The number of the prefix, the rest of the name, and the value.
type Prefixed<'a> = (usize, &'a [u8], Option<&'a [u8]>);

/// A search for the names that mean something, among headers that are offered to it.
///
/// # Examples
///
/// A carrier that only has to look through its headers:
///
/// ```
/// use tracebaton::{Propagation, carrier::{Carrier, Medium, Search}};
///
/// struct Pairs<'a>(&'a [(&'a str, &'a str)]);
///
/// impl Carrier for Pairs<'_> {
///     fn medium(&self) -> Medium {
///         Medium::Http
///     }
///
///     fn search<'a>(&'a self, search: &mut Search<'_, 'a>) {
///         for (name, value) in self.0 {
///             search.offer(name.as_bytes(), Some(value.as_bytes()));
///         }
///     }
/// }
///
/// let headers = [("Host", "shop.example"), ("X-Trace-Id", "order-1234")];
/// let baton = Propagation::default().extract_baton(&Pairs(&headers));
/// assert_eq!(baton.legacy_text(), Some("order-1234"));
/// ```
#[derive(Debug)]
pub struct Search<'n, 'a> {
    names: &'n Names,
    medium: Medium,
    slots: &'n mut [Slot<'a>],
    /// The values that came before the last of a name, in HTTP, where several may be one list.
    earlier: Vec<(usize, Option<&'a [u8]>)>,
    prefixed: Vec<Prefixed<'a>>,
}

impl<'n, 'a> Search<'n, 'a> {
    /// Takes a header, if its name is one of those that are looked for; a header without a value has
    /// `None`. Names are compared without case in HTTP and exactly elsewhere.
    #[inline(always)]
    pub fn offer(&mut self, name: &'a [u8], value: Option<&'a [u8]>) {
        if self.names.may_have(name) {
            self.take(name, value);
        }
    }

    fn take(&mut self, name: &'a [u8], value: Option<&'a [u8]>) {
        if let Some((number, _)) = self.known(name) {
            self.answer(number, value);
        }
        if self.names.prefix_letters & letter_bit(name) != 0 {
            self.take_prefixed(name, value);
        }
    }

    #[inline(never)]
    fn take_prefixed(&mut self, name: &'a [u8], value: Option<&'a [u8]>) {
        for (index, prefix) in self.names.prefixes.iter().enumerate() {
            if let Some(rest) = self.rest(prefix, name) {
                self.prefixed.push((index, rest, value));
            }
        }
    }

    /// Forgets what was offered so far: for carriers that find on their way that they cannot be read so.
    /// What is made of this search is what is made of no headers.
    pub fn give_up(&mut self) {
        self.slots.fill(Slot::default());
        self.earlier.clear();
        self.prefixed.clear();
    }

    /// Returns the names that are looked for, in lower case, each with its number for
    /// [`Search::answer`]: for carriers that can only be asked.
    pub fn names(&self) -> impl Iterator<Item = (usize, &'n str)> + use<'n> {
        self.names.known.iter().enumerate().map(|(number, known)| (number, &*known.name))
    }

    /// Takes a value of the name that has this number.
    #[inline]
    pub fn answer(&mut self, number: usize, value: Option<&'a [u8]>) {
        let Some(known) = self.names.known.get(number) else { return };
        for slot in &known.slots {
            let Some(place) = self.slots.get_mut(*slot) else { continue };
            if place.count > 0 && self.medium == Medium::Http {
                self.earlier.push((*slot, place.last));
            }
            place.count = place.count.saturating_add(1);
            place.last = value;
        }
    }

    /// Tells whether there is more to look for than [`Search::names`]: names that start in some way.
    #[must_use]
    pub fn has_prefixes(&self) -> bool {
        !self.names.prefixes.is_empty()
    }

    /// Takes the values of a name that starts as one that is looked for, as baggage does that has a
    /// header for each pair: for carriers that can only be asked and tell their names.
    pub fn offer_prefixed(&mut self, name: &'a [u8], values: impl Fn() -> Vec<Option<&'a [u8]>>) {
        for (index, prefix) in self.names.prefixes.iter().enumerate() {
            if let Some(rest) = self.rest(prefix, name) {
                self.prefixed.extend(values().into_iter().map(|value| (index, rest, value)));
            }
        }
    }

    /// Returns the name that is looked for and is the same as this one, and its number.
    #[inline]
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<(usize, &'n str)> {
        if self.names.may_have(name) { self.known(name) } else { None }
    }

    #[inline]
    fn known(&self, name: &[u8]) -> Option<(usize, &'n str)> {
        let hint = hint(name);
        let mut known = self.names.known.iter().enumerate();
        let is_it = |known: &Known| known.hint == hint && self.is_same(&known.name, name);
        known.find(|(_, known)| is_it(known)).map(|(number, known)| (number, &*known.name))
    }

    /// Tells whether the name that has this number has an answer already.
    #[must_use]
    pub fn is_answered(&self, number: usize) -> bool {
        let slot = self.names.known.get(number).and_then(|known| known.slots.first());
        slot.is_some_and(|slot| self.slot(*slot).count > 0)
    }

    /// Tells whether a name that begins with these two bytes may be looked for; a name of one byte has
    /// zero after it. Whoever has to measure names need not measure all of them.
    #[cfg(feature = "kafka")]
    #[inline]
    pub(crate) fn may_start_with(&self, first: u8, second: u8) -> bool {
        self.names.starts & start_bit(first, second) != 0
    }

    pub(crate) fn medium(&self) -> Medium {
        self.medium
    }

    /// Returns what stands in a slot.
    pub(crate) fn slot(&self, slot: usize) -> Slot<'a> {
        self.slots.get(slot).copied().unwrap_or_default()
    }

    /// Returns the values of a slot whose fields are one list in HTTP; elsewhere the last counts.
    pub(crate) fn values(&self, slot: usize) -> impl Iterator<Item = &'a [u8]> {
        let earlier = self.earlier.iter().filter(move |(known, _)| *known == slot);
        earlier.filter_map(|(_, value)| *value).chain(self.slot(slot).last)
    }

    /// Tells whether there is a header whose name starts as one that is looked for.
    pub(crate) fn has_prefixed(&self) -> bool {
        !self.prefixed.is_empty()
    }

    /// Returns the rest of the name and the value of every header whose name starts so.
    pub(crate) fn prefixed(
        &self,
        prefix: usize,
    ) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let headers = self.prefixed.iter().filter(move |(known, ..)| *known == prefix);
        headers.map(|(_, rest, value)| (*rest, *value))
    }

    #[inline]
    fn is_same(&self, known: &str, name: &[u8]) -> bool {
        known.as_bytes() == name
            || self.medium == Medium::Http && name.eq_ignore_ascii_case(known.as_bytes())
    }

    #[inline]
    fn rest(&self, prefix: &str, name: &'a [u8]) -> Option<&'a [u8]> {
        let (start, rest) = name.split_at_checked(prefix.len())?;
        let is_it = hint(start) == hint(prefix.as_bytes()) && self.is_same(prefix, start);
        is_it.then_some(rest)
    }
}

#[cfg(all(test, feature = "kafka"))]
mod tests {
    use super::*;
    use crate::carrier::List;

    #[test]
    fn the_first_two_letters_leave_out_no_name_that_is_looked_for() {
        let offered = ["", "a", "ab", "abc", "A", "aB", "AbC", "-", "-1", "b", "ba"];
        for medium in [Medium::Http, Medium::Kafka] {
            let is_same =
                |a: &str, b: &str| a == b || medium == Medium::Http && a.eq_ignore_ascii_case(b);
            for known in ["", "a", "ab", "abc", "-", "-1"] {
                for name in offered {
                    let list = List::new(medium, [(name, Some("1"))]);
                    let mut names = Names::default();
                    names.add(0, known.into());
                    let count = names.search(&list, |found| found.slot(0).count);
                    assert_eq!(count == 1, is_same(known, name), "{known} {name}");
                    let mut starts = Names::default();
                    starts.add_prefix(known.into());
                    let has = starts.search(&list, |found| found.has_prefixed());
                    let start = |at| name.as_bytes().get(at).copied().unwrap_or_default();
                    let may_be = |names: &Names| {
                        names.search(&list, |found| found.may_start_with(start(0), start(1)))
                    };
                    assert!((count == 0 || may_be(&names)) && (!has || may_be(&starts)));
                    let is_start = name.get(..known.len()).is_some_and(|it| is_same(known, it));
                    assert_eq!(has, is_start, "{known} {name}");
                }
            }
        }
    }
}
