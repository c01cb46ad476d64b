//! `{ vault: … }`: a reference to one field of a secret in the vault.

use crate::yaml::HELP;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Longest path and longest field, in bytes.
const MAX_LEN: usize = 512;

const HOW: &str = "write `{ vault: \"path#field\" }` or `{ vault: { path: path, field: field } }`";

/// A field of a secret. Whatever is wrong with it, nothing of it is repeated: it may be the secret itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct VaultRef {
    pub(crate) path: String,
    pub(crate) field: String,
    /// `None`: that of `secrets.vault`.
    pub(crate) mount: Option<String>,
}

/// What is wrong with a path inside the vault, such as that of a secret or of a mount.
pub(crate) fn problem_of_path(path: &str) -> Option<&'static str> {
    let is_bad = |segment: &str| matches!(segment, "" | "." | "..");
    if path.len() > MAX_LEN || path.split('/').any(is_bad) {
        return Some(
            "a path has no slash at its ends, no empty segments, no `.` and `..`, and at most 512 bytes",
        );
    }
    let is_plain = |c: char| c.is_alphanumeric() || "-_.~/ @:+,=".contains(c);
    // `*` and `+` as a segment are wildcards to policies; what is percent-encoded may be read in two ways.
    let is_wild = path.split('/').any(|segment| segment == "+");
    (is_wild || !path.chars().all(is_plain))
        .then_some("a path is of letters, digits, `-_.~@:+,=`, spaces and slashes")
}

impl VaultRef {
    fn new<E: Error>(path: &str, field: &str, mount: Option<String>) -> Result<Self, E> {
        let wrong = |problem: &str| E::custom(format_args!("{problem}{HELP}{HOW}"));
        if let Some(problem) = [Some(path), mount.as_deref()].into_iter().flatten().find_map(problem_of_path)
        {
            return Err(wrong(problem));
        }
        if field.is_empty() || field.len() > MAX_LEN || field.chars().any(char::is_control) {
            return Err(wrong("a field has 1 to 512 bytes and no control characters"));
        }
        Ok(Self { path: path.to_owned(), field: field.to_owned(), mount })
    }
}

impl<'de> Deserialize<'de> for VaultRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Read)
    }
}

struct Read;

impl<'de> Visitor<'de> for Read {
    type Value = VaultRef;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the path and field of a secret")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<VaultRef, E> {
        let Some((path, field)) = text.split_once('#') else {
            return Err(E::custom(format_args!("this names no field of a secret{HELP}{HOW}")));
        };
        VaultRef::new(path, field, None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<VaultRef, A::Error> {
        let [mut path, mut field, mut mount] = [const { None::<String> }; 3];
        while let Some(key) = map.next_key::<String>()? {
            let place = match key.as_str() {
                "path" => &mut path,
                "field" => &mut field,
                "mount" => &mut mount,
                _ => return Err(A::Error::custom(format_args!("unknown key in a reference{HELP}{HOW}"))),
            };
            *place = Some(map.next_value()?);
        }
        let missing = |key: &str| A::Error::custom(format_args!("`{key}` is missing{HELP}{HOW}"));
        let path = path.ok_or_else(|| missing("path"))?;
        let field = field.ok_or_else(|| missing("field"))?;
        VaultRef::new(&path, &field, mount)
    }
}

impl JsonSchema for VaultRef {
    fn schema_name() -> Cow<'static, str> {
        "VaultRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A field of a secret: `path#field`, or a mapping.",
            "anyOf": [
                { "type": "string", "pattern": "^[^#]+#.+$" },
                {
                    "type": "object",
                    "properties": {
                        "path": { "type": "string", "description": "The path of the secret in its mount, without `data/`." },
                        "field": { "type": "string", "description": "The field of the secret." },
                        "mount": { "type": "string", "description": "Where the secrets engine is mounted. Default: `secrets.vault.mount`." }
                    },
                    "required": ["path", "field"],
                    "additionalProperties": false
                }
            ]
        })
    }
}
