//! `tracestate`: what the vendors on the way have to say (W3C Trace Context Level 2).

use std::{fmt, iter, str, sync::Arc};

use super::{plain::Plain, text, trim};
use crate::error::{ErrorKind, ParseError};

/// A list has at most this many members (Trace Context Level 2, "tracestate Header Field Values").
const MAX_MEMBERS: usize = 32;
const MAX_KEY: usize = 256;
const MAX_VALUE: usize = 256;

/// The members of all `tracestate` fields, in order, joined by commas without white space.
///
/// Clones share the text; an empty list has none.
///
/// # Examples
///
/// ```
/// use tracebaton::wire::TraceState;
///
/// let state = TraceState::parse("congo=t61rcWkgMzE , rojo=00f067aa0ba902b7")?;
/// assert_eq!(state.as_str(), "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7");
/// assert_eq!(state.get("rojo"), Some("00f067aa0ba902b7"));
/// # Ok::<(), tracebaton::ParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TraceState(Option<Arc<str>>);

impl TraceState {
    /// Reads one field.
    ///
    /// # Errors
    ///
    /// Returns a [`ParseError`] where a member breaks the grammar or there are more than 32: the
    /// whole list is then to be dropped.
    pub fn parse(field: &str) -> Result<Self, ParseError> {
        Self::parse_fields([field.as_bytes()])
    }

    /// Reads several fields as one list, in order.
    ///
    /// Empty members are left out; of members with the same key the first stays.
    ///
    /// # Errors
    ///
    /// Returns a [`ParseError`] where a member breaks the grammar or there are more than 32.
    pub fn parse_fields<'a>(
        fields: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, ParseError> {
        let mut fields = fields.into_iter();
        let (first, second) = (fields.next(), fields.next());
        if let (Some(first), None) = (first, second)
            && let Some(state) = Self::plain(first)
        {
            return Ok(state);
        }
        let mut keys: Vec<&[u8]> = Vec::new();
        let mut members = 0;
        let mut list = String::new();
        for field in first.into_iter().chain(second).chain(fields) {
            let mut at = 0;
            for member in field.split(|byte| *byte == b',') {
                let start = at;
                at += member.len() + 1;
                let member = trim(member);
                if member.is_empty() {
                    continue;
                }
                members += 1;
                if members > MAX_MEMBERS {
                    return Err(ParseError::new(ErrorKind::TooMany, start));
                }
                let (key, text) = read_member(member, start)?;
                if keys.contains(&key) {
                    continue;
                }
                keys.push(key);
                if !list.is_empty() {
                    list.push(',');
                }
                list.push_str(text);
            }
        }
        Ok(Self::of(&list))
    }

    /// Reads one field that is written as it came, if it is such a one.
    pub(crate) fn plain(field: &[u8]) -> Option<Self> {
        let list = text(field).filter(|_| Plain::TRACESTATE.is_plain(field))?;
        Some(Self(Some(Arc::from(list))))
    }

    /// Shares a list whose members are right.
    fn of(list: &str) -> Self {
        Self((!list.is_empty()).then(|| Arc::from(list)))
    }

    /// Returns the list as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// Tells whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.members().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// Returns keys and values in order.
    pub fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest = self.as_str();
        iter::from_fn(move || {
            let equals = rest.bytes().position(|byte| byte == b'=')?;
            let (key, after) = rest.split_at_checked(equals)?;
            let after = after.get(1..)?;
            let end = after.bytes().position(|byte| byte == b',').unwrap_or(after.len());
            let (value, after) = after.split_at_checked(end)?;
            rest = after.get(1..).unwrap_or_default();
            Some((key, value))
        })
    }

    /// Returns the members whose keys Level 1 knows too, as libraries of today read them: it wants a
    /// letter first, and in keys with an `@` at most 241 and 14 characters around it (Trace Context
    /// Level 1, "tracestate Header Field Values").
    #[must_use]
    pub fn to_level_1(&self) -> Self {
        if self.members().all(|(key, _)| is_level_1_key(key)) {
            return self.clone();
        }
        let known = self.members().filter(|(key, _)| is_level_1_key(key));
        Self::join(known)
    }

    fn join<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let list = members.fold(String::new(), |mut list, (key, value)| {
            if !list.is_empty() {
                list.push(',');
            }
            list.push_str(key);
            list.push('=');
            list.push_str(value);
            list
        });
        Self::of(&list)
    }

    /// Returns the list with this member first, as whoever changes a member must write it
    /// (Trace Context Level 2, "Mutating the tracestate Field"). The last member goes where there
    /// would be 33.
    ///
    /// # Errors
    ///
    /// Returns a [`ParseError`] where key or value break the grammar.
    pub fn with(&self, key: &str, value: &str) -> Result<Self, ParseError> {
        let first = format!("{key}={value}");
        let (read, _) = read_member(first.as_bytes(), 0)?;
        if read != key.as_bytes() {
            return Err(ParseError::new(ErrorKind::BadByte, 0));
        }
        let others = self.members().filter(|(known, _)| *known != key).take(MAX_MEMBERS - 1);
        let list = others.fold(first, |list, (key, value)| format!("{list},{key}={value}"));
        Ok(Self::of(&list))
    }

    /// Returns the list without this member.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        Self::join(self.members().filter(|(known, _)| *known != key))
    }
}

impl str::FromStr for TraceState {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl fmt::Display for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_level_1_key(key: &str) -> bool {
    let starts_with_letter = |text: &str| text.starts_with(|char: char| char.is_ascii_lowercase());
    match key.split_once('@') {
        None => starts_with_letter(key),
        Some((tenant, system)) => {
            !system.contains('@')
                && (1..=241).contains(&tenant.len())
                && system.len() <= 14
                && starts_with_letter(system)
        }
    }
}

/// Reads `key=value`, and returns the key and the whole member.
fn read_member(member: &[u8], at: usize) -> Result<(&[u8], &str), ParseError> {
    let wrong = |kind, offset: usize| ParseError::new(kind, at + offset);
    let equals = member.iter().position(|byte| *byte == b'=');
    let Some((key, [_, value @ ..])) = equals.and_then(|equals| member.split_at_checked(equals))
    else {
        return Err(wrong(ErrorKind::BadByte, member.len()));
    };
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(wrong(ErrorKind::BadLength, 0));
    }
    if value.is_empty() || value.len() > MAX_VALUE {
        return Err(wrong(ErrorKind::BadLength, key.len() + 1));
    }
    let is_first = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_key = |byte: &u8| is_first(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@');
    if !key.first().is_some_and(is_first) {
        return Err(wrong(ErrorKind::BadByte, 0));
    }
    if let Some(bad) = key.iter().position(|byte| !is_key(byte)) {
        return Err(wrong(ErrorKind::BadByte, bad));
    }
    let is_value = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    if let Some(bad) = value.iter().position(|byte| !is_value(byte)) {
        return Err(wrong(ErrorKind::BadByte, key.len() + 1 + bad));
    }
    if value.last() == Some(&b' ') {
        return Err(wrong(ErrorKind::BadByte, member.len() - 1));
    }
    let text = str::from_utf8(member).map_err(|_| wrong(ErrorKind::NotText, 0))?;
    Ok((key, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_member_moves_to_the_front() {
        let state = TraceState::parse("a=1,b=2,c=3").unwrap();
        assert_eq!(state.with("c", "4").unwrap().as_str(), "c=4,a=1,b=2");
        assert!(state.with("C", "4").is_err());
        assert!(state.with("c", "4,d=5").is_err());
        assert!(state.with("c=", "4").is_err());
        assert!(state.with("c", "4 ").is_err());
    }

    #[test]
    fn a_plain_field_is_read_as_any_other() {
        let long = "k".repeat(257);
        let (long_key, long_value) = (format!("{long}=1"), format!("a={long}"));
        let fields = [
            "a=1",
            "a=",
            "a=1,b=2",
            "a=1,a=2",
            "a=1,",
            ",a=1",
            "a",
            "a=b=c",
            " a=1",
            "a=1 ",
            "@a=1",
            &long_key,
            &long_value,
        ];
        for field in fields.map(str::as_bytes) {
            assert_eq!(TraceState::parse_fields([field]), TraceState::parse_fields([field, b""]));
        }
        for byte in 0..=u8::MAX {
            for field in [
                [b'k', byte, b'=', b'v'],
                [b'k', b'=', byte, b'v'],
                [byte, b'k', b'=', b'v'],
                [b'k', b'=', b'v', byte],
            ] {
                let (short, long) = ([&field[..]], [&field, &b""[..]]);
                assert_eq!(TraceState::parse_fields(short), TraceState::parse_fields(long));
            }
        }
    }

    #[test]
    fn level_1_is_given_the_keys_it_knows() {
        let state = TraceState::parse("a=1,1b=2,c@@d=3,4@e=5,f@7=8,g@=9,h=10").unwrap();
        assert_eq!(state.to_level_1().as_str(), "a=1,4@e=5,h=10");
    }

    #[test]
    fn a_full_list_stays_full() {
        let list: Vec<String> = (0..32).map(|n| format!("k{n}=1")).collect();
        let state = TraceState::parse(&list.join(",")).unwrap();
        let state = state.with("new", "1").unwrap();
        assert_eq!(state.members().count(), 32);
        assert_eq!(state.get("k31"), None);
        assert_eq!(TraceState::parse(state.as_str()).unwrap(), state);
    }
}
