//! `upstreams.*.protocol`.

use crate::model::LegacyRevision;
use crate::yaml::{Field, HELP, one_of};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// `auto`, one revision, or a list of them.
#[derive(Debug)]
pub(crate) enum Protocol {
    Auto,
    Revision(Revision),
    List(Vec<Field<Revision>>),
}

/// A revision of MCP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Revision {
    /// 2026-07-28.
    Modern,
    Legacy(LegacyRevision),
    /// 2024-11-05.
    HttpSse,
}

/// Newest first.
const REVISIONS: [(&str, Revision); 5] = [
    ("2026-07-28", Revision::Modern),
    ("2025-11-25", Revision::Legacy(LegacyRevision::V2025_11_25)),
    ("2025-06-18", Revision::Legacy(LegacyRevision::V2025_06_18)),
    ("2025-03-26", Revision::Legacy(LegacyRevision::V2025_03_26)),
    ("2024-11-05", Revision::HttpSse),
];

const NAMES: [&str; 5] = [REVISIONS[0].0, REVISIONS[1].0, REVISIONS[2].0, REVISIONS[3].0, REVISIONS[4].0];

// === impl Revision ===

impl Revision {
    fn read<E: Error>(text: &str) -> Result<Self, E> {
        if text == "auto" {
            return Err(E::custom(format_args!("`auto` stands alone{HELP}write `protocol: auto`")));
        }
        let found = REVISIONS.iter().find(|(name, _)| *name == text);
        found.map(|(_, revision)| *revision).ok_or_else(|| unknown(&NAMES))
    }
}

fn unknown<E: Error>(expected: &[&str]) -> E {
    E::custom(format_args!("not a revision of MCP that is supported{HELP}expected {}", one_of(expected)))
}

impl<'de> Deserialize<'de> for Revision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RevisionVisitor)
    }
}

struct RevisionVisitor;

impl Visitor<'_> for RevisionVisitor {
    type Value = Revision;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a revision of MCP")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Revision, E> {
        Revision::read(text)
    }
}

// === impl Protocol ===

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ProtocolVisitor)
    }
}

struct ProtocolVisitor;

impl<'de> Visitor<'de> for ProtocolVisitor {
    type Value = Protocol;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`auto`, a revision of MCP or a list of them")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Protocol, E> {
        if text == "auto" {
            return Ok(Protocol::Auto);
        }
        Revision::read(text).map(Protocol::Revision).map_err(|_: E| unknown(&words()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Protocol, A::Error> {
        let mut revisions = Vec::new();
        while let Some(revision) = items.next_element()? {
            revisions.push(revision);
        }
        Ok(Protocol::List(revisions))
    }
}

/// What `protocol:` may be as one word.
fn words() -> Vec<&'static str> {
    std::iter::once("auto").chain(NAMES).collect()
}

impl JsonSchema for Protocol {
    fn schema_name() -> Cow<'static, str> {
        "Protocol".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let together: Vec<_> = NAMES.into_iter().filter(|name| *name != "2024-11-05").collect();
        json_schema!({
            "anyOf": [
                { "type": "string", "enum": words() },
                {
                    "type": "array",
                    "items": { "type": "string", "enum": together },
                    "minItems": 1,
                    "uniqueItems": true
                }
            ]
        })
    }
}
