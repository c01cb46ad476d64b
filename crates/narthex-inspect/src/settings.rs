//! What is looked for, and what is done about it.

use std::fmt;

/// What is done about something that was found, from the mildest to the strictest. Where several apply to one
/// text, the strictest wins.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Action {
    /// It is not looked for.
    #[default]
    Off,
    /// It is reported, and passes.
    Report,
    /// It is reported and taken out: hidden text without a trace, all else for `[redacted:<name>]`.
    Redact,
    /// It is reported, and the text does not pass.
    Refuse,
}

impl Action {
    /// The word for it in metrics and logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Report => "report",
            Self::Redact => "redact",
            Self::Refuse => "refuse",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// What an [`Inspector`](crate::Inspector) looks for, in all texts unless it says otherwise. The default is what
/// breaks nothing that is honest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Text that a model reads and a person does not see: invisible and bidirectional controls, tag characters,
    /// smuggled variation selectors, terminal escapes, other control characters, halves of surrogate pairs.
    pub hidden_text: Action,
    /// Whether definitions that instruct the model against its user are suspicious.
    pub instructions: bool,
    /// Credentials, by their formats.
    pub secrets: Action,
    /// Data of persons, in results and arguments: e-mail addresses, payment cards, IBANs, US social security
    /// numbers, international telephone numbers.
    pub personal: Action,
    /// The operator's own patterns, 64 at most.
    pub patterns: Vec<Pattern>,
    /// Bytes that a description, a title or a server's instructions may have; longer ones are suspicious.
    pub max_description: usize,
    /// Bytes that a result may have; longer ones are refused.
    pub max_result: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hidden_text: Action::Redact,
            instructions: true,
            secrets: Action::Report,
            personal: Action::Off,
            patterns: Vec::new(),
            max_description: 16 << 10,
            max_result: 16 << 20,
        }
    }
}

/// A pattern of the operator's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern {
    /// What its findings are called: 1 to 32 of `a-z`, `0-9`, `_` and `-`, and no name of a built-in pattern.
    pub name: String,
    /// A regular expression in the syntax of the `regex` crate: without look-around and back references, so that
    /// it takes linear time. If it has a group 1, that group alone is redacted.
    pub regex: String,
    /// What is done about a match.
    pub action: Action,
}

/// A pattern that cannot be used. Displays as a sentence for the operator.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadPattern {
    /// Its name is empty, longer than 32 bytes, or has other characters than `a-z`, `0-9`, `_` and `-`.
    #[error("pattern {index} has a bad name: 1 to 32 of a-z, 0-9, _ and - are allowed")]
    Name {
        /// Its place among [`Settings::patterns`], from 0.
        index: usize,
    },
    /// Another pattern, or a built-in one, has the same name.
    #[error("the name of pattern {name} is taken")]
    Taken {
        /// The name.
        name: String,
    },
    /// The regular expression is malformed, or needs more than 1 MiB when compiled.
    #[error("pattern {name}: {reason}")]
    Regex {
        /// The pattern's name.
        name: String,
        /// What is wrong with the expression.
        reason: String,
    },
    /// It matches the empty string, and so everywhere.
    #[error("pattern {name} matches the empty string")]
    Empty {
        /// The pattern's name.
        name: String,
    },
    /// There are more than 64.
    #[error("there are more than 64 patterns")]
    TooMany,
    /// A built-in pattern does not compile, which a test rules out.
    #[error("the built-in pattern {name} does not compile")]
    BuiltIn {
        /// The pattern's name.
        name: &'static str,
    },
}
