//! The pins file: made to be committed and reviewed.
//!
//! ```json
//! {
//!   "upstreams": {
//!     "github": {
//!       "create_issue": {
//!         "definition": { "description": "…", "inputSchema": {}, "name": "create_issue" },
//!         "sha256": "…"
//!       }
//!     }
//!   },
//!   "version": 1
//! }
//! ```

use crate::definition::Definition;
use crate::error::PinsError;
use crate::json::{self, Value, object};
use crate::shown::shown;
use crate::write::{self, Lock};
use std::collections::BTreeMap;
use std::path::Path;

const VERSION: u64 = 1;

/// The approved definitions, by upstream and tool. An upstream that is here has been looked at once, even
/// if none of its tools is approved.
pub(crate) type Approved = BTreeMap<String, BTreeMap<String, Definition>>;

/// What the file at `path` says; `None` if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Approved>, PinsError> {
    let Some(text) = write::read(path)? else { return Ok(None) };
    let value = json::parse(&text).map_err(|fault| PinsError::syntax(path, &fault))?;
    parse(value).map(Some).map_err(|what| PinsError::content(path, what))
}

/// Has `change` change what the file at `path` says now, and writes it unless `change` says `false`.
/// Gives what the file then says.
pub(crate) fn edit(path: &Path, change: impl FnOnce(&mut Approved) -> bool) -> Result<Approved, PinsError> {
    let _lock = Lock::take(path)?;
    let mut approved = read(path)?.unwrap_or_default();
    if change(&mut approved) {
        write::replace(path, &format(&approved))?;
    }
    Ok(approved)
}

pub(crate) fn format(approved: &Approved) -> String {
    let upstreams = approved.iter().map(|(upstream, tools)| {
        let tools = tools.iter().map(|(tool, definition)| (tool.clone(), entry(definition)));
        (upstream.clone(), Value::Object(tools.collect()))
    });
    let value =
        object([("upstreams", Value::Object(upstreams.collect())), ("version", Value::from(VERSION))]);
    value.pretty() + "\n"
}

fn entry(definition: &Definition) -> Value {
    object([
        ("definition", Value::Object(definition.members())),
        ("sha256", definition.sha256().as_str().into()),
    ])
}

fn parse(value: Value) -> Result<Approved, String> {
    let mut members = value.into_object().ok_or("pins are an object")?;
    check_version(&mut members)?;
    let upstreams = members.remove("upstreams").and_then(Value::into_object);
    let upstreams = upstreams.ok_or("`upstreams` must be an object")?;
    no_others(&members, "")?;
    let parsed = upstreams.into_iter().map(|(upstream, tools)| {
        let tools = tools.into_object().ok_or_else(|| format!("{}: expected an object", shown(&upstream)))?;
        let parsed = tools.into_iter().map(|(tool, entry)| {
            let at = format!("{}.{}: ", shown(&upstream), shown(&tool));
            let definition = parse_entry(entry, &at)?;
            if definition.name != tool {
                return Err(format!("{at}the definition is that of `{}`", shown(&definition.name)));
            }
            Ok((tool, definition))
        });
        Ok((upstream.clone(), parsed.collect::<Result<_, String>>()?))
    });
    parsed.collect()
}

/// Takes the member `version` out, which must be the one that is known.
pub(crate) fn check_version(members: &mut BTreeMap<String, Value>) -> Result<(), String> {
    match members.remove("version").and_then(|version| version.as_u64()) {
        Some(VERSION) => Ok(()),
        _ => Err(format!("`version` must be {VERSION}")),
    }
}

/// `{"definition": …, "sha256": …}`.
pub(crate) fn parse_entry(entry: Value, at: &str) -> Result<Definition, String> {
    let mut members = entry.into_object().ok_or_else(|| format!("{at}expected an object"))?;
    let definition = take_definition(&mut members, at)?;
    no_others(&members, at)?;
    Ok(definition)
}

/// Takes the members `definition` and `sha256` out, which must fit each other.
pub(crate) fn take_definition(members: &mut BTreeMap<String, Value>, at: &str) -> Result<Definition, String> {
    let given = members.remove("definition").and_then(Value::into_object);
    let given = given.ok_or_else(|| format!("{at}`definition` must be an object"))?;
    let count = given.len();
    let definition = Definition::from_members(given).map_err(|error| format!("{at}{error}"))?;
    if definition.members().len() != count {
        return Err(format!("{at}the definition has a member that is not covered by the hash"));
    }
    let sha256 = members.remove("sha256");
    let sha256 = sha256.as_ref().and_then(Value::as_str);
    let sha256 = sha256.ok_or_else(|| format!("{at}`sha256` is missing"))?;
    if sha256 == definition.sha256() {
        Ok(definition)
    } else {
        Err(format!("{at}`sha256` is not that of the definition, which is {}", definition.sha256()))
    }
}

pub(crate) fn no_others(members: &BTreeMap<String, Value>, at: &str) -> Result<(), String> {
    members.keys().next().map_or(Ok(()), |name| Err(format!("{at}unknown member `{}`", shown(name))))
}
