//! Puts members into a JSON text and leaves every other byte of its values as it was.

use std::fmt;

use serde_core::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::PayloadError;

/// Names and values to be put in; one without a value is taken out.
pub(super) type Members<'m> = [(&'static str, Option<String>)];

/// Returns the object with `members` put into the object at `path`, which is made where it is not
/// there.
///
/// What is new stands first, so that those who look at a payload's start only find it.
pub(super) fn put(
    payload: &[u8],
    path: &str,
    members: &Members<'_>,
) -> Result<Vec<u8>, PayloadError> {
    let object = serde_json::from_slice(payload).map_err(|_| PayloadError::of("the payload"))?;
    if members.iter().all(|(_, value)| value.is_none()) {
        return Ok(payload.to_vec());
    }
    let mut out = Vec::with_capacity(payload.len() + 256);
    let path = Some(path).filter(|path| !path.is_empty());
    put_in(object, path, members, &mut out)?;
    Ok(out)
}

fn put_in(
    mut object: Object<'_>,
    path: Option<&str>,
    members: &Members<'_>,
    out: &mut Vec<u8>,
) -> Result<(), PayloadError> {
    let Some(path) = path else {
        let is_ours = |key: &str| members.iter().any(|(name, _)| *name == key);
        object.0.retain(|(key, _)| !is_ours(key));
        let new = members.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?)));
        let new = new.map(|(name, value)| (name, quoted(value)));
        let old = object.0.iter().map(|(key, value)| (&**key, value.get().to_owned()));
        write(new.chain(old), out);
        return Ok(());
    };
    let (key, rest) = match path.split_once('.') {
        Some((key, rest)) => (key, Some(rest)),
        None => (path, None),
    };
    // Of a key that stands twice readers take the last.
    let place = object.0.iter().rposition(|(known, _)| known == key);
    let inner = match place.and_then(|place| object.0.get(place)) {
        Some((_, value)) => serde_json::from_str(value.get())
            .map_err(|_| PayloadError::of(&format!("`{key}` in the payload")))?,
        None => Object::default(),
    };
    let mut text = Vec::new();
    put_in(inner, rest, members, &mut text)?;
    let text = String::from_utf8(text).unwrap_or_default();
    let new = place.is_none().then(|| (key, text.clone()));
    let old = object.0.iter().enumerate().map(|(index, (key, value))| {
        (&**key, if Some(index) == place { text.clone() } else { value.get().to_owned() })
    });
    write(new.into_iter().chain(old), out);
    Ok(())
}

/// Writes an object whose values are JSON already.
fn write<'k>(members: impl Iterator<Item = (&'k str, String)>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (key, value)) in members.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend(quoted(key).into_bytes());
        out.push(b':');
        out.extend(value.into_bytes());
    }
    out.push(b'}');
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The members of an object in order, their values as they are written.
#[derive(Default)]
struct Object<'p>(Vec<(String, &'p RawValue)>);

impl<'p> Deserialize<'p> for Object<'p> {
    fn deserialize<D: Deserializer<'p>>(json: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'p> Visitor<'p> for InOrder {
            type Value = Object<'p>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'p>>(self, mut map: A) -> Result<Object<'p>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }
        json.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(payload: &str, path: &str) -> Result<String, PayloadError> {
        let members = [("trace_id", Some("x".to_owned())), ("baggage", None)];
        Ok(String::from_utf8(put(payload.as_bytes(), path, &members)?).unwrap())
    }

    #[test]
    fn other_values_keep_every_byte() {
        let payload =
            r#"{"n":12345678901234567890.50, "f": 1e2,"\u0061":"\u00e9","o": { "z" : 1 }}"#;
        let out = text(payload, "m.t").unwrap();
        let rest = r#""n":12345678901234567890.50,"f":1e2,"a":"\u00e9","o":{ "z" : 1 }}"#;
        assert_eq!(out, format!(r#"{{"m":{{"t":{{"trace_id":"x"}}}},{rest}"#));
    }

    #[test]
    fn an_object_that_is_there_is_filled_in_place() {
        let payload = r#"{"a":1,"t":{"trace_id":"old","baggage":"old","k":2}}"#;
        assert_eq!(text(payload, "t").unwrap(), r#"{"a":1,"t":{"trace_id":"x","k":2}}"#);
        assert_eq!(text(r#"{"a":1}"#, "").unwrap(), r#"{"trace_id":"x","a":1}"#);
        assert_eq!(text("{}", "a.b").unwrap(), r#"{"a":{"b":{"trace_id":"x"}}}"#);
    }

    #[test]
    fn what_is_no_object_is_an_error_that_says_where() {
        let message = |payload, path| text(payload, path).unwrap_err().to_string();
        assert_eq!(message("[1]", "t"), "the payload is not a JSON object");
        assert_eq!(message(r#"{"t":null}"#, "t"), "`t` in the payload is not a JSON object");
        assert_eq!(message("{} x", "t"), "the payload is not a JSON object");
    }
}
