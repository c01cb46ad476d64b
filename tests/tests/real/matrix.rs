//! Clients that others made, each in every mode, at servers that others made, through the gateway.

use super::hosts::{Host, Hosts};
use super::visitors::{VISITORS, Visitor};

/// A cell that is known not to work: visitor, host, and why.
pub(crate) type Known = (&'static str, &'static str, &'static str);

/// Every cell of one era works.
const KNOWN: &[Known] = &[];

#[tokio::test]
async fn every_client_works_with_every_server_of_an_era_that_it_speaks() {
    let cells = visit_all(KNOWN, |visitor, host| visitor.shares(host.eras)).await;
    assert_eq!(cells, 57);
}

/// Has every visitor go to every host for which `wanted` says so; how many cells that were. The cells
/// that are `known` not to work must not work: they fail as soon as they do, so that they are struck.
pub(crate) async fn visit_all(known: &[Known], wanted: impl Fn(&Visitor, &Host) -> bool) -> usize {
    let hosts = Hosts::start().await;
    let (mut cells, mut failures) = (0, Vec::new());
    for visitor in &VISITORS {
        let at: Vec<_> = hosts.hosts.iter().filter(|host| wanted(visitor, host)).collect();
        let visits: Vec<_> = at.iter().map(|host| hosts.visit(host)).collect();
        let seen = if visits.is_empty() { Vec::new() } else { visitor.visit(&visits).await };
        cells += seen.len();
        for (host, seen) in at.iter().zip(seen) {
            let wrong = host.wrong(&seen, visitor.revision());
            let reason =
                known.iter().find(|cell| (cell.0, cell.1) == (visitor.name, host.name)).map(|cell| cell.2);
            match (wrong, reason) {
                (Some(wrong), None) => failures.push(format!("{} at {}: {wrong}", visitor.name, host.name)),
                (None, Some(reason)) => {
                    failures.push(format!("{} at {} works now, though {reason:?}", visitor.name, host.name))
                }
                _ => {}
            }
        }
    }
    assert!(failures.is_empty(), "{}\n{}", failures.join("\n"), hosts.front.gateway.output());
    cells
}
