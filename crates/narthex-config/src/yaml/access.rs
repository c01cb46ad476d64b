//! How serde walks lists, mappings and enums of nodes.

use super::de::NodeDe;
use super::failure::Failure;
use super::tree::{Kind, Node};
use serde::de::value::SeqDeserializer;
use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

/// The items of a list.
pub(super) struct Items<'a> {
    pub(super) rest: std::slice::Iter<'a, Node>,
    pub(super) de: NodeDe<'a>,
}

/// The entries of a mapping.
pub(super) struct Entries<'a> {
    rest: std::vec::IntoIter<&'a (Node, Node)>,
    value: Option<&'a Node>,
    de: NodeDe<'a>,
}

/// What a [`Field`] is made from: a mapping of one entry, place → value. Unlike any other access it
/// puts an error of the value on the report before it returns it.
pub(super) struct Located<'a> {
    de: NodeDe<'a>,
    begun: bool,
}

/// `variant` or `{ variant: value }`.
pub(super) struct EnumOf<'a> {
    pub(super) key: NodeDe<'a>,
    pub(super) value: Option<NodeDe<'a>>,
}

// === impl Items ===

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        self.rest.next().map(|node| seed.deserialize(self.de.on(node))).transpose()
    }
}

// === impl Entries ===

impl<'a> Entries<'a> {
    pub(super) fn new(entries: Vec<&'a (Node, Node)>, de: NodeDe<'a>) -> Self {
        Self { rest: entries.into_iter(), value: None, de }
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        seed.deserialize(self.de.on(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let node = self.value.take().ok_or_else(|| Failure::new("a value was asked for before its key"))?;
        seed.deserialize(self.de.on(node))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

// === impl Located ===

impl<'a> Located<'a> {
    pub(super) fn new(de: NodeDe<'a>) -> Self {
        Self { de, begun: false }
    }
}

impl<'de> MapAccess<'de> for Located<'de> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(None);
        }
        let span = self.de.node.span;
        let numbers = [span.line, span.col, span.offset, span.len];
        seed.deserialize(SeqDeserializer::new(numbers.into_iter())).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let NodeDe { node, report } = self.de;
        let value = match node.kind {
            Kind::Null => {
                Err(Failure::new("this key has no value").with_help("give it one, or leave it out"))
            }
            _ => seed.deserialize(self.de),
        };
        value.map_err(|failure| {
            if let Some(finding) = failure.into_finding(node.span) {
                report.add(finding);
            }
            Failure::Reported
        })
    }
}

// === impl EnumOf ===

impl<'de> EnumAccess<'de> for EnumOf<'de> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Failure> {
        seed.deserialize(self.key).map(|variant| (variant, self))
    }
}

impl<'de> VariantAccess<'de> for EnumOf<'de> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        match self.value {
            None => Ok(()),
            Some(value) => {
                value.node.mask(value.report);
                Err(Failure::new("this word takes no value").at(self.key.node.span))
            }
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failure> {
        match self.value {
            Some(value) => seed.deserialize(value),
            None => Err(Failure::new("this word needs a value").at(self.key.node.span)),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Failure> {
        Err(Failure::new("the grammar has no such value"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Failure> {
        Err(Failure::new("the grammar has no such value"))
    }
}
