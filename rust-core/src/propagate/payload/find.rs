//! Looks several paths of a JSON text up in one pass, without building the document.

use std::{borrow::Cow, fmt};

use serde_core::de::{
    DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

/// What stands at a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found<'p> {
    Text(Cow<'p, str>),
    /// A number, an object, anything but text and null.
    NotText,
}

/// Returns what stands at each of `paths` in a JSON object; of a key that stands twice the last
/// counts.
///
/// Of a payload that is longer than `most` bytes the start is looked at: what is whole in it counts,
/// whatever follows. Text that is not JSON holds nothing.
pub(super) fn find<'p>(
    payload: &'p [u8],
    paths: &[Cow<'static, str>],
    most: usize,
) -> Vec<Option<Found<'p>>> {
    let start = payload.get(..most);
    let mut found = vec![None; paths.len()];
    let rest = paths.iter().enumerate().map(|(index, path)| (index, &**path)).collect();
    let mut json = serde_json::Deserializer::from_slice(start.unwrap_or(payload));
    let walked = Object { rest, found: &mut found }.deserialize(&mut json);
    match walked.and_then(|()| json.end()) {
        Err(error) if !(error.is_eof() && start.is_some()) => vec![None; paths.len()],
        _ => found,
    }
}

/// The paths that lead on from here, as index and what is left of each.
type Rest<'s> = Vec<(usize, &'s str)>;

/// An object some of whose members are looked for.
struct Object<'s, 'p, 'f> {
    rest: Rest<'s>,
    found: &'f mut Vec<Option<Found<'p>>>,
}

impl<'p> DeserializeSeed<'p> for Object<'_, 'p, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'p>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'p> Visitor<'p> for Object<'_, 'p, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'p>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(rest) = map.next_key_seed(Key(&self.rest))? {
            if rest.is_empty() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            map.next_value_seed(Member { rest, found: &mut *self.found })?;
        }
        Ok(())
    }
}

/// A key: the paths that lead on from it. A key may have dots in it, as flat documents do.
struct Key<'r, 's>(&'r Rest<'s>);

impl<'p, 's> DeserializeSeed<'p> for Key<'_, 's> {
    type Value = Rest<'s>;

    fn deserialize<D: Deserializer<'p>>(self, json: D) -> Result<Rest<'s>, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'s> Visitor<'_> for Key<'_, 's> {
    type Value = Rest<'s>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Rest<'s>, E> {
        let after = |(index, path): &(usize, &'s str)| {
            let rest = path.strip_prefix(key)?;
            Some((*index, if rest.is_empty() { rest } else { rest.strip_prefix('.')? }))
        };
        Ok(self.0.iter().filter_map(after).collect())
    }
}

/// A value: looked for itself where nothing is left of a path.
struct Member<'s, 'p, 'f> {
    rest: Rest<'s>,
    found: &'f mut Vec<Option<Found<'p>>>,
}

impl<'p> Member<'_, 'p, '_> {
    /// Notes the value now that it is whole; what an earlier member of the same key held is gone.
    fn is(self, value: Option<Found<'p>>) {
        for (index, rest) in &self.rest {
            put(self.found, *index, value.clone().filter(|_| rest.is_empty()));
        }
    }
}

impl<'p> DeserializeSeed<'p> for Member<'_, 'p, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'p>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'p> Visitor<'p> for Member<'_, 'p, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.is(None);
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.is(Some(Found::NotText));
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.is(Some(Found::NotText));
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.is(Some(Found::NotText));
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.is(Some(Found::NotText));
        Ok(())
    }

    fn visit_borrowed_str<E: Error>(self, text: &'p str) -> Result<(), E> {
        self.is(Some(Found::Text(Cow::Borrowed(text))));
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.is(Some(Found::Text(Cow::Owned(text.to_owned()))));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'p>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.is(Some(Found::NotText));
        Ok(())
    }

    fn visit_map<A: MapAccess<'p>>(self, map: A) -> Result<(), A::Error> {
        let (ends, rest): (Rest<'_>, Rest<'_>) =
            self.rest.into_iter().partition(|(_, rest)| rest.is_empty());
        for (index, _) in &rest {
            put(self.found, *index, None);
        }
        Object { rest, found: &mut *self.found }.visit_map(map)?;
        Member { rest: ends, found: self.found }.is(Some(Found::NotText));
        Ok(())
    }
}

fn put<'p>(found: &mut [Option<Found<'p>>], index: usize, value: Option<Found<'p>>) {
    if let Some(place) = found.get_mut(index) {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(payload: &str, path: &'static str, most: usize) -> Option<String> {
        match find(payload.as_bytes(), &[path.into()], most).pop()? {
            Some(Found::Text(text)) => Some(text.into_owned()),
            _ => None,
        }
    }

    #[test]
    fn keys_may_be_nested_flat_or_escaped() {
        for payload in [
            r#"{"a":{"b":{"c":"x"}}}"#,
            r#"{"a.b":{"c":"x"}}"#,
            r#"{"a":{"b.c":"x"}}"#,
            r#"{"a.b.c":"x"}"#,
            r#"{"\u0061":{"b":{"c":"x"}}}"#,
            r#"{"a":1,"a":{"b":{"c":"y","c":"x"}}}"#,
        ] {
            assert_eq!(text(payload, "a.b.c", 1000).as_deref(), Some("x"), "{payload}");
        }
        assert_eq!(text(r#"{"a":{"b":"x"},"a":{}}"#, "a.b", 1000), None);
        assert_eq!(text(r#"{"ab":"x"}"#, "a", 1000), None);
    }

    #[test]
    fn a_start_holds_what_is_whole_in_it() {
        let payload = r#"{"n":[1,{"a":"no"}],"a":"x","rest":"0123456789","b":"y"}"#;
        for most in 0..=payload.len() {
            let is_whole = most >= payload.find(r#","rest"#).unwrap();
            assert_eq!(text(payload, "a", most).is_some(), is_whole, "{most}");
        }
        assert_eq!(text(payload, "b", payload.len() - 2), None);
        assert_eq!(text(r#"{"a":"x","a":"y"}"#, "a", 15).as_deref(), Some("x"));
    }

    #[test]
    fn what_is_not_json_holds_nothing() {
        for payload in ["", "[]", "{", r#"{"a":"x""#, r#"{"a":"x"} {"#, r#"{"a":"x",}"#, r#"["a"]"#]
        {
            assert_eq!(text(payload, "a", 1000), None, "{payload}");
        }
        assert_eq!(text(&format!(r#"{{"a":"x",}}{}"#, " ".repeat(99)), "a", 50), None);
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!(r#"{{"d":{}{},"a":"x"}}"#, "[".repeat(30_000), "]".repeat(30_000));
        assert_eq!(text(&deep, "a", 100_000).as_deref(), Some("x"));
        let nested = format!("{}1{}", r#"{"a":"#.repeat(5000), "}".repeat(5000));
        assert_eq!(text(&nested, "a.a.a", 100_000), None);
    }
}
