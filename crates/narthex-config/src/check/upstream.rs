//! `upstreams:`.

use super::Check;
use crate::grammar::{self, Name};
use crate::model::{Breaker, PinMode, Upstream, UpstreamId};
use crate::yaml::{Field, Named, Span};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;
use url::{Host, Url};

const DEFAULT_CONCURRENT: NonZeroU32 = NonZeroU32::MIN.saturating_add(1023);
const DEFAULT_FAILURES: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);

impl Check<'_> {
    pub(super) fn upstreams(
        &self,
        field: Field<Named<Name, grammar::Upstream>>,
        pins: PinMode,
    ) -> BTreeMap<UpstreamId, Upstream> {
        let entries = field.into_value().unwrap_or_default().0;
        let checked = entries.into_iter().filter_map(|entry| {
            let upstream = self.upstream(entry.value.into_value()?, entry.at, pins)?;
            Some((UpstreamId::from(entry.key.0.as_str()), upstream))
        });
        checked.collect()
    }

    fn upstream(&self, given: grammar::Upstream, at: Span, pins: PinMode) -> Option<Upstream> {
        let insecure = given.insecure.get().copied().unwrap_or(false);
        let allow_link_local = given.allow_link_local.get().copied().unwrap_or(false);
        let seconds = |field, default| self.nonzero(field, Duration::from_secs(default));
        if given.command.is_absent() {
            self.need(&given.url, at, "url", "https://mcp.example.com/mcp");
        }
        let timeout = seconds(&given.timeout, 60);
        let connect_timeout = seconds(&given.connect_timeout, 5);
        let stream_idle_timeout = seconds(&given.stream_idle_timeout, 300);
        let breaker = self.breaker(&given.breaker);
        let ca = self.file(&given.ca);
        let protocol = self.protocol(&given.protocol);
        let credential = self.credential(given.credential, insecure);
        let url = self.endpoint(&given.url, insecure)?;
        self.link_local(&url, given.url.span().unwrap_or(at), allow_link_local);
        Some(Upstream {
            url,
            credential: credential?,
            timeout,
            connect_timeout,
            stream_idle_timeout,
            keepalive: Self::duration(&given.keepalive, Duration::from_secs(4)),
            http: given.http.get().map(|http| http.0).unwrap_or_default(),
            protocol,
            pins: given.pins.get().map_or(pins, |mode| mode.0),
            ca,
            max_concurrent: Self::count(&given.max_concurrent, DEFAULT_CONCURRENT),
            breaker,
            allow_link_local,
            insecure,
        })
    }

    fn breaker(&self, field: &Field<grammar::Breaker>) -> Breaker {
        let absent = grammar::Breaker::default();
        let given = field.get().unwrap_or(&absent);
        Breaker {
            failures: Self::count(&given.failures, DEFAULT_FAILURES),
            cooldown: self.nonzero(&given.cooldown, Duration::from_secs(10)),
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
