//! One trusted issuer, ready to verify its tokens.

use crate::jwt::Unverified;
use crate::jwt::claims::ClaimRules;
use crate::keys::{Held, KeySet, KeyStore, State};
use crate::{BuildError, TokenError};
use narthex_config::model::{self, Algorithm, KeySource};
use narthex_telemetry::Events;
use narthex_upstreams::egress::Egress;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// An issuer under one configuration. What it has verified is known by [`id`](Self::id) in the cache,
/// so that nothing outlives a change of the rules.
#[derive(Debug)]
pub(crate) struct Issuer {
    /// Never the same for two configurations in the life of the process.
    pub(crate) id: u64,
    pub(crate) config: model::Issuer,
    pub(crate) rules: ClaimRules,
    pub(crate) keys: Arc<KeyStore>,
}

/// What an issuer is built with.
pub(crate) struct Surroundings<'b> {
    pub(crate) egress: &'b Egress,
    pub(crate) events: &'b Events,
    /// The issuers of the configuration before.
    pub(crate) previous: &'b [Arc<Issuer>],
}

impl Issuer {
    /// The issuer of the configuration before if nothing about it changed; otherwise a new one, with
    /// the keys of the one before if they come from the same place.
    pub(crate) fn build(
        config: &model::Issuer,
        rules: ClaimRules,
        around: &Surroundings<'_>,
    ) -> Result<Arc<Self>, BuildError> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let previous = around.previous.iter().find(|old| old.keys.is_for(&config.issuer, &config.keys));
        let keys = key_store(config, previous.map(|old| &old.keys), around)?;
        if let Some(old) = previous
            && Arc::ptr_eq(&keys, &old.keys)
            && same(&old.config, config)
            && old.rules == rules
        {
            return Ok(Arc::clone(old));
        }
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Self { id, config: config.clone(), rules, keys }))
    }

    /// Checks a signature, with newer keys if the ones at hand may be too old. Returns the generation
    /// of the keys it was checked with.
    pub(crate) async fn check_signature(
        &self,
        token: &Unverified<'_>,
        algorithm: Algorithm,
        now: SystemTime,
    ) -> Result<u64, TokenError> {
        let held = self.keys.held();
        let first = check(&held, token, algorithm);
        match first {
            Err(error) if error == TokenError::KeysUnavailable || token.may_need_newer_keys(error) => {
                self.keys.refetch(held.version(), now).await;
                check(&self.keys.held(), token, algorithm)
            }
            other => other,
        }
    }

    /// Whether its tokens can be verified.
    pub(crate) fn is_ready(&self) -> bool {
        match &self.keys.held().state {
            State::Unknown => false,
            State::NotPublished => self.config.introspection.is_some(),
            State::Keys(keys) => keys.len() > 0 || self.config.introspection.is_some(),
        }
    }
}

fn check(held: &Held, token: &Unverified<'_>, algorithm: Algorithm) -> Result<u64, TokenError> {
    match &held.state {
        State::Unknown => Err(TokenError::KeysUnavailable),
        State::NotPublished => Err(TokenError::UnknownKey),
        State::Keys(keys) => token.check_signature(keys, algorithm).map(|()| held.generation),
    }
}

fn key_store(
    config: &model::Issuer,
    previous: Option<&Arc<KeyStore>>,
    around: &Surroundings<'_>,
) -> Result<Arc<KeyStore>, BuildError> {
    let keys = match &config.keys {
        KeySource::File(path) => read_file(&config.issuer, path)?,
        KeySource::Inline(json) => parse(&config.issuer, json.as_bytes())?,
        // Those of our own authority come by `Identity::publish`.
        KeySource::Discovery | KeySource::Uri(_) | KeySource::Own => {
            let new = || {
                KeyStore::remote(
                    &config.issuer,
                    config.keys.clone(),
                    around.egress.clone(),
                    around.events.clone(),
                )
            };
            return Ok(previous.cloned().unwrap_or_else(|| Arc::new(new())));
        }
    };
    if let Some(previous) = previous
        && matches!(&previous.held().state, State::Keys(old) if *old == keys)
    {
        return Ok(Arc::clone(previous));
    }
    let (egress, events) = (around.egress.clone(), around.events.clone());
    Ok(Arc::new(KeyStore::local(&config.issuer, config.keys.clone(), keys, egress, events)))
}

fn read_file(issuer: &str, path: &Path) -> Result<KeySet, BuildError> {
    let json = std::fs::read(path).map_err(|cause| BuildError::KeyFile {
        issuer: issuer.to_owned(),
        path: path.to_owned(),
        cause,
    })?;
    parse(issuer, &json)
}

fn parse(issuer: &str, json: &[u8]) -> Result<KeySet, BuildError> {
    let error = |cause| BuildError::KeySet { issuer: issuer.to_owned(), cause };
    let keys = KeySet::parse(json).map_err(error)?;
    if keys.len() == 0 {
        return Err(error(String::from("no key in it can verify a signature")));
    }
    Ok(keys)
}

fn same(a: &model::Issuer, b: &model::Issuer) -> bool {
    let asked = |issuer: &model::Issuer| {
        issuer.introspection.as_ref().map(|i| (i.url.clone(), i.client.clone(), i.cache))
    };
    (&a.issuer, &a.keys, &a.algorithms, &a.tenant, a.insecure)
        == (&b.issuer, &b.keys, &b.algorithms, &b.tenant, b.insecure)
        && asked(a) == asked(b)
}
