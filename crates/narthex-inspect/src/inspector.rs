//! One text in, one verdict out.

mod edit;
mod keys;
mod string;

use crate::finding::Findings;
use crate::hidden::KINDS;
use crate::instructions::Instructions;
use crate::json::{Fault, Strings, Token};
use crate::patterns::{Patterns, Text};
use crate::{Action, BadPattern, Finding, Settings};
use std::sync::Arc;

/// Bytes that a definition or arguments may have at most.
const LARGEST: usize = 16 << 20;

/// Looks into texts. Made once for its settings and shared; it keeps nothing of what it sees.
#[derive(Debug)]
pub struct Inspector {
    hidden: Action,
    hidden_names: [Arc<str>; KINDS.len()],
    patterns: Patterns,
    instructions: Option<Instructions>,
    instructions_name: Arc<str>,
    too_long_name: Arc<str>,
    max_description: usize,
    max_result: usize,
}

/// What is to become of a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It passes as it is.
    Pass,
    /// This passes in its place.
    Changed(String),
    /// Nothing of it passes.
    Refused,
}

/// What became of a result or of arguments.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// Whether it passes.
    pub verdict: Verdict,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// What became of the definition of a tool, prompt, resource or template, or of a server's instructions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Definition {
    /// What is to be used in its place, if it changes.
    pub text: Option<String>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Whether it should be used only after a person has looked at it: it instructs the model, smuggles text past
    /// the eye, or is too long for anybody to have read it. Its findings say `report`, unless they say more.
    pub suspicious: bool,
    /// Whether it must not be used at all.
    pub refused: bool,
}

impl Inspector {
    /// # Errors
    /// A pattern of the settings cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, BadPattern> {
        Ok(Self {
            hidden: settings.hidden_text,
            hidden_names: KINDS.map(Arc::from),
            patterns: Patterns::new(settings)?,
            instructions: settings.instructions.then(Instructions::new).transpose()?,
            instructions_name: "instructions".into(),
            too_long_name: "too_long".into(),
            max_description: settings.max_description,
            max_result: settings.max_result,
        })
    }

    /// Looks into a definition, or a server's instructions as a JSON string.
    #[must_use]
    pub fn definition(&self, json: &str) -> Definition {
        let mut pass = Pass::new(self, json, Text::Definition);
        let verdict = pass.run(LARGEST);
        Definition {
            refused: verdict == Verdict::Refused,
            text: if let Verdict::Changed(text) = verdict { Some(text) } else { None },
            suspicious: pass.suspicious,
            findings: pass.findings.into_vec(),
        }
    }

    /// Looks into a result.
    #[must_use]
    pub fn result(&self, json: &str) -> Outcome {
        self.data(json, self.max_result)
    }

    /// Looks into the arguments of a call.
    #[must_use]
    pub fn arguments(&self, json: &str) -> Outcome {
        self.data(json, LARGEST)
    }

    fn data(&self, json: &str, largest: usize) -> Outcome {
        let mut pass = Pass::new(self, json, Text::Data);
        let verdict = pass.run(largest);
        Outcome { verdict, findings: pass.findings.into_vec() }
    }
}

/// One reading of one text.
#[derive(Debug)]
struct Pass<'i, 'a> {
    inspector: &'i Inspector,
    json: &'a str,
    of: Text,
    /// Whether plain strings can have anything that the patterns find.
    matchable: bool,
    /// Whether there are characters beyond ASCII, or DEL.
    odd: bool,
    strings: Strings<'a>,
    edits: edit::Edits<'a>,
    /// Whether a key changed.
    keys: bool,
    findings: Findings,
    suspicious: bool,
    /// Bytes in which instructions were looked for.
    read: usize,
}

impl<'i, 'a> Pass<'i, 'a> {
    fn new(inspector: &'i Inspector, json: &'a str, of: Text) -> Self {
        Self {
            inspector,
            json,
            of,
            matchable: inspector.patterns.possible(json),
            odd: !json.is_ascii() || memchr::memchr(0x7F, json.as_bytes()).is_some(),
            strings: Strings::new(json),
            edits: edit::Edits::new(json),
            keys: false,
            findings: Findings::default(),
            suspicious: false,
            read: 0,
        }
    }

    fn run(&mut self, largest: usize) -> Verdict {
        if self.json.len() > largest {
            return self.refuse("too_long");
        }
        loop {
            match self.strings.next() {
                Ok(Some(token)) => self.string(token),
                Ok(None) => break,
                Err(Fault::Malformed) => return self.refuse("malformed"),
                Err(Fault::TooDeep) => return self.refuse("too_deep"),
            }
        }
        if self.findings.refuse() {
            return Verdict::Refused;
        }
        let Some(text) = std::mem::take(&mut self.edits).finish() else {
            return Verdict::Pass;
        };
        if self.keys && !keys::unique(&text) {
            return self.refuse("duplicate_key");
        }
        Verdict::Changed(text)
    }

    fn refuse(&mut self, why: &'static str) -> Verdict {
        self.findings.add_whole(why, Action::Refuse);
        Verdict::Refused
    }

    /// Whether nothing can be found in a string, so that it need not be looked into.
    fn is_plain(&self, token: Token<'_>) -> bool {
        self.of == Text::Data && !self.matchable && !self.may_hide(token)
    }

    /// Whether a string may have other characters than those of ASCII that are seen.
    fn may_hide(&self, token: Token<'_>) -> bool {
        token.veiled || (self.odd && token.raw.bytes().any(|byte| byte >= 0x7F))
    }
}
