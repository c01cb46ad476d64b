//! YAML text → nodes. Everything that makes YAML dangerous ends here: aliases are expanded within a
//! budget, depth and size are bounded, duplicate keys are reported.

use super::plain;
use crate::diagnostic::{Finding, Report};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{AliasLimits, DuplicateKeyPolicy};
use serde_saphyr::{Location, Options, Spanned};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// A place in the text. Long texts have hundreds of thousands, and none is as long as 4 GiB.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Span {
    pub(crate) line: u32,
    pub(crate) col: u32,
    pub(crate) offset: u32,
    pub(crate) len: u32,
}

/// One YAML value.
#[derive(Debug)]
pub(crate) struct Node {
    pub(super) kind: Kind,
    /// Where it is used.
    pub(super) span: Span,
    /// Where it is written; differs from `span` for an alias.
    pub(super) defined: Span,
}

/// A node's content.
#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// Keys are [`Kind::Text`].
    Map(Vec<(Node, Node)>),
}

/// Nesting of collections that is read; the grammar needs 8.
pub(super) const MAX_DEPTH: usize = 24;
/// Nodes that are read.
pub(super) const MAX_NODES: usize = 4_000_000;
/// Longest key, bytes.
pub(super) const MAX_KEY: usize = 1024;

/// Reads `text`, which holds one YAML document. `None`: it cannot be read, and `report` says why.
pub(crate) fn parse(text: &str, report: &Report) -> Option<Node> {
    let mut node = plain::read(text).or_else(|| read(text, report))?;
    node.drop_duplicates(report);
    Some(node)
}

/// What `text` is by itself, on one line and without quotes; `None`: that is something else than within a document.
pub(super) fn scalar(text: &str) -> Option<Kind> {
    let is_marked = text.starts_with(['&', '*', '!', '|', '>', '%', '@', '`']);
    if is_marked || text.contains('\n') || text.starts_with("---") || text.starts_with("...") {
        return None;
    }
    serde_saphyr::from_str_with_options::<Kind>(text, options()).ok().filter(Kind::is_scalar)
}

/// [`parse`] for whatever there is in YAML.
pub(super) fn read(text: &str, report: &Report) -> Option<Node> {
    match serde_saphyr::from_str_with_options::<Node>(text, options()) {
        Ok(node) => Some(node),
        Err(error) => {
            report.add(finding(&error));
            None
        }
    }
}

fn options() -> Options {
    let mut aliases = AliasLimits::default();
    aliases.max_total_replayed_events = 100_000;
    aliases.max_replay_stack_depth = 8;
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_documents: 2,
            max_nodes: MAX_NODES,
            max_events: 10_000_000,
            max_aliases: 2_000,
            max_anchors: 1_000,
            max_merge_keys: 2_000,
        },
        alias_limits: aliases,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

fn finding(error: &serde_saphyr::Error) -> Finding {
    let error = error.without_snippet();
    let span = error.location().map_or(Span::START, Span::from);
    let finding = Finding::error(span, message(error));
    match error {
        serde_saphyr::Error::MultipleDocuments { .. } => finding.help("remove the `---` line"),
        serde_saphyr::Error::Budget { .. } => finding.help("spell values out instead of using aliases"),
        _ => finding,
    }
}

/// The parser's message without the place, which is shown beside it.
fn message(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    match error {
        Error::MultipleDocuments { .. } => "a configuration is one YAML document; this file has more".into(),
        Error::Budget { breach, .. } => format!("the YAML is larger than a configuration may be: {breach:?}"),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => "the YAML's aliases expand to too much".into(),
        Error::UnknownAnchor { .. } => "this alias names an anchor that does not exist".into(),
        Error::AliasError { error, .. } => message(error),
        other => {
            let text = other.to_string();
            let end = text.find(" at line ").or_else(|| text.find('\n')).unwrap_or(text.len());
            format!("not valid YAML: {}", without_quotations(text[..end].trim_end()))
        }
    }
}

/// What the parser quotes may be part of a secret: an unquoted password that begins with `!` is a tag.
fn without_quotations(message: &str) -> String {
    let parts = message.split(['`', '"']).enumerate();
    parts.map(|(index, part)| if index % 2 == 0 { part } else { "`…`" }).collect()
}

// === impl Span ===

impl Span {
    /// The beginning of the file.
    pub(crate) const START: Self = Self { line: 1, col: 1, offset: 0, len: 0 };

    /// From 1.
    pub(crate) fn line(self) -> usize {
        wide(self.line)
    }

    /// In characters, from 1.
    pub(crate) fn col(self) -> usize {
        wide(self.col)
    }

    /// First byte.
    pub(crate) fn offset(self) -> usize {
        wide(self.offset)
    }

    /// Bytes.
    pub(crate) fn len(self) -> usize {
        wide(self.len)
    }
}

fn wide(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl From<Location> for Span {
    fn from(location: Location) -> Self {
        let number = |n: u64| u32::try_from(n).unwrap_or_default();
        let span = location.span();
        Self {
            line: number(location.line()).max(1),
            col: number(location.column()).max(1),
            offset: number(span.byte_offset().unwrap_or_default()),
            len: number(span.byte_len().unwrap_or_default()),
        }
    }
}

// === impl Node ===

impl Node {
    /// Whether the file holds nothing but comments.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// Where it is used.
    pub(crate) fn span(&self) -> Span {
        self.span
    }

    /// What it is, for "expected …, found …". Never its value, which may be a secret.
    pub(super) fn what(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Int(_) | Kind::Float(_) => "a number",
            Kind::Text(_) => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Hides it from diagnostics, keys and all.
    pub(super) fn mask_with_keys(&self, report: &Report) {
        self.mask(report);
        match &self.kind {
            Kind::List(items) => items.iter().for_each(|item| item.mask_with_keys(report)),
            Kind::Map(entries) => entries.iter().for_each(|(key, value)| {
                key.mask(report);
                value.mask_with_keys(report);
            }),
            _ => {}
        }
    }

    /// Hides all scalars in it from diagnostics, but not the keys of mappings.
    pub(super) fn mask(&self, report: &Report) {
        match &self.kind {
            Kind::List(items) => items.iter().for_each(|item| item.mask(report)),
            Kind::Map(entries) => entries.iter().for_each(|(_, value)| value.mask(report)),
            _ => {
                report.mask(self.span);
                report.mask(self.defined);
            }
        }
    }

    /// Reports every key that stands twice in a mapping, and keeps the first.
    fn drop_duplicates(&mut self, report: &Report) {
        match &mut self.kind {
            Kind::List(items) => items.iter_mut().for_each(|item| item.drop_duplicates(report)),
            Kind::Map(entries) => {
                entries.iter_mut().for_each(|(_, value)| value.drop_duplicates(report));
                if !has_duplicates(entries) {
                    return;
                }
                let mut seen: HashMap<String, Span> = HashMap::with_capacity(entries.len());
                entries.retain_mut(|(key, value)| {
                    let Kind::Text(name) = &key.kind else { return true };
                    let Some(first) = seen.get(name) else {
                        seen.insert(name.clone(), key.span);
                        return true;
                    };
                    value.mask(report);
                    let finding = Finding::error(key.span, format!("duplicate key `{name}`"));
                    report.add(finding.related(*first, "it is first given here"));
                    false
                });
            }
            _ => {}
        }
    }
}

fn has_duplicates(entries: &[(Node, Node)]) -> bool {
    let names = || entries.iter().filter_map(|(key, _)| key.text());
    // Nearly all mappings are short.
    if entries.len() <= 16 {
        return names().enumerate().any(|(at, name)| names().take(at).any(|before| before == name));
    }
    let mut seen = HashSet::with_capacity(entries.len());
    !names().all(|name| seen.insert(name))
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, defined } = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { kind: value, span: referenced.into(), defined: defined.into() })
    }
}

impl Kind {
    fn is_scalar(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Map(_))
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Int(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Kind, E> {
        Ok(Kind::Int(value))
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Kind, E> {
        i128::try_from(value).map(Kind::Int).map_err(|_| E::custom("this number is too large"))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Kind, E> {
        Ok(Kind::Text(value))
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Kind, E> {
        Err(E::custom("binary values have no place in a configuration"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Kind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some(Spanned { value: key, referenced, defined }) = map.next_key::<Spanned<String>>()? {
            if key.len() > MAX_KEY {
                return Err(A::Error::custom("this key is too long"));
            }
            let key = Node { kind: Kind::Text(key), span: referenced.into(), defined: defined.into() };
            entries.push((key, map.next_value()?));
        }
        Ok(Kind::Map(entries))
    }
}
