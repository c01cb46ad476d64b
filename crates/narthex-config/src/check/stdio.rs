//! `command:` of an upstream and what goes with it.

use super::Check;
use crate::diagnostic::Finding;
use crate::grammar::{self, Revision};
use crate::model::{Instances, ProcessLimits, Restart, Stdio};
use crate::yaml::{Field, Span};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

const MEMORY: usize = 1 << 30;
const MESSAGE: usize = 16 << 20;
const MAX_MESSAGE: usize = 256 << 20;
const FILES: NonZeroU32 = NonZeroU32::MIN.saturating_add(1023);
/// Fewer, and hardly a program starts.
const MIN_FILES: u32 = 16;

/// Ends of the names of variables that hold secrets.
const SECRETS: [&str; 7] = ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "API_KEY", "APIKEY", "PRIVATE_KEY"];

impl Check<'_> {
    pub(super) fn stdio(&self, given: &grammar::Upstream) -> Option<Stdio> {
        let env = self.plain_variables(given);
        let limits = self.process_limits(&given.limits);
        let restart = self.restart(&given.restart);
        let cwd = self.place(&given.cwd).map(|text| self.path(text));
        let (program, arguments) = self.command(given)?;
        Some(Stdio {
            program,
            arguments,
            cwd,
            env,
            instances: match given.instances.get() {
                None | Some(grammar::Instances::Shared) => Instances::Shared,
                Some(grammar::Instances::PerCaller) => Instances::PerCaller,
            },
            limits,
            restart,
        })
    }

    fn place<'f>(&self, field: &'f Field<String>) -> Option<&'f str> {
        let (at, text) = (field.span()?, field.get()?);
        if text.is_empty() || text.contains('\0') {
            self.report.error(at, "expected the path of a directory");
            return None;
        }
        Some(text)
    }

    fn command(&self, given: &grammar::Upstream) -> Option<(String, Vec<String>)> {
        let at = given.command.span()?;
        let listed = &given.command.get()?.0;
        if listed.is_empty() {
            let help = "name it, and its arguments: `[npx, -y, \"@modelcontextprotocol/server-memory\"]`";
            self.report.error_with_help(at, "a command without a program", help);
        }
        let mut words = listed.iter().filter_map(|word| {
            let (at, word) = (word.span()?, word.get()?);
            if word.is_empty() || word.contains('\0') {
                self.report.error(at, "expected text without NUL characters, and not empty");
            }
            Some(word.clone())
        });
        let program = self.program(words.next()?);
        Some((program, words.collect()))
    }

    /// A program with a slash is a path, and begins where all paths of the file begin, whatever its working
    /// directory is.
    fn program(&self, written: String) -> String {
        if !written.contains('/') {
            return written;
        }
        let path = self.path(&written);
        let path = std::path::absolute(&path).unwrap_or(path);
        path.into_os_string().into_string().unwrap_or(written)
    }

    fn plain_variables(&self, given: &grammar::Upstream) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for entry in given.env.get().into_iter().flat_map(|env| &env.0.0) {
            let (Some(at), Some(value)) = (entry.value.span(), entry.value.get()) else { continue };
            let name = &entry.key.0;
            if value.contains('\0') {
                self.report.error(at, "no environment variable can hold a NUL character");
            }
            if SECRETS.iter().any(|end| name.to_ascii_uppercase().ends_with(end)) {
                let message = format!("`{name}` looks like the name of a secret");
                let help = format!(
                    "write where to read it: `credential: {{ env: {{ {name}: {{ file: path }} }} }}`"
                );
                self.report.warn(entry.at, message, help);
            }
            if let Some(secret) = secret_variable(&given.credential, name) {
                let finding = Finding::error(entry.at, format!("`{name}` is set twice"));
                self.report.add(finding.related(secret, "`credential` sets it here"));
            }
            variables.insert(name.clone(), value.clone());
        }
        variables
    }

    fn process_limits(&self, field: &Field<grammar::ProcessLimits>) -> ProcessLimits {
        let absent = grammar::ProcessLimits::default();
        let given = field.get().unwrap_or(&absent);
        self.within(&given.memory, |size| size.0 >= 1 << 20, "no program runs in less than 1MiB");
        self.within(&given.cpu, |time| time.0 >= Duration::from_secs(1), "this is at least `1s`");
        self.within(&given.files, |count| count.0.get() >= MIN_FILES, "no program runs with fewer than 16");
        self.within(&given.message, |size| size.0 <= MAX_MESSAGE, "a message is at most `256MiB`");
        let memory = given.memory.get().map_or(MEMORY, |size| size.0);
        ProcessLimits {
            memory: u64::try_from(memory).unwrap_or(u64::MAX),
            cpu: given.cpu.get().map(|time| time.0),
            files: Self::count(&given.files, FILES),
            message: given.message.get().map_or(MESSAGE, |size| size.0),
        }
    }

    fn restart(&self, field: &Field<grammar::Restart>) -> Restart {
        let absent = grammar::Restart::default();
        let given = field.get().unwrap_or(&absent);
        let min = self.nonzero(&given.min, Duration::from_millis(500));
        let max = self.nonzero(&given.max, min.max(Duration::from_secs(30)));
        if let Some(at) = given.max.span()
            && max < min
            && !max.is_zero()
        {
            let finding = Finding::error(at, "the longest wait is shorter than the first");
            self.report.add(match given.min.span() {
                Some(first) => finding.related(first, "the first is here"),
                None => finding.help("the first is `500ms`, unless `min` says otherwise"),
            });
        }
        Restart { min, max }
    }

    /// HTTP+SSE is a transport of its own, and a process is spoken to in a revision that has `initialize`.
    pub(super) fn only_if_spoken_over_stdio(&self, given: &grammar::Upstream) {
        let Some(at) = given.protocol.span() else { return };
        let revisions: Vec<Revision> = match given.protocol.get() {
            Some(grammar::Protocol::Revision(revision)) => vec![*revision],
            Some(grammar::Protocol::List(list)) => {
                list.iter().filter_map(|item| item.get().copied()).collect()
            }
            Some(grammar::Protocol::Auto) | None => return,
        };
        let help = "leave it out to find out, or say `2025-11-25`";
        match revisions.as_slice() {
            [Revision::HttpSse] => {
                let message = "`2024-11-05` is the HTTP+SSE transport, and a `command` speaks stdio";
                self.report.error_with_help(at, message, help);
            }
            [Revision::Modern] => {
                let message = "`2026-07-28` alone is not supported with a `command`";
                self.report.error_with_help(at, message, help);
            }
            _ => {}
        }
    }
}

/// Where `credential: { env: … }` sets `name`.
fn secret_variable(credential: &Field<grammar::Credential>, name: &str) -> Option<Span> {
    let Some(grammar::Credential::Env(variables)) = credential.get() else {
        return None;
    };
    variables.0.0.iter().find(|entry| entry.key.0 == name).map(|entry| entry.at)
}
