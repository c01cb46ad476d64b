//! Nodes → the types of the grammar. Unknown keys and unreadable values are put on the report, and
//! reading goes on.

use super::access::{Entries, EnumOf, Items, Located};
use super::failure::{Failure, nearest, one_of};
use super::tree::{Kind, Node};
use super::{Field, marker};
use crate::diagnostic::{Finding, Report};
use serde::de::{Deserialize, Deserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

/// Reads `node` as a `T`; what is wrong is on `report` afterwards.
pub(crate) fn read<'de, T: Deserialize<'de>>(node: &'de Node, report: &'de Report) -> Option<T> {
    Field::deserialize(NodeDe { node, report }).ok().and_then(Field::into_value)
}

/// One node to be read.
#[derive(Clone, Copy)]
pub(super) struct NodeDe<'a> {
    pub(super) node: &'a Node,
    pub(super) report: &'a Report,
}

impl<'a> NodeDe<'a> {
    pub(super) fn on(self, node: &'a Node) -> Self {
        Self { node, ..self }
    }

    fn wrong_shape(self, name: &str, expected: &str) -> Failure {
        if marker::SENSITIVE.contains(&name) {
            self.node.mask(self.report);
        }
        let failure = Failure::new(format!("expected {expected}, found {}", self.node.what()));
        let failure = failure.at(self.node.span);
        match written_as(name) {
            Some(form) => failure.with_help(format!("write `{form}`")),
            None => failure,
        }
    }

    /// The entries of the mapping whose keys are among `fields`; the others are reported.
    fn known_entries(
        self,
        entries: &'a [(Node, Node)],
        fields: &'static [&'static str],
    ) -> Vec<&'a (Node, Node)> {
        let known = |(key, value): &&'a (Node, Node)| {
            let Kind::Text(field) = &key.kind else { return false };
            if fields.contains(&field.as_str()) {
                return true;
            }
            value.mask(self.report);
            let finding = Finding::error(key.span, format!("unknown key `{field}`"));
            self.report.add(finding.help(match nearest(field, fields.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("expected {}", one_of(fields)),
            }));
            false
        };
        entries.iter().filter(known).collect()
    }

    fn literal_secret(self) -> Failure {
        Failure::new("a secret must not be written in the configuration")
            .with_help("write where to read it: `{ file: /run/secrets/name }`, `{ env: NAME }` or `{ vault: path#field }`")
            .at(self.node.span)
    }

    /// Whether the node is `{ file: text }` or the like, of which nothing need be hidden.
    fn is_reference(self) -> bool {
        let Kind::Map(entries) = &self.node.kind else { return false };
        let [(key, value)] = entries.as_slice() else { return false };
        match (&key.kind, &value.kind) {
            (Kind::Text(name), Kind::Text(_)) if name == "file" || name == "env" => true,
            (Kind::Text(name), Kind::Text(text)) => name == "vault" && text.contains('#'),
            (Kind::Text(name), Kind::Map(parts)) => name == "vault" && parts.iter().all(is_part),
            _ => false,
        }
    }
}

/// Whether it is an entry of `{ path: text, field: text, mount: text }`.
fn is_part((key, value): &(Node, Node)) -> bool {
    let is_known =
        matches!(&key.kind, Kind::Text(name) if ["path", "field", "mount"].contains(&name.as_str()));
    is_known && matches!(value.kind, Kind::Text(_))
}

/// How a type is written, where getting its shape wrong is easy.
fn written_as(name: &str) -> Option<&'static str> {
    Some(match name {
        "FileRef" => "{ file: path }",
        "Credential" => "none` or, for example, `{ header: { name: X-Api-Key, value: { env: KEY } } }",
        "Header" => "header: { name: X-Api-Key, value: { file: /run/secrets/key } }",
        "Basic" => "basic: { username: name, password: { file: /run/secrets/password } }",
        "OAuthClient" => "client: { id: name, secret: { file: /run/secrets/name } }",
        "TenantRule" => "tenant: { claim: org_id }` or `tenant: { value: acme }",
        "Limits" => "limits: { requests: 600/1m, burst: 100, concurrent: 64 }",
        "VaultAuth" => "auth: { approle: { role_id: name, secret_id: { file: /run/secrets/vault } } }",
        "ToolRule" => "- match: [\"create_*\"]",
        "Tls" => "tls: { cert: { file: tls.crt }, key: { file: tls.key } }",
        _ => return None,
    })
}

impl<'de> Deserializer<'de> for NodeDe<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::Int(value) => match (u64::try_from(*value), i64::try_from(*value)) {
                (Ok(value), _) => visitor.visit_u64(value),
                (_, Ok(value)) => visitor.visit_i64(value),
                _ => visitor.visit_i128(*value),
            },
            Kind::Float(value) => visitor.visit_f64(*value),
            Kind::Text(text) => visitor.visit_str(text),
            Kind::List(items) => visitor.visit_seq(Items { rest: items.iter(), de: self }),
            Kind::Map(entries) => {
                let entries: Vec<_> = entries.iter().collect();
                visitor.visit_map(Entries::new(entries, self))
            }
        }
        .map_err(|failure: Failure| failure.at(self.node.span))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.kind {
            Kind::Text(_) => self.deserialize_any(visitor),
            Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => {
                Err(self.wrong_shape("", "text").with_help("put it in quotes"))
            }
            _ => Err(self.wrong_shape("", "text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node.kind {
            Kind::List(_) => self.deserialize_any(visitor),
            _ => Err(self.wrong_shape("", "a list").with_help("write `[a, b]`, or one `- item` a line")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node.kind {
            Kind::Map(_) => self.deserialize_any(visitor),
            _ => Err(self.wrong_shape("", "a mapping of names")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let Kind::Map(entries) = &self.node.kind else {
            return Err(self.wrong_shape(name, "a mapping"));
        };
        let entries = self.known_entries(entries, fields);
        visitor.visit_map(Entries::new(entries, self)).map_err(|failure| failure.at(self.node.span))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if name == marker::SECRET && !self.is_reference() {
            self.node.mask_with_keys(self.report);
        }
        let choice = one_of(variants);
        let (key, value) = match &self.node.kind {
            Kind::Text(_) => (self.node, None),
            Kind::Map(entries) => match entries.as_slice() {
                [(key, value)] => (key, Some(value)),
                _ => return Err(self.wrong_shape(name, &format!("exactly one of {choice}"))),
            },
            _ if name == marker::SECRET => return Err(self.literal_secret()),
            _ => return Err(self.wrong_shape(name, &choice)),
        };
        let Kind::Text(variant) = &key.kind else {
            return Err(self.wrong_shape(name, "a name"));
        };
        if name == marker::SECRET && value.is_none() {
            return Err(self.literal_secret());
        }
        if !variants.contains(&variant.as_str()) {
            self.node.mask(self.report);
            let failure = Failure::new(format!("expected {choice}")).at(key.span);
            return Err(match written_as(name) {
                Some(form) => failure.with_help(format!("write `{form}`")),
                None => failure,
            });
        }
        visitor
            .visit_enum(EnumOf { key: self.on(key), value: value.map(|value| self.on(value)) })
            .map_err(|failure| failure.at(self.node.span))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match name {
            marker::FIELD => visitor.visit_map(Located::new(self)),
            marker::MASKED => {
                self.node.mask(self.report);
                visitor.visit_newtype_struct(self)
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node.kind {
            Kind::Null => Err(Failure::invalid_type_of_null()),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        tuple tuple_struct
    }
}

impl Failure {
    fn invalid_type_of_null() -> Self {
        serde::de::Error::invalid_type(Unexpected::Unit, &"a value")
    }
}
