//! What may pass a merged route: definitions that are pinned, and texts that are inspected.

use super::content::{Item, List};
use super::route::Member;
use narthex_config::model::{Route, RouteId};
use narthex_inspect::{Definition as Inspected, Finding, Inspector, Outcome, Verdict};
use narthex_mcp::bridge::Object;
use narthex_mcp::bridge::message::RpcError;
use narthex_mcp::federation::cursor::Kind;
use narthex_pins::{Candidate, Definition, Mode, Pins, Standing};
use narthex_telemetry::Metrics;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::SystemTime;

/// JSON-RPC code of what is withheld: outside the range that JSON-RPC and MCP reserve.
const WITHHELD: i32 = 40301;
/// Texts that are longer, in bytes, are inspected where they hold up no other request.
const LONG: usize = 256 << 10;
/// Definitions of which is remembered that what was found in them has been reported.
const REPORTED: usize = 16_384;
/// The members of `params` that a person, or a model in their place, has filled in.
const FILLED_IN: [&str; 3] = ["arguments", "argument", "context"];

/// The rules of one route.
pub(super) struct Guard {
    route: RouteId,
    results: Arc<Inspector>,
    arguments: Arc<Inspector>,
    pins: Arc<Pins>,
    metrics: Arc<Metrics>,
    /// Hashes of definitions: they are looked into each time that they are read.
    reported: Mutex<HashSet<u64>>,
    hasher: RandomState,
}

impl Guard {
    pub(super) fn new(route: &Route, pins: Arc<Pins>, metrics: Arc<Metrics>) -> Result<Self, String> {
        let results = Arc::new(Inspector::new(&route.inspect.results).map_err(|e| e.to_string())?);
        let arguments = if route.inspect.arguments == route.inspect.results {
            Arc::clone(&results)
        } else {
            Arc::new(Inspector::new(&route.inspect.arguments).map_err(|e| e.to_string())?)
        };
        let (reported, hasher) = (Mutex::default(), RandomState::new());
        Ok(Self { route: route.id.clone(), results, arguments, pins, metrics, reported, hasher })
    }

    /// Grows whenever a tool may have come out of quarantine, or got into it.
    pub(super) fn generation(&self) -> u64 {
        self.pins.generation()
    }

    /// What a server's instructions are to be shown as; `None`: not at all.
    pub(super) fn instructions(&self, text: String, member: &Member) -> Option<String> {
        let inspected = self.results.definition(&text);
        self.report_once(&text, &inspected.findings, member);
        let fit = !inspected.suspicious && !inspected.refused;
        fit.then(|| inspected.text.unwrap_or(text))
    }

    /// What may be shown of a list, in order, as it is to be shown. What is suspicious is left out; but tools
    /// can be approved.
    pub(super) async fn shown<'l>(
        &self,
        list: &'l Arc<List>,
        kind: Kind,
        member: &Member,
    ) -> Vec<(&'l Item, Inspected)> {
        let (inspector, pins) = (Arc::clone(&self.results), Arc::clone(&self.pins));
        let (items, upstream, mode) = (Arc::clone(list), member.id.clone(), member.pins());
        // It may take long, and first use is written down.
        let judged = tokio::task::spawn_blocking(move || {
            let inspected: Vec<_> = items.items.iter().map(|item| inspector.definition(&item.text)).collect();
            let shown = match kind {
                Kind::Tools => trusted(&items, &inspected, &pins, upstream.as_str(), mode),
                _ => (0..inspected.len()).filter(|at| inspected.get(*at).is_some_and(is_clean)).collect(),
            };
            (inspected, shown)
        });
        let Ok((inspected, shown)) = judged.await else { return Vec::new() };
        for (item, inspected) in list.items.iter().zip(&inspected) {
            self.report_once(&item.text, &inspected.findings, member);
        }
        let all = list.items.iter().zip(inspected).enumerate();
        all.filter(|(at, _)| shown.contains(at)).map(|(_, shown)| shown).collect()
    }

    /// The parameters of a request, as they may be sent.
    ///
    /// # Errors
    /// They are not to be sent.
    pub(super) async fn params(&self, mut params: Object, member: &Member) -> Result<Object, RpcError> {
        for name in FILLED_IN {
            let Some(value) = params.get(name) else { continue };
            let outcome = inspect(&self.arguments, value, Inspector::arguments, "arguments").await?;
            self.report(&outcome.findings, member, "arguments");
            match outcome.verdict {
                Verdict::Pass => {}
                Verdict::Changed(text) => params.set_json(name, text),
                Verdict::Refused => return Err(withheld("arguments")),
            }
        }
        Ok(params)
    }

    /// What an upstream says, as it may be passed on: a JSON object.
    ///
    /// # Errors
    /// It is not to be passed on.
    pub(super) async fn said(&self, said: Object, member: &Member) -> Result<Object, RpcError> {
        let outcome = inspect(&self.results, &said.to_json(), Inspector::result, "result").await?;
        self.report(&outcome.findings, member, "result");
        match outcome.verdict {
            Verdict::Pass => Ok(said),
            Verdict::Changed(text) => Object::parse(text.as_bytes()).map_err(|_| withheld("result")),
            Verdict::Refused => Err(withheld("result")),
        }
    }

    /// Reports what was found in a definition, unless that has been done.
    fn report_once(&self, text: &str, findings: &[Finding], member: &Member) {
        if findings.is_empty() {
            return;
        }
        let hash = self.hasher.hash_one((member.id.as_str(), text));
        let is_news = {
            let mut reported = self.reported.lock();
            if reported.len() >= REPORTED {
                reported.clear();
            }
            reported.insert(hash)
        };
        if is_news {
            self.report(findings, member, "definition");
        }
    }

    /// Says what was found, and never what it was.
    fn report(&self, findings: &[Finding], member: &Member, place: &'static str) {
        for found in findings {
            let action = found.action.label();
            self.metrics.inspected(self.route.as_str(), member.id.as_str(), &found.kind, action);
            tracing::warn!(
                security = true,
                route = %self.route,
                upstream = %member.id,
                kind = &*found.kind,
                detail = found.detail,
                action,
                count = found.count,
                at = &*found.place,
                of = place,
                "inspection found something"
            );
        }
    }
}

/// The places of the tools that may be shown.
fn trusted(list: &List, inspected: &[Inspected], pins: &Pins, upstream: &str, mode: Mode) -> HashSet<usize> {
    let candidates = list.items.iter().zip(inspected).enumerate().filter(|(_, (_, found))| !found.refused);
    let candidates = candidates.filter_map(|(at, (item, found))| {
        // What is no definition cannot be approved either.
        let definition = Definition::of(&item.text).ok()?;
        let suspicion = found.suspicious.then(|| suspicion(&found.findings));
        Some((at, Candidate { definition, suspicion }))
    });
    let (places, candidates): (Vec<usize>, Vec<Candidate>) = candidates.unzip();
    let standings = pins.judge(upstream, mode, list.complete, &candidates, SystemTime::now());
    let judged = places.into_iter().zip(standings);
    judged.filter(|(_, standing)| *standing == Standing::Trusted).map(|(at, _)| at).collect()
}

fn is_clean(inspected: &Inspected) -> bool {
    !inspected.suspicious && !inspected.refused
}

/// Looks into a text; into a long one where it holds up no other request.
async fn inspect(
    inspector: &Arc<Inspector>,
    text: &str,
    how: fn(&Inspector, &str) -> Outcome,
    what: &'static str,
) -> Result<Outcome, RpcError> {
    if text.len() <= LONG {
        return Ok(how(inspector, text));
    }
    let (inspector, text) = (Arc::clone(inspector), text.to_owned());
    let inspected = tokio::task::spawn_blocking(move || how(&inspector, &text)).await;
    inspected.map_err(|_| withheld(what))
}

fn suspicion(findings: &[Finding]) -> String {
    let found = findings.iter().find(|found| !found.detail.is_empty()).or_else(|| findings.first());
    found.map_or_else(String::new, |found| match found.detail {
        "" => found.kind.to_string(),
        detail => format!("{}: {detail}", found.kind),
    })
}

fn withheld(what: &str) -> RpcError {
    RpcError::new(
        WITHHELD,
        format!("The {what} is withheld by the gateway: it carries what may not pass here"),
    )
}
