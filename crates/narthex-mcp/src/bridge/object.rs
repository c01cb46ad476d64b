//! A JSON object whose members are not looked into.

use crate::rpc::quote;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Text that is not one JSON object, or names a member twice.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a JSON object")]
pub struct NotAnObject;

/// A JSON object: its members in order, each value as the JSON text it came as.
#[derive(Clone, Default)]
pub struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    /// Reads one.
    ///
    /// # Errors
    /// See [`NotAnObject`].
    pub fn parse(text: &[u8]) -> Result<Self, NotAnObject> {
        serde_json::from_slice(text).map_err(|_| NotAnObject)
    }

    /// The value's JSON text.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.get())
    }

    /// The value, if it is a string.
    #[must_use]
    pub fn string(&self, key: &str) -> Option<String> {
        serde_json::from_str(self.get(key)?).ok()
    }

    /// The value, if it is an object.
    #[must_use]
    pub fn object(&self, key: &str) -> Option<Self> {
        serde_json::from_str(self.get(key)?).ok()
    }

    /// The elements' JSON texts, if the value is an array.
    #[must_use]
    pub fn array(&self, key: &str) -> Option<Vec<Box<RawValue>>> {
        serde_json::from_str(self.get(key)?).ok()
    }

    /// Whether the value is there, and not `null`.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value != "null")
    }

    /// Sets a member to a string.
    pub fn set_string(&mut self, key: &str, value: &str) {
        self.set(key, raw(quote(value)));
    }

    /// Sets a member to an object.
    pub fn set_object(&mut self, key: &str, value: &Self) {
        self.set(key, raw(value.to_json()));
    }

    /// Sets a member to an unsigned number.
    pub fn set_number(&mut self, key: &str, value: u64) {
        self.set(key, raw(value.to_string()));
    }

    /// Sets a member to JSON text; to `null` if it is none.
    pub fn set_json(&mut self, key: &str, text: impl Into<String>) {
        self.set(key, raw(text.into()));
    }

    /// Sets a member to an array of JSON values.
    pub fn set_array(&mut self, key: &str, values: &[Box<RawValue>]) {
        let values: Vec<&str> = values.iter().map(|value| value.get()).collect();
        self.set_json(key, format!("[{}]", values.join(",")));
    }

    fn set(&mut self, key: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// Takes a member out, and gives its JSON text.
    pub fn remove(&mut self, key: &str) -> Option<Box<RawValue>> {
        let at = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.remove(at).1)
    }

    /// Leaves only the members whose name passes.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }

    /// Names and JSON texts, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.get()))
    }

    /// Whether it has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object's JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let len = self.0.iter().map(|(name, value)| name.len() + value.get().len() + 4).sum::<usize>();
        let mut out = String::with_capacity(len + 2);
        out.push('{');
        for (index, (name, value)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(&quote(name));
            out.push(':');
            out.push_str(value.get());
        }
        out.push('}');
        out
    }
}

fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.iter().all(|(name, value)| other.get(name) == Some(value))
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be anybody's data.
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members: Vec<(String, Box<RawValue>)> = Vec::new();
                let mut seen = std::collections::HashSet::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if !seen.insert(name.clone()) {
                        return Err(A::Error::custom("a member is named twice"));
                    }
                    members.push((name, value));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
