//! `upstreams:`.

use super::Check;
use crate::grammar::{self, Name};
use crate::model::{Breaker, CatalogueLimits, Credential, Health, PinMode, Transport, Upstream, UpstreamId};
use crate::yaml::{Field, Named, Span};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

const DEFAULT_CONCURRENT: NonZeroU32 = NonZeroU32::MIN.saturating_add(1023);
const DEFAULT_FAILURES: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);
const MIN_INTERVAL: Duration = Duration::from_millis(100);
const MAX_ITEMS: u32 = 100_000;
const MAX_BYTES: usize = 256 << 20;

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
        let transport = self.reached(&given, at);
        let timeout = seconds(&given.timeout, 60);
        let connect_timeout = seconds(&given.connect_timeout, 5);
        let stream_idle_timeout = seconds(&given.stream_idle_timeout, 300);
        let breaker = self.breaker(&given.breaker);
        let ca = self.file(&given.ca);
        let tls = self.client_tls(&given.tls, &transport);
        let protocol = self.protocol(&given.protocol);
        let health = self.health(&given.health);
        let catalogue = self.catalogue(&given.catalogue);
        let presented = given.credential.span().unwrap_or(at);
        let credential = self.credential(given.credential, insecure, transport.as_ref());
        let (credential, transport) = (credential?, transport?);
        self.presentable(&credential, presented, &transport);
        Some(Upstream {
            transport,
            credential,
            timeout,
            connect_timeout,
            stream_idle_timeout,
            keepalive: Self::duration(&given.keepalive, Duration::from_secs(4)),
            http: given.http.get().map(|http| http.0).unwrap_or_default(),
            protocol,
            pins: given.pins.get().map_or(pins, |mode| mode.0),
            ca,
            tls,
            max_concurrent: Self::count(&given.max_concurrent, DEFAULT_CONCURRENT),
            breaker,
            health,
            catalogue,
            allow_link_local,
            insecure,
        })
    }

    /// A program reads variables, and a server behind a URL headers.
    fn presentable(&self, credential: &Credential, at: Span, transport: &Transport) {
        match (credential, transport) {
            (Credential::None, _) | (Credential::Env(_), Transport::Stdio(_)) => {}
            (Credential::Env(_), Transport::Http(_)) => {
                let message = "the credential `env` goes with `command`, and this upstream has a URL";
                let help =
                    "use `header`, `basic`, `client_credentials`, `token_exchange` or another of those";
                self.report.error_with_help(at, message, help);
            }
            (_, Transport::Http(_)) => {}
            (_, Transport::Stdio(_)) => {
                let message = "this credential is sent in a header, and a `command` gets none";
                let help = "use `credential: { env: { API_TOKEN: { file: path } } }`";
                self.report.error_with_help(at, message, help);
            }
        }
    }

    fn breaker(&self, field: &Field<grammar::Breaker>) -> Breaker {
        let absent = grammar::Breaker::default();
        let given = field.get().unwrap_or(&absent);
        Breaker {
            failures: Self::count(&given.failures, DEFAULT_FAILURES),
            cooldown: self.nonzero(&given.cooldown, Duration::from_secs(10)),
        }
    }

    fn health(&self, field: &Field<grammar::Health>) -> Health {
        let absent = grammar::Health::default();
        let given = field.get().unwrap_or(&absent);
        let default = Health::default();
        self.within(&given.interval, |time| time.0 >= MIN_INTERVAL, "this is at least `100ms`");
        Health {
            interval: Self::duration(&given.interval, default.interval),
            timeout: self.nonzero(&given.timeout, default.timeout),
        }
    }

    fn catalogue(&self, field: &Field<grammar::Catalogue>) -> CatalogueLimits {
        let absent = grammar::Catalogue::default();
        let given = field.get().unwrap_or(&absent);
        let default = CatalogueLimits::default();
        self.within(&given.ttl, |time| time.0 >= Duration::from_secs(1), "this is at least `1s`");
        self.within(&given.items, |count| count.0.get() <= MAX_ITEMS, "a list has at most 100000 items");
        self.within(&given.bytes, |size| size.0 <= MAX_BYTES, "a list is at most `256MiB`");
        CatalogueLimits {
            ttl: Self::duration(&given.ttl, default.ttl),
            timeout: self.nonzero(&given.timeout, default.timeout),
            items: Self::usize(&given.items, default.items),
            bytes: given.bytes.get().map_or(default.bytes, |size| size.0),
        }
    }
}
