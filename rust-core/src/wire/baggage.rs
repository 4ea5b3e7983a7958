//! `baggage`: key and value pairs that travel with a request (W3C Baggage).

use std::{
    fmt,
    hash::{Hash, Hasher},
    str,
    sync::{Arc, OnceLock},
};

use super::{
    plain::Plain,
    text::{encoded_len, is_octet, percent_decode, percent_encode, text, trim},
};
use crate::error::ErrorKind;

/// All members together have at most this many bytes ("Limits").
const MAX_BYTES: usize = 8192;
/// At most this many members are taken.
const MAX_ENTRIES: usize = 180;
/// No more bytes than these are looked at, so that a field of any length costs little.
const MAX_BYTES_READ: usize = 8 * MAX_BYTES;

/// One pair, and the properties that go with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaggageEntry {
    /// The key: a token, case-sensitive, never percent-decoded.
    pub key: String,
    /// The value, decoded.
    pub value: String,
    /// The properties as they came, without the white space around them.
    pub properties: Option<String>,
}

/// Key and value pairs that travel with a request.
///
/// Clones share the pairs; without a pair there is nothing to share.
///
/// # Examples
///
/// ```
/// use tracebaton::wire::Baggage;
///
/// let baggage = Baggage::parse("userId=Am%C3%A9lie, isProduction = false;sticky");
/// assert_eq!(baggage.get("userId"), Some("Amélie"));
/// assert_eq!(baggage.to_header(), "userId=Am%C3%A9lie,isProduction=false;sticky");
/// ```
#[derive(Clone, Default)]
pub struct Baggage(Option<Arc<Held>>);

/// A field that is kept as it came, or pairs; the other is made of it when somebody asks.
#[derive(Default)]
struct Held {
    field: Option<Box<str>>,
    pairs: OnceLock<Pairs>,
    header: OnceLock<Box<str>>,
}

/// The pairs, and how long the field is that holds them; never more than [`MAX_BYTES`].
#[derive(Clone, Default)]
struct Pairs {
    entries: Vec<BaggageEntry>,
    bytes: usize,
}

impl Baggage {
    /// Reads one field. Members that break the grammar are left out.
    #[must_use]
    pub fn parse(field: &str) -> Self {
        Self::read_fields([field.as_bytes()]).0
    }

    /// Reads several fields as one list, and says why members were left out, if any were.
    ///
    /// Members that break the grammar, and those that no longer fit into 8,192 bytes or 180 members,
    /// are left out, always whole. Of members with the same key the last stays, in the first's place.
    #[must_use]
    pub fn read_fields<'a>(
        fields: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Self, Option<ErrorKind>) {
        let mut fields = fields.into_iter();
        let (first, second) = (fields.next(), fields.next());
        if let (Some(first), None) = (first, second)
            && let Some(baggage) = Self::plain(first)
        {
            return (baggage, None);
        }
        let mut pairs = Pairs::default();
        let mut left_out = None;
        let mut bytes_read = 0;
        let fields = first.into_iter().chain(second).chain(fields);
        let members = fields.flat_map(|field| field.split(|byte| *byte == b','));
        for member in members {
            bytes_read += member.len() + 1;
            if bytes_read > MAX_BYTES_READ {
                left_out.get_or_insert(ErrorKind::TooMany);
                break;
            }
            let member = trim(member);
            if member.is_empty() {
                continue;
            }
            if let Err(kind) = read_member(member).and_then(|entry| pairs.put(entry)) {
                left_out.get_or_insert(kind);
            }
        }
        (Self::of(pairs), left_out)
    }

    /// Reads one field that is written as it came, if it is such a one.
    pub(crate) fn plain(field: &[u8]) -> Option<Self> {
        let is_plain = field.len() <= MAX_BYTES && Plain::BAGGAGE.is_plain(field);
        let field = Some(Box::from(text(field).filter(|_| is_plain)?));
        Some(Self(Some(Arc::new(Held { field, ..Held::default() }))))
    }

    /// Returns the pairs in order.
    #[must_use]
    pub fn entries(&self) -> &[BaggageEntry] {
        self.0.as_ref().map_or(&[], |held| &held.pairs().entries)
    }

    /// Calls `with` with key, value and properties of each pair, in order.
    #[cfg(feature = "otel")]
    pub(crate) fn for_each(&self, mut with: impl FnMut(&str, &str, &str)) {
        let Some(held) = &self.0 else { return };
        if let (None, Some(field)) = (held.pairs.get(), &held.field) {
            // A field that is kept as it came is plain: there is nothing in it to decode.
            let members = field.split(',').filter_map(|member| member.split_once('='));
            members.for_each(|(key, value)| with(key, value, ""));
            return;
        }
        for BaggageEntry { key, value, properties } in &held.pairs().entries {
            with(key, value, properties.as_deref().unwrap_or_default());
        }
    }

    /// Tells whether there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    }

    /// Sets a pair.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::BadByte`] where the key is not a token, and [`ErrorKind::TooMany`] where
    /// there is no room for it.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ErrorKind> {
        if !is_token(key.as_bytes()) {
            return Err(ErrorKind::BadByte);
        }
        let entry = BaggageEntry { key: key.into(), value: value.into(), properties: None };
        self.change(|pairs| pairs.put(entry))
    }

    /// Adds the pairs whose keys are not there yet.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::TooMany`] where there was no room for all.
    pub fn add(&mut self, others: Self) -> Result<(), ErrorKind> {
        if others.is_empty() {
            return Ok(());
        }
        self.change(|pairs| {
            let mut added = Ok(());
            for entry in others.entries() {
                if pairs.entries.iter().all(|known| known.key != entry.key) {
                    added = added.and(pairs.put(entry.clone()));
                }
            }
            added
        })
    }

    /// Keeps the pairs whose key passes.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        if !self.is_empty() {
            self.change(|pairs| {
                pairs.entries.retain(|entry| keep(&entry.key));
                let members: usize = pairs.entries.iter().map(BaggageEntry::encoded_len).sum();
                pairs.bytes = members + pairs.entries.len().saturating_sub(1);
            });
        }
    }

    /// Writes the field: values percent-encoded, properties as they came, at most 8,192 bytes.
    #[must_use]
    pub fn to_header(&self) -> String {
        self.header().to_owned()
    }

    /// Returns the field as [`Baggage::to_header`] writes it.
    pub(crate) fn header(&self) -> &str {
        self.0.as_ref().map_or("", |held| held.header())
    }

    fn of(pairs: Pairs) -> Self {
        let held = |pairs| Held { pairs: OnceLock::from(pairs), ..Held::default() };
        Self((!pairs.entries.is_empty()).then(|| Arc::new(held(pairs))))
    }

    fn change<T>(&mut self, change: impl FnOnce(&mut Pairs) -> T) -> T {
        let mut pairs = match self.0.take().map(Arc::try_unwrap) {
            Some(Ok(mut own)) => {
                own.pairs();
                own.pairs.take().unwrap_or_default()
            }
            Some(Err(shared)) => shared.pairs().clone(),
            None => Pairs::default(),
        };
        let changed = change(&mut pairs);
        *self = Self::of(pairs);
        changed
    }
}

impl PartialEq for Baggage {
    /// A field has one meaning, and pairs have one field.
    fn eq(&self, other: &Self) -> bool {
        self.header() == other.header()
    }
}

impl Eq for Baggage {}

impl Hash for Baggage {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.header().hash(state);
    }
}

impl fmt::Debug for Baggage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Baggage").field(&self.header()).finish()
    }
}

impl Held {
    fn pairs(&self) -> &Pairs {
        self.pairs.get_or_init(|| {
            let field = self.field.as_deref().unwrap_or_default().as_bytes();
            let mut pairs = Pairs::default();
            for member in field.split(|byte| *byte == b',') {
                // The field was looked at when it came: every member is right and fits.
                let _ = read_member(member).and_then(|entry| pairs.put(entry));
            }
            pairs
        })
    }

    fn header(&self) -> &str {
        let written = || self.pairs.get().map(Pairs::to_header).unwrap_or_default();
        self.field.as_deref().unwrap_or_else(|| self.header.get_or_init(written))
    }
}

impl Pairs {
    fn put(&mut self, entry: BaggageEntry) -> Result<(), ErrorKind> {
        let is_full = self.entries.len() >= MAX_ENTRIES;
        let comma = usize::from(!self.entries.is_empty());
        let known = self.entries.iter_mut().find(|known| known.key == entry.key);
        let others = match &known {
            Some(known) => self.bytes - known.encoded_len(),
            None => self.bytes + comma,
        };
        let bytes = others + entry.encoded_len();
        if bytes > MAX_BYTES || known.is_none() && is_full {
            return Err(ErrorKind::TooMany);
        }
        self.bytes = bytes;
        match known {
            Some(known) => *known = entry,
            None => self.entries.push(entry),
        }
        Ok(())
    }

    fn to_header(&self) -> Box<str> {
        let mut header = String::with_capacity(self.bytes);
        for entry in &self.entries {
            if !header.is_empty() {
                header.push(',');
            }
            header.push_str(&entry.key);
            header.push('=');
            percent_encode(&entry.value, &mut header);
            if let Some(properties) = &entry.properties {
                header.push(';');
                header.push_str(properties);
            }
        }
        header.into_boxed_str()
    }
}

impl BaggageEntry {
    /// Returns how long the pair is as it is written.
    fn encoded_len(&self) -> usize {
        let properties = self.properties.as_ref().map_or(0, |text| text.len() + 1);
        self.key.len() + 1 + encoded_len(&self.value) + properties
    }
}

fn read_member(member: &[u8]) -> Result<BaggageEntry, ErrorKind> {
    read_pair(member).ok_or(ErrorKind::BadByte)
}

fn read_pair(member: &[u8]) -> Option<BaggageEntry> {
    let semicolon = member.iter().position(|byte| *byte == b';');
    let (pair, properties) = match semicolon {
        Some(at) => member.split_at_checked(at)?,
        None => (member, &[][..]),
    };
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    let (key, value) = pair.split_at_checked(equals)?;
    let (key, value) = (trim(key), trim(value.get(1..)?));
    if !is_token(key) || !value.iter().all(is_octet) {
        return None;
    }
    let properties = match properties.split_first() {
        Some((_, rest)) => read_properties(rest)?,
        None => None,
    };
    Some(BaggageEntry {
        key: str::from_utf8(key).ok()?.to_owned(),
        value: decode(value)?,
        properties,
    })
}

/// Reads the properties: kept as they are, without the white space that may stand around them.
fn read_properties(text: &[u8]) -> Option<Option<String>> {
    let mut out = String::new();
    for property in text.split(|byte| *byte == b';').map(trim).filter(|text| !text.is_empty()) {
        let equals = property.iter().position(|byte| *byte == b'=');
        let (key, value) = match equals {
            Some(at) => property.split_at_checked(at).map(|(key, value)| (key, Some(value)))?,
            None => (property, None),
        };
        if !is_token(trim(key)) {
            return None;
        }
        if !out.is_empty() {
            out.push(';');
        }
        out.push_str(str::from_utf8(trim(key)).ok()?);
        if let Some(value) = value {
            let value = trim(value.get(1..)?);
            if !value.iter().all(is_octet) {
                return None;
            }
            out.push('=');
            out.push_str(str::from_utf8(value).ok()?);
        }
    }
    Some((!out.is_empty()).then_some(out))
}

/// RFC 9110 section 5.6.2, `token`.
pub(crate) fn is_token(text: &[u8]) -> bool {
    let is_char = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_char)
}

/// Decodes percent-encoding; bytes that are not UTF-8 become U+FFFD, a stray `%` is an error.
fn decode(value: &[u8]) -> Option<String> {
    if !value.contains(&b'%') {
        return str::from_utf8(value).ok().map(str::to_owned);
    }
    let bytes = percent_decode(value)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut baggage = Baggage::default();
        baggage.set("k", " ,;\"\\%é\u{1b}").unwrap();
        assert_eq!(baggage.set("not a token", "x"), Err(ErrorKind::BadByte));
        let header = baggage.to_header();
        assert!(header.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(Baggage::parse(&header), baggage);
    }

    #[test]
    fn a_plain_field_is_read_as_any_other() {
        let fields = [
            "a=1", "a=", "a=1,b=2", "a=1,a=2", "a=1,", "=1", "a", "a=b=c", "a=1;p", "é=1", "a=%41",
            "a= 1",
        ];
        for field in fields.map(str::as_bytes) {
            // An empty field after it makes it one of several.
            let long = Baggage::read_fields([field, b""]);
            let short = Baggage::read_fields([field]);
            assert_eq!(short, long, "{field:?}");
            assert_eq!(short.0.entries(), long.0.entries(), "{field:?}");
        }
        for byte in 0..=u8::MAX {
            for field in
                [[b'k', byte, b'=', b'v'], [b'k', b'=', byte, b'v'], [byte, b'k', b'=', b'v']]
            {
                assert_eq!(
                    Baggage::read_fields([&field[..]]),
                    Baggage::read_fields([&field, &b""[..]])
                );
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let field = (0..400).map(|n| format!("k{n}=1")).collect::<Vec<_>>().join(",");
        let (baggage, left_out) = Baggage::read_fields([field.as_bytes()]);
        assert_eq!((baggage.entries().len(), left_out), (180, Some(ErrorKind::TooMany)));

        let long = "v".repeat(8000);
        let field = format!("a={long},b={long},c=1");
        let mut baggage = Baggage::parse(&field);
        assert_eq!((baggage.get("b"), baggage.get("c")), (None, Some("1")));
        assert_eq!(baggage.set("d", &long), Err(ErrorKind::TooMany));
        assert_eq!(baggage.to_header().len(), "a=,c=1".len() + 8000);
        baggage.retain(|key| key == "c");
        assert_eq!(baggage.set("d", &long), Ok(()));
    }

    #[test]
    fn a_stray_percent_drops_its_member_only() {
        let baggage = Baggage::parse("a=1,bad=va%lue,b=2");
        assert_eq!(baggage.to_header(), "a=1,b=2");
    }
}
