//! Why a node is not what the grammar wants, said without repeating the node's value.

use super::Span;
use crate::diagnostic::Finding;
use serde::de::{Error, Expected, Unexpected};
use std::fmt;

/// A value that could not be read.
#[derive(Debug)]
pub(crate) enum Failure {
    /// To be reported at this place, else at the node that was being read.
    New { message: String, help: Option<String>, span: Option<Span> },
    /// Somebody has reported it already.
    Reported,
}

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self::New { message: message.into(), help: None, span: None }
    }

    pub(super) fn with_help(self, text: impl Into<String>) -> Self {
        match self {
            Self::New { message, span, .. } => Self::New { message, help: Some(text.into()), span },
            Self::Reported => Self::Reported,
        }
    }

    pub(super) fn at(self, place: Span) -> Self {
        match self {
            Self::New { message, help, span } => Self::New { message, help, span: span.or(Some(place)) },
            Self::Reported => Self::Reported,
        }
    }

    /// The finding for the report, unless it is there already.
    pub(super) fn into_finding(self, place: Span) -> Option<Finding> {
        let Self::New { message, help, span } = self else {
            return None;
        };
        let finding = Finding::error(span.unwrap_or(place), message);
        Some(match help {
            Some(help) => finding.help(help),
            None => finding,
        })
    }
}

/// What separates a message from its help in the one string that serde lets a visitor give.
pub(crate) const HELP: &str = "\u{1f}help: ";

impl Error for Failure {
    fn custom<T: fmt::Display>(text: T) -> Self {
        let text = text.to_string();
        match text.split_once(HELP) {
            Some((message, help)) => Self::new(message).with_help(help),
            None => Self::new(text),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(_) => "true or false",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Unit | Unexpected::Option => "nothing",
            Unexpected::Seq => "a list",
            Unexpected::Map | Unexpected::StructVariant => "a mapping",
            _ => "text",
        };
        Self::new(format!("expected {expected}, found {found}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => Self::new(format!("expected {expected}")),
            other => Self::invalid_type(other, expected),
        }
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("expected {}", one_of(expected)))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New { message, .. } => f.write_str(message),
            Self::Reported => f.write_str("reported before"),
        }
    }
}

impl std::error::Error for Failure {}

/// `` `a`, `b` or `c` ``.
pub(crate) fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// The name that was probably meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|other| (strsim::jaro_winkler(name, other), other));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.8).then_some(best.1)
}
