//! JSON objects from strangers: every key once, every value of the type that it must have.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Most members of one object.
const MEMBER_CAP: usize = 256;

/// A JSON object whose keys are known to be different (after unescaping), its values not yet read.
/// Readers that take the first of two equal keys and readers that take the last never disagree on it.
#[derive(Debug)]
pub(crate) struct Object<'t> {
    /// Sorted by key.
    members: Vec<(Cow<'t, str>, &'t RawValue)>,
}

/// A member is there, but not of the wanted type. `null` is of no type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct WrongType;

impl<'t> Object<'t> {
    /// Reads `json`, which must be one object and nothing else. `None`: it is not, or a key is there
    /// twice, or there are over 256.
    pub(crate) fn parse(json: &'t str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// Whether there is a member of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// The member of this name, if any.
    pub(crate) fn get<T: Deserialize<'t>>(&self, name: &str) -> Result<Option<T>, WrongType> {
        match self.raw(name).map(RawValue::get) {
            None => Ok(None),
            Some("null") => Err(WrongType),
            Some(json) => serde_json::from_str(json).map(Some).map_err(|_| WrongType),
        }
    }

    fn raw(&self, name: &str) -> Option<&'t RawValue> {
        let at = self.members.binary_search_by(|(key, _)| key.as_ref().cmp(name)).ok()?;
        Some(self.members[at].1)
    }
}

impl<'de: 't, 't> Deserialize<'de> for Object<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members).map(|members| Self { members })
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with every key once")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(16);
        while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
            if members.len() == MEMBER_CAP {
                return Err(A::Error::custom("too many members"));
            }
            members.push((key, value));
        }
        members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        if members.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(A::Error::custom("a key is there twice"));
        }
        Ok(members)
    }
}

/// Borrowed unless it has escapes, which `Cow` by itself never is.
#[derive(Deserialize)]
struct Key<'t>(#[serde(borrow)] Cow<'t, str>);

/// One string or an array of strings, as `aud` is (RFC 7519 §4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(crate) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_by_name() {
        let object = Object::parse(r#" {"sub":"a\"b","n":3,"o":{"x":1,"x":2}} "#).unwrap();
        assert_eq!(object.get::<String>("sub"), Ok(Some(String::from("a\"b"))));
        assert_eq!(object.get::<u64>("n"), Ok(Some(3)));
        assert_eq!(object.get::<u64>("missing"), Ok(None));
        assert_eq!(object.get::<u64>("sub"), Err(WrongType));
    }

    #[test]
    fn a_key_twice_is_refused_even_when_escaped() {
        assert!(Object::parse(r#"{"sub":"a","sub":"b"}"#).is_none());
        assert!(Object::parse(r#"{"sub":"a","\u0073ub":"b"}"#).is_none());
    }

    #[test]
    fn what_is_no_single_object_is_refused() {
        let many: Vec<String> = (0..=MEMBER_CAP).map(|i| format!("\"k{i}\":1")).collect();
        let many = format!("{{{}}}", many.join(","));
        for json in
            ["", "null", "[]", "\"a\"", "{} {}", "{}x", "{\"a\":1,}", "{'a':1}", "{\"a\":01}", many.as_str()]
        {
            assert!(Object::parse(json).is_none(), "{json}");
        }
    }

    #[test]
    fn null_is_not_the_same_as_absent() {
        let object = Object::parse(r#"{"nbf":null}"#).unwrap();
        assert_eq!(object.get::<u64>("nbf"), Err(WrongType));
        assert_eq!(object.get::<Option<u64>>("nbf"), Err(WrongType));
    }
}
