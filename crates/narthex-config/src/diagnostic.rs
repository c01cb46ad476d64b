//! What is wrong with a configuration, and where.

use crate::snippet::{Masks, Snippet};
use crate::yaml::Span;
use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

/// How many findings are shown with their line. Whoever has more of them reads the first.
const SNIPPETS: usize = 100;

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but probably does not do what was meant.
    Warning,
}

/// One finding. Neither its texts nor its snippets contain a secret that was written literally.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, without a final full stop.
    pub message: String,
    /// How to put it right.
    pub help: Option<String>,
    /// The file as it was named by the caller.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub col: usize,
    /// The line it is about; absent where there is none to show.
    pub snippet: Option<Snippet>,
    /// Other places that belong to it, such as the first of two duplicates.
    pub related: Vec<Related>,
}

/// Another place that a [`Diagnostic`] is about.
#[derive(Clone, Debug)]
pub struct Related {
    /// What is there.
    pub message: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub col: usize,
    /// The line.
    pub snippet: Option<Snippet>,
}

/// All findings of one load, in the order of the file.
///
/// `Display` prints them in full, one after the other, in the manner of `rustc` and without colour.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

// === impl Diagnostic ===

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{severity}: {}", self.message)?;
        self.place(f, self.line, self.col, self.snippet.as_ref())?;
        for related in &self.related {
            writeln!(f, "note: {}", related.message)?;
            self.place(f, related.line, related.col, related.snippet.as_ref())?;
        }
        if let Some(help) = &self.help {
            writeln!(f, "  = help: {help}")?;
        }
        Ok(())
    }
}

impl Diagnostic {
    fn place(
        &self,
        f: &mut fmt::Formatter<'_>,
        line: usize,
        col: usize,
        snippet: Option<&Snippet>,
    ) -> fmt::Result {
        writeln!(f, " --> {}:{line}:{col}", self.file.display())?;
        snippet.map_or(Ok(()), |snippet| snippet.render(f, line))
    }
}

// === impl Diagnostics ===

impl Diagnostics {
    /// A single error about the file as a whole, such as that it cannot be read.
    pub(crate) fn of_file(file: &Path, message: String, help: Option<&str>) -> Self {
        Self(vec![Diagnostic {
            severity: Severity::Error,
            message,
            help: help.map(str::to_owned),
            file: file.to_owned(),
            line: 1,
            col: 1,
            snippet: None,
            related: Vec::new(),
        }])
    }

    /// Whether any of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many of them are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.iter().filter(|found| found.severity == Severity::Error).count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Them one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// The first error (else the first finding) and how many more there are, for a log line:
    /// `gateway.yaml:4:9: unknown key `lisen` (and 2 more)`.
    #[must_use]
    pub fn one_line(&self) -> String {
        let first = self.iter().find(|found| found.severity == Severity::Error).or_else(|| self.0.first());
        let Some(first) = first else {
            return "no findings".to_owned();
        };
        let place = format!("{}:{}:{}: {}", first.file.display(), first.line, first.col, first.message);
        match self.len() - 1 {
            0 => place,
            more => format!("{place} (and {more} more)"),
        }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, found) in self.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{found}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Where every step puts what it finds, by place; snippets are cut only when all is found, because
/// only then is it known which parts of the text must be masked.
#[derive(Debug, Default)]
pub(crate) struct Report {
    findings: RefCell<Vec<Finding>>,
    masks: RefCell<Masks>,
}

/// A [`Diagnostic`] in the making.
#[derive(Debug)]
#[must_use]
pub(crate) struct Finding {
    severity: Severity,
    message: String,
    help: Option<String>,
    span: Span,
    related: Vec<(String, Span)>,
}

// === impl Report ===

impl Report {
    /// An error at `span`.
    pub(crate) fn error(&self, span: Span, message: impl Into<String>) {
        self.add(Finding::error(span, message));
    }

    /// An error at `span`, and how to put it right.
    pub(crate) fn error_with_help(&self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.add(Finding::error(span, message).help(help));
    }

    pub(crate) fn warn(&self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        let finding = Finding::error(span, message).help(help);
        self.add(Finding { severity: Severity::Warning, ..finding });
    }

    pub(crate) fn add(&self, finding: Finding) {
        self.findings.borrow_mut().push(finding);
    }

    /// Nothing in `span` may be printed.
    pub(crate) fn mask(&self, span: Span) {
        self.masks.borrow_mut().add(span);
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.findings.borrow().iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Everything found, in the order of the file, each place with its line of `text`.
    pub(crate) fn finish(self, file: &Path, text: &str) -> Diagnostics {
        let masks = self.masks.into_inner();
        let mut findings = self.findings.into_inner();
        findings.sort_by_key(|finding| (finding.severity, finding.span.line(), finding.span.col()));
        findings.dedup_by(|a, b| a.span == b.span && a.message == b.message);
        // To find a line is to read the file up to it.
        let lift = |(index, finding): (usize, Finding)| {
            let snippet = |span| (index < SNIPPETS).then(|| Snippet::cut(text, span, &masks)).flatten();
            Diagnostic {
                severity: finding.severity,
                message: printable(&finding.message),
                help: finding.help,
                file: file.to_owned(),
                line: finding.span.line(),
                col: finding.span.col(),
                snippet: snippet(finding.span),
                related: finding
                    .related
                    .into_iter()
                    .map(|(message, at)| Related {
                        message,
                        line: at.line(),
                        col: at.col(),
                        snippet: snippet(at),
                    })
                    .collect(),
            }
        };
        Diagnostics(findings.into_iter().enumerate().map(lift).collect())
    }
}

// === impl Finding ===

impl Finding {
    pub(crate) fn error(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), help: None, span, related: Vec::new() }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    pub(crate) fn related(mut self, span: Span, message: impl Into<String>) -> Self {
        self.related.push((message.into(), span));
        self
    }
}

/// Keeps a name from the file from moving the cursor of the terminal that shows it.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
