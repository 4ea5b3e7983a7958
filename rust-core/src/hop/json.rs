//! Values as JSON, fit for a terminal too.

use std::fmt::Write;

use super::value::Value;

/// Appends a value.
pub(super) fn value(value: &Value<'_>, out: &mut String) {
    match value {
        Value::Text(inner) => text(inner, out),
        Value::Int(number) => integer(*number, out),
        // JSON has no words for infinities and NaN (RFC 8259, section 6).
        Value::Double(number) if !number.is_finite() => text(&number.to_string(), out),
        Value::Double(number) => {
            let _ = write!(out, "{number}");
        }
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Bytes(bytes) => {
            out.push('"');
            for byte in bytes.iter() {
                let _ = write!(out, "{byte:02x}");
            }
            out.push('"');
        }
    }
}

/// Appends a whole number.
fn integer(number: i64, out: &mut String) {
    let (mut digits, mut rest) = ([0; 20], number.unsigned_abs());
    let mut length = 0;
    for place in digits.iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
        length += 1;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push('-');
    }
    push_ascii(digits.get(digits.len() - length..).unwrap_or_default(), out);
}

/// Appends bytes that are ASCII.
#[inline]
pub(super) fn push_ascii(bytes: &[u8], out: &mut String) {
    out.push_str(crate::wire::text(bytes).unwrap_or_default());
}

/// Appends a text in quotes.
#[inline]
pub(super) fn text(text: &str, out: &mut String) {
    out.push('"');
    escape(text, out);
    out.push('"');
}

/// Appends a text; what RFC 8259 section 7 demands is escaped, and C1 and DEL too: log lines end up
/// in terminals.
#[inline]
pub(super) fn escape(text: &str, out: &mut String) {
    if is_plain(text.as_bytes()) {
        out.push_str(text);
    } else {
        escape_special(text, out);
    }
}

fn escape_special(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(may_need_escape) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = special.chars();
        match chars.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) if control.is_control() => {
                let _ = write!(out, "\\u{:04x}", control as u32);
            }
            other => out.extend(other),
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}

/// Tells whether a character that starts with this byte may need an escape; those of C1 start with
/// `C2` in UTF-8.
const fn may_need_escape(byte: u8) -> bool {
    matches!(byte, 0..b' ' | b'"' | b'\\' | 0x7f | 0xc2)
}

/// Tells whether no byte needs an escape; most texts are so, and are looked at eight bytes at a time.
fn is_plain(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().all(|word| is_plain_word(u64::from_le_bytes(*word)))
        && !rest.iter().copied().any(may_need_escape)
}

/// Tells whether each of eight bytes is in ASCII and needs no escape. Any other byte makes it false;
/// so may, at worst, one that follows it.
const fn is_plain_word(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES << 7;
    // Subtracting borrows from the high bit of a byte that is less.
    let below_space = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let delete = (word ^ (ONES * 0x7f)).wrapping_sub(ONES);
    (word | below_space | quote | backslash | delete) & HIGH == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn texts_are_escaped_as_serde_does_it_and_c1_too() {
        for plain in ["", "a", "\"", "a\\\n\r\t\u{0}\u{1f}b", "gr\u{fc}\u{df}e \u{a9} \u{1f600}"] {
            let line = written(|out| text(plain, out));
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), plain);
        }
        let line = written(|out| text("\u{7f}\u{80}\u{9f}\u{a0}", out));
        assert_eq!(line, "\"\\u007f\\u0080\\u009f\u{a0}\"");
    }

    #[test]
    fn every_character_is_escaped_wherever_it_stands() {
        for char in (0..0x180).filter_map(char::from_u32) {
            for at in 0..10 {
                let plain = format!("{}{char}{}", "a".repeat(at), "b".repeat(9 - at));
                let line = written(|out| escape(&plain, out));
                assert_eq!(line, written(|out| escape_special(&plain, out)), "{plain:?}");
                assert!(!line.chars().any(char::is_control), "{line:?}");
            }
        }
    }

    #[test]
    fn numbers_are_what_they_print() {
        for number in [0, 7, -7, 10, 99, 100, i64::MAX, i64::MIN] {
            assert_eq!(written(|out| integer(number, out)), number.to_string());
        }
    }
}
