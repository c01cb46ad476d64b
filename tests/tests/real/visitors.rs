//! Clients that others made, each a program of `tests/real/visit` that looks around at several servers.

use narthex_tests::{installed, node, run};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// An era of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// Up to 2025-11-25: sessions that begin with `initialize`.
    Stateful,
    /// From 2026-07-28 on: no sessions.
    Stateless,
}

/// A client in one of its modes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visitor {
    pub(crate) name: &'static str,
    pub(crate) speaks: &'static [Era],
    program: &'static str,
    script: &'static str,
    mode: &'static str,
}

const LEGACY: &[Era] = &[Era::Stateful];
const MODERN: &[Era] = &[Era::Stateless];
const BOTH: &[Era] = &[Era::Stateful, Era::Stateless];

const PYTHON_1: (&str, &str) = (".venv-legacy/bin/python", "visit/python_1.py");
const PYTHON_2: (&str, &str) = (".venv/bin/python", "visit/python_2.py");
const FASTMCP: (&str, &str) = (".venv-fastmcp/bin/python", "visit/fastmcp_client.py");
const TYPESCRIPT: (&str, &str) = ("node", "visit/typescript.mjs");

/// All of them.
pub(crate) const VISITORS: [Visitor; 10] = [
    visitor("python 1", PYTHON_1, "legacy", LEGACY),
    visitor("python 2, legacy", PYTHON_2, "legacy", LEGACY),
    visitor("python 2, auto", PYTHON_2, "auto", BOTH),
    visitor("python 2, modern", PYTHON_2, "2026-07-28", MODERN),
    visitor("fastmcp, legacy", FASTMCP, "legacy", LEGACY),
    visitor("fastmcp, auto", FASTMCP, "auto", BOTH),
    visitor("fastmcp, modern", FASTMCP, "2026-07-28", MODERN),
    visitor("typescript, legacy", TYPESCRIPT, "legacy", LEGACY),
    visitor("typescript, auto", TYPESCRIPT, "auto", BOTH),
    visitor("typescript, modern", TYPESCRIPT, "2026-07-28", MODERN),
];

const fn visitor(
    name: &'static str,
    (program, script): (&'static str, &'static str),
    mode: &'static str,
    speaks: &'static [Era],
) -> Visitor {
    Visitor { name, speaks, program, script, mode }
}

impl Visitor {
    /// Makes `visits`, as `tests/real/visit/README.md` has them; what was seen at each, in order.
    pub(crate) async fn visit(&self, visits: &[Value]) -> Vec<Value> {
        let mut command = Command::new(self.program());
        command.arg(installed(self.script)).arg(self.mode);
        command.env("VISITS", Value::from(visits).to_string()).env("PYTHONDONTWRITEBYTECODE", "1");
        let printed = run(command).await;
        let Ok(Value::Array(seen)) = serde_json::from_str(&printed) else {
            panic!("{}: {printed}", self.name);
        };
        assert_eq!(seen.len(), visits.len(), "{}: {seen:?}", self.name);
        seen
    }

    /// Whether it and a server of `eras` have an era in common.
    pub(crate) fn shares(&self, eras: &[Era]) -> bool {
        self.speaks.iter().any(|era| eras.contains(era))
    }

    /// The revision that it ends up with: the gateway speaks the newest to whoever can, whatever the server
    /// speaks.
    pub(crate) fn revision(&self) -> &'static str {
        if self.speaks.contains(&Era::Stateless) { "2026-07-28" } else { "2025-11-25" }
    }

    fn program(&self) -> PathBuf {
        if self.program == "node" { node() } else { installed(self.program) }
    }
}
