//! The wrapper of every value in the grammar: where it is, and whether it could be read.

use super::{Span, marker};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// A value with its place. Reading it never fails: what is wrong goes to the report and leaves
/// [`Field::Bad`], so that the rest of the file is read, too.
#[derive(Debug, Default)]
pub(crate) enum Field<T> {
    /// The key is not there.
    #[default]
    Absent,
    /// The key is there, but its value cannot be used; reported.
    Bad(Span),
    /// The value.
    Set(Span, T),
}

/// A mapping whose keys are names that the operator chose.
#[derive(Debug)]
pub(crate) struct Named<K, T>(pub(crate) Vec<Entry<K, T>>);

/// One entry of a [`Named`] mapping.
#[derive(Debug)]
pub(crate) struct Entry<K, T> {
    pub(crate) key: K,
    /// Where the key is.
    pub(crate) at: Span,
    pub(crate) value: Field<T>,
}

// === impl Field ===

impl<T> Field<T> {
    pub(crate) fn get(&self) -> Option<&T> {
        match self {
            Self::Set(_, value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn into_value(self) -> Option<T> {
        match self {
            Self::Set(_, value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn with_span(self) -> Option<(Span, T)> {
        match self {
            Self::Set(span, value) => Some((span, value)),
            _ => None,
        }
    }

    pub(crate) fn span(&self) -> Option<Span> {
        match self {
            Self::Absent => None,
            Self::Bad(span) | Self::Set(span, _) => Some(*span),
        }
    }

    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(marker::FIELD, FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its place")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field<T>, A::Error> {
        let [line, col, offset, len] = map.next_key::<[u32; 4]>()?.unwrap_or([1, 1, 0, 0]);
        let span = Span { line, col, offset, len };
        // The access has put the error on the report.
        Ok(map.next_value().map_or(Field::Bad(span), |value| Field::Set(span, value)))
    }
}

impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

// === impl Named ===

impl<K, T> Default for Named<K, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, K: Deserialize<'de>, T: Deserialize<'de>> Deserialize<'de> for Named<K, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamedVisitor(PhantomData))
    }
}

struct NamedVisitor<K, T>(PhantomData<(K, T)>);

impl<'de, K: Deserialize<'de>, T: Deserialize<'de>> Visitor<'de> for NamedVisitor<K, T> {
    type Value = Named<K, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        // Of nodes that are there: no more than there are.
        let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(0));
        while let Some(key) = map.next_key::<Field<K>>()? {
            let value = map.next_value()?;
            if let Field::Set(at, key) = key {
                entries.push(Entry { key, at, value });
            }
        }
        Ok(Named(entries))
    }
}

impl<K, T: JsonSchema> JsonSchema for Named<K, T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        BTreeMap::<String, T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, T>::json_schema(generator)
    }
}
