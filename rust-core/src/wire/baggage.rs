//! `baggage`: key and value pairs that travel with a request (W3C Baggage).

use std::str;

use super::text::{percent_decode, trim};

/// All members together have at most this many bytes ("Limits").
const MAX_BYTES: usize = 8192;
/// At most this many members are taken.
const MAX_ENTRIES: usize = 180;

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
/// # Examples
///
/// ```
/// use tracebaton::wire::Baggage;
///
/// let baggage = Baggage::parse("userId=Am%C3%A9lie, isProduction = false;sticky");
/// assert_eq!(baggage.get("userId"), Some("Amélie"));
/// assert_eq!(baggage.to_header(), "userId=Am%C3%A9lie,isProduction=false;sticky");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Baggage(Vec<BaggageEntry>);

impl Baggage {
    /// Reads one field. Members that break the grammar are left out.
    #[must_use]
    pub fn parse(field: &str) -> Self {
        Self::parse_fields([field.as_bytes()])
    }

    /// Reads several fields as one list.
    ///
    /// Members that break the grammar, and those that no longer fit into 8,192 bytes or 180 members,
    /// are left out, always whole. Of members with the same key the last stays, in the first's place.
    #[must_use]
    pub fn parse_fields<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut baggage = Self::default();
        let mut bytes = 0;
        for field in fields {
            for member in field.split(|byte| *byte == b',').map(trim) {
                let with_comma = member.len() + usize::from(bytes > 0);
                if member.is_empty() || bytes + with_comma > MAX_BYTES {
                    continue;
                }
                if let Some(entry) = read_member(member)
                    && baggage.put(entry)
                {
                    bytes += with_comma;
                }
            }
        }
        baggage
    }

    /// Returns the pairs in order.
    #[must_use]
    pub fn entries(&self) -> &[BaggageEntry] {
        &self.0
    }

    /// Tells whether there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    }

    /// Sets a pair; tells whether the key is a token and there is room for it.
    pub fn set(&mut self, key: &str, value: &str) -> bool {
        is_token(key.as_bytes())
            && self.put(BaggageEntry { key: key.into(), value: value.into(), properties: None })
    }

    /// Keeps the pairs whose key passes.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|entry| keep(&entry.key));
    }

    fn put(&mut self, entry: BaggageEntry) -> bool {
        let is_full = self.0.len() >= MAX_ENTRIES;
        match self.0.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => *known = entry,
            None if is_full => return false,
            None => self.0.push(entry),
        }
        true
    }

    /// Writes the field: values percent-encoded, properties as they came, at most 8,192 bytes.
    #[must_use]
    pub fn to_header(&self) -> String {
        let mut header = String::new();
        let mut member = String::new();
        for entry in &self.0 {
            member.clear();
            member.push_str(&entry.key);
            member.push('=');
            encode(&entry.value, &mut member);
            if let Some(properties) = &entry.properties {
                member.push(';');
                member.push_str(properties);
            }
            let with_comma = member.len() + usize::from(!header.is_empty());
            if header.len() + with_comma <= MAX_BYTES {
                if !header.is_empty() {
                    header.push(',');
                }
                header.push_str(&member);
            }
        }
        header
    }
}

fn read_member(member: &[u8]) -> Option<BaggageEntry> {
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
fn is_token(text: &[u8]) -> bool {
    let is_char = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_char)
}

/// `baggage-octet`: visible US-ASCII without `"`, `,`, `;` and `\`.
fn is_octet(byte: &u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

/// Decodes percent-encoding; bytes that are not UTF-8 become U+FFFD, a stray `%` is an error.
fn decode(value: &[u8]) -> Option<String> {
    if !value.contains(&b'%') {
        return str::from_utf8(value).ok().map(str::to_owned);
    }
    let bytes = percent_decode(value)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn encode(value: &str, out: &mut String) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    for byte in value.bytes() {
        if is_octet(&byte) && byte != b'%' {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend(DIGITS.get(usize::from(byte >> 4)));
            out.extend(DIGITS.get(usize::from(byte & 15)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut baggage = Baggage::default();
        assert!(baggage.set("k", " ,;\"\\%é\u{1b}"));
        assert!(!baggage.set("not a token", "x"));
        let header = baggage.to_header();
        assert!(header.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(Baggage::parse(&header), baggage);
    }

    #[test]
    fn a_stray_percent_drops_its_member_only() {
        let baggage = Baggage::parse("a=1,bad=va%lue,b=2");
        assert_eq!(baggage.to_header(), "a=1,b=2");
    }
}
