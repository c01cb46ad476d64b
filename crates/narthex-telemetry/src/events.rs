//! Rare events: key refreshes, token exchanges, reloads. Never called once per request on the hot path.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Counters of what happens behind the scenes.
#[derive(Clone, Debug)]
pub struct Events {
    jwks_refresh: IntCounterVec,
    introspection: IntCounterVec,
    token_exchange: IntCounterVec,
    token_exchange_duration: HistogramVec,
    secrets_refresh: IntCounterVec,
    secrets_success: IntGauge,
    vault_login: IntCounterVec,
}

/// What may come of reading the secrets of a configuration from the vault, as the metric names it.
const SECRETS_RESULTS: [&str; 6] = ["ok", "unreachable", "login", "denied", "missing", "bad"];

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
            secrets_refresh: secrets_refresh(registry)?,
            secrets_success: secrets_success(registry)?,
            vault_login: vault_login(registry)?,
        })
    }

    /// All secrets that the configuration names were read from the vault (`ok`), or not: `unreachable`,
    /// `login`, `denied`, `missing` or `bad`.
    pub fn secrets_refreshed(&self, result: &'static str, now: SystemTime) {
        self.secrets_refresh.with_label_values(&[result]).inc();
        if result == "ok"
            && let Ok(since) = now.duration_since(UNIX_EPOCH)
        {
            self.secrets_success.set(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        }
    }

    /// The gateway logged in to its vault, or renewed its login, or could not.
    pub fn vault_login(&self, renewal: bool, ok: bool) {
        let kind = if renewal { "renewal" } else { "login" };
        self.vault_login.with_label_values(&[kind, result(ok)]).inc();
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

/// With a series for each result, so that a rate sees the first failure, too.
fn secrets_refresh(registry: &Registry) -> Result<IntCounterVec, prometheus::Error> {
    let help = "Readings of the configuration's secrets from the vault.";
    let counter = IntCounterVec::new(Opts::new("narthex_secrets_refresh_total", help), &["result"])?;
    for result in SECRETS_RESULTS {
        counter.get_metric_with_label_values(&[result])?;
    }
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn secrets_success(registry: &Registry) -> Result<IntGauge, prometheus::Error> {
    let help = "Unix time of the last reading of all secrets from the vault; 0 before the first.";
    let gauge = IntGauge::new("narthex_secrets_last_success_timestamp_seconds", help)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

fn vault_login(registry: &Registry) -> Result<IntCounterVec, prometheus::Error> {
    let help = "Logins to the vault, and renewals of a login.";
    let counter = IntCounterVec::new(Opts::new("narthex_vault_logins_total", help), &["kind", "result"])?;
    for kind in ["login", "renewal"] {
        for ok in [true, false] {
            counter.get_metric_with_label_values(&[kind, result(ok)])?;
        }
    }
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn result(ok: bool) -> &'static str {
    if ok { "ok" } else { "error" }
}
