//! What may pass a merged route: definitions that are pinned, and texts that are inspected.

use super::content::{Item, List};
use super::route::Member;
use narthex_config::model::{Route, RouteId};
use narthex_inspect::{Definition as Inspected, Finding, Inspector, Outcome, Verdict};
use narthex_mcp::bridge::Object;
use narthex_mcp::bridge::message::RpcError;
use narthex_pins::{Candidate, Definition, Pins, Standing};
use narthex_telemetry::Metrics;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

/// JSON-RPC code of what is withheld: outside the range that JSON-RPC and MCP reserve.
const WITHHELD: i32 = 40301;
/// Texts that are longer, in bytes, are inspected where they hold up no other request.
const LONG: usize = 256 << 10;

/// The rules of one route.
pub(super) struct Guard {
    route: RouteId,
    results: Arc<Inspector>,
    arguments: Arc<Inspector>,
    pins: Arc<Pins>,
    metrics: Arc<Metrics>,
}

impl Guard {
    pub(super) fn new(route: &Route, pins: Arc<Pins>, metrics: Arc<Metrics>) -> Result<Self, String> {
        let results = Arc::new(Inspector::new(&route.inspect.results).map_err(|e| e.to_string())?);
        let arguments = if route.inspect.arguments == route.inspect.results {
            Arc::clone(&results)
        } else {
            Arc::new(Inspector::new(&route.inspect.arguments).map_err(|e| e.to_string())?)
        };
        Ok(Self { route: route.id.clone(), results, arguments, pins, metrics })
    }

    /// Grows whenever a tool may have come out of quarantine, or got into it.
    pub(super) fn generation(&self) -> u64 {
        self.pins.generation()
    }

    /// What a text that describes something is to be shown as.
    pub(super) fn definition(&self, text: &str, member: &Member) -> Inspected {
        let inspected = self.results.definition(text);
        self.report(&inspected.findings, member, "definition");
        inspected
    }

    /// The tools that may be shown, in order, as they are to be shown; a tool that is not is left out. Of each
    /// its place in the list.
    pub(super) fn tools<'l>(&self, list: &'l List, member: &Member) -> Vec<(&'l Item, Inspected)> {
        let inspected = list.items.iter().map(|item| (item, self.definition(&item.text, member)));
        let inspected: Vec<_> = inspected.filter(|(_, inspected)| !inspected.refused).collect();
        let candidates = inspected.iter().enumerate().filter_map(|(at, (item, inspected))| {
            // What is no definition cannot be approved either.
            let definition = Definition::of(&item.text).ok()?;
            let suspicion = inspected.suspicious.then(|| suspicion(&inspected.findings));
            Some((at, Candidate { definition, suspicion }))
        });
        let (places, candidates): (Vec<usize>, Vec<Candidate>) = candidates.unzip();
        let (id, mode) = (member.id.as_str(), member.pins());
        let standings = self.pins.judge(id, mode, list.complete, &candidates, SystemTime::now());
        let standings: HashMap<usize, Standing> = places.into_iter().zip(standings).collect();
        let trusted = |at: &usize| standings.get(at) == Some(&Standing::Trusted);
        let all = inspected.into_iter().enumerate();
        all.filter(|(at, _)| trusted(at)).map(|(_, shown)| shown).collect()
    }

    /// The arguments of a call, as they may be sent.
    ///
    /// # Errors
    /// They are not to be sent.
    pub(super) fn params(&self, params: Object, member: &Member) -> Result<Object, RpcError> {
        let Some(arguments) = params.get("arguments") else { return Ok(params) };
        let outcome = self.arguments.arguments(arguments);
        self.report(&outcome.findings, member, "arguments");
        match outcome.verdict {
            Verdict::Pass => Ok(params),
            Verdict::Changed(text) => {
                let mut params = params;
                params.set_json("arguments", text);
                Ok(params)
            }
            Verdict::Refused => Err(withheld("arguments")),
        }
    }

    /// What an upstream says, as it may be passed on: a JSON object.
    ///
    /// # Errors
    /// It is not to be passed on.
    pub(super) async fn said(&self, said: Object, member: &Member) -> Result<Object, RpcError> {
        let text = said.to_json();
        let outcome =
            if text.len() > LONG { self.inspect_long(text).await? } else { self.results.result(&text) };
        self.report(&outcome.findings, member, "result");
        match outcome.verdict {
            Verdict::Pass => Ok(said),
            Verdict::Changed(text) => Object::parse(text.as_bytes()).map_err(|_| withheld("result")),
            Verdict::Refused => Err(withheld("result")),
        }
    }

    async fn inspect_long(&self, text: String) -> Result<Outcome, RpcError> {
        let inspector = Arc::clone(&self.results);
        let inspected = tokio::task::spawn_blocking(move || inspector.result(&text)).await;
        inspected.map_err(|_| withheld("result"))
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
