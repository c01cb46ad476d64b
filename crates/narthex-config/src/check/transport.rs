//! How an upstream is reached: `url:`, `urls:` or `command:`, and which keys go with which.

use super::Check;
use crate::diagnostic::Finding;
use crate::grammar::{self, HttpUrl};
use crate::model::{Endpoints, Transport};
use crate::yaml::{Field, Span};
use std::collections::HashMap;
use url::{Host, Url};

const MAX_ENDPOINTS: usize = 32;

impl Check<'_> {
    /// The one way that is given. Keys that go with another are reported.
    pub(super) fn reached(&self, given: &grammar::Upstream, at: Span) -> Option<Transport> {
        let ways = [given.url.span(), given.urls.span(), given.command.span()];
        let mut ways: Vec<Span> = ways.into_iter().flatten().collect();
        ways.sort_by_key(|at| at.offset());
        match ways.as_slice() {
            [] => {
                let help = "add `url: https://mcp.example.com/mcp`; or `urls`, if it has several endpoints; or \
                            `command`, if it is a program";
                self.report.error_with_help(at, "`url` is missing", help);
                None
            }
            [_] if !given.command.is_absent() => {
                self.only_over_http(given);
                self.only_if_spoken_over_stdio(given);
                self.stdio(given).map(Transport::Stdio)
            }
            [_] => {
                self.only_over_stdio(given);
                self.endpoints(given).map(Transport::Http)
            }
            [first, others @ ..] => {
                for other in others {
                    let message = "an upstream has exactly one of `url`, `urls` and `command`";
                    self.report.add(Finding::error(*other, message).related(*first, "another one is here"));
                }
                None
            }
        }
    }

    fn endpoints(&self, given: &grammar::Upstream) -> Option<Endpoints> {
        if !given.url.is_absent() {
            self.health_of_one(given);
            return self.checked_endpoint(&given.url, given).map(Endpoints::from);
        }
        let (at, listed) = (given.urls.span()?, given.urls.get()?);
        match listed.len() {
            0 => self.report.error_with_help(at, "a server without an endpoint", "name one at least"),
            1 => self.health_of_one(given),
            count if count > MAX_ENDPOINTS => {
                self.report.error(at, format!("more than {MAX_ENDPOINTS} endpoints"));
            }
            _ => {}
        }
        let mut seen: HashMap<&Url, Span> = HashMap::new();
        for (at, url) in listed.iter().filter_map(|url| Some((url.span()?, url.get()?))) {
            if let Some(first) = seen.get(&url.0) {
                let finding = Finding::error(at, "this endpoint is listed twice");
                self.report.add(finding.related(*first, "it is first listed here"));
            } else {
                seen.insert(&url.0, at);
            }
        }
        let mut checked = listed.iter().filter_map(|url| self.checked_endpoint(url, given));
        let first = checked.next()?;
        Some(Endpoints { first, others: checked.collect() })
    }

    fn checked_endpoint(&self, field: &Field<HttpUrl>, given: &grammar::Upstream) -> Option<Url> {
        let set = |field: &Field<bool>| field.get().copied().unwrap_or(false);
        let url = self.endpoint(field, set(&given.insecure))?;
        self.link_local(&url, field.span()?, set(&given.allow_link_local));
        Some(url)
    }

    fn health_of_one(&self, given: &grammar::Upstream) {
        if let Some(at) = given.health.span() {
            let message = "`health` chooses among several endpoints, and there is one";
            self.report.warn(at, message, "list the others under `urls`, or remove it");
        }
    }

    fn only_over_http(&self, given: &grammar::Upstream) {
        let keys = [
            ("connect_timeout", given.connect_timeout.span()),
            ("keepalive", given.keepalive.span()),
            ("http", given.http.span()),
            ("ca", given.ca.span()),
            ("tls", given.tls.span()),
            ("allow_link_local", given.allow_link_local.span()),
            ("insecure", given.insecure.span()),
            ("health", given.health.span()),
        ];
        for (key, at) in keys.into_iter().filter_map(|(key, at)| Some((key, at?))) {
            let message = format!("`{key}` goes with `url` or `urls`, and this upstream is a `command`");
            self.report.error_with_help(at, message, "remove it");
        }
    }

    fn only_over_stdio(&self, given: &grammar::Upstream) {
        let keys = [
            ("cwd", given.cwd.span()),
            ("env", given.env.span()),
            ("instances", given.instances.span()),
            ("limits", given.limits.span()),
            ("restart", given.restart.span()),
        ];
        for (key, at) in keys.into_iter().filter_map(|(key, at)| Some((key, at?))) {
            let message = format!("`{key}` goes with `command`, and this upstream has a URL");
            self.report.error_with_help(at, message, "remove it");
        }
    }

    /// Says at once what would otherwise be refused at every connect.
    fn link_local(&self, url: &Url, at: Span, allowed: bool) {
        let link_local = match url.host() {
            Some(Host::Ipv4(address)) => address.is_link_local(),
            Some(Host::Ipv6(address)) => {
                address.is_unicast_link_local()
                    || address.to_ipv4_mapped().is_some_and(|address| address.is_link_local())
            }
            _ => false,
        };
        if link_local && !allowed {
            self.report.error_with_help(
                at,
                "a link-local address, where clouds serve machine credentials",
                "set `allow_link_local: true` if this is an MCP server after all",
            );
        }
    }
}
