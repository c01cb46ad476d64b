//! Rare events: key refreshes, token exchanges, reloads. Never called once per request on the hot path.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use std::time::Duration;

/// Counters of what happens behind the scenes.
#[derive(Clone, Debug)]
pub struct Events {
    jwks_refresh: IntCounterVec,
    introspection: IntCounterVec,
    token_exchange: IntCounterVec,
    token_exchange_duration: HistogramVec,
}

impl Events {
    /// Registers the counters with `registry`.
    ///
    /// # Errors
    /// One of the names is registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let token_exchange_duration = HistogramVec::new(
            HistogramOpts::new(
                "narthex_token_exchange_duration_seconds",
                "Time to obtain a credential for an upstream from its authorization server.",
            ),
            &["upstream"],
        )?;
        registry.register(Box::new(token_exchange_duration.clone()))?;
        Ok(Self {
            jwks_refresh: counter(
                "narthex_jwks_refresh_total",
                "Fetches of an issuer's signing keys.",
                &["issuer", "result"],
            )?,
            introspection: counter(
                "narthex_introspection_total",
                "RFC 7662 introspections of opaque tokens.",
                &["issuer", "result"],
            )?,
            token_exchange: counter(
                "narthex_token_exchange_total",
                "Credentials requested from an upstream's authorization server.",
                &["upstream", "result"],
            )?,
            token_exchange_duration,
        })
    }

    /// An issuer's keys were fetched, or could not be.
    pub fn jwks_refreshed(&self, issuer: &str, ok: bool) {
        self.jwks_refresh.with_label_values(&[issuer, result(ok)]).inc();
    }

    /// An opaque token was introspected: `active`, `inactive` or `error`.
    pub fn introspected(&self, issuer: &str, result: &'static str) {
        self.introspection.with_label_values(&[issuer, result]).inc();
    }

    /// A token endpoint was asked for a credential for `upstream`.
    pub fn token_exchanged(&self, upstream: &str, ok: bool, took: Duration) {
        self.token_exchange.with_label_values(&[upstream, result(ok)]).inc();
        self.token_exchange_duration.with_label_values(&[upstream]).observe(took.as_secs_f64());
    }
}

fn result(ok: bool) -> &'static str {
    if ok { "ok" } else { "error" }
}
