//! The files that a configuration refers to.

use crate::model::{
    ClientAuth, Config, KeySource, OAuthClient, OAuthClientAuth, RegisteredAuth, SecretRef, StoreHome,
    VaultAuth,
};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Every file that a change of which changes what the gateway does: certificates, secrets, keys, pins.
/// That of the pins also where there is none yet, and in every mode: what it approves always counts.
pub(crate) fn files_of(config: &Config) -> Vec<PathBuf> {
    let mut files = BTreeSet::from([config.pins.file.clone()]);
    let mut add = |path: Option<&Path>| files.extend(path.map(Path::to_owned));
    if let Some(tls) = &config.server.tls {
        let authorities = match &tls.client_auth {
            ClientAuth::Required(path) | ClientAuth::Optional(path) => Some(path.as_path()),
            ClientAuth::Off | ClientAuth::Any => None,
        };
        [Some(tls.cert.as_path()), Some(&tls.key), authorities].into_iter().for_each(&mut add);
    }
    config.server.seal_keys.iter().chain(&config.store.keys).for_each(|key| add(secret(key)));
    if let StoreHome::Redis(redis) = &config.store.home {
        add(redis.ca.as_deref());
        add(redis.password.as_ref().and_then(secret));
    }
    if let Some(vault) = &config.secrets.vault {
        add(vault.ca.as_deref());
        // Kubernetes renews its token every hour, which changes nothing.
        if let VaultAuth::Token(reference) | VaultAuth::AppRole { secret_id: reference, .. } = &vault.auth {
            add(secret(reference));
        }
    }
    for issuer in &config.auth.issuers {
        if let KeySource::File(path) = &issuer.keys {
            add(Some(path));
        }
        add(issuer.introspection.as_ref().and_then(|introspection| client(&introspection.client)));
    }
    if let Some(authority) = &config.auth.authority {
        for client in authority.clients.values() {
            match &client.auth {
                RegisteredAuth::Secret(reference) => add(secret(reference)),
                RegisteredAuth::KeyFile(path) => add(Some(path)),
                RegisteredAuth::None | RegisteredAuth::KeyUri(_) => {}
            }
        }
        for issuer in authority.assertions.values() {
            if let KeySource::File(path) = &issuer.keys {
                add(Some(path));
            }
        }
        let registration = authority.dynamic_registration.as_ref();
        let token = registration.and_then(|registration| registration.initial_access_token.as_ref());
        add(token.and_then(secret));
        let login = authority.login.iter();
        let (providers, users) =
            (login.clone().flat_map(|login| &login.providers), login.flat_map(|login| &login.users));
        providers.for_each(|provider| add(client(&provider.client)));
        users.for_each(|user| add(user.password.as_ref().and_then(secret)));
    }
    for upstream in config.upstreams.values() {
        add(upstream.ca.as_deref());
        if let Some(tls) = &upstream.tls {
            [&tls.certificate, &tls.key].into_iter().for_each(|path| add(Some(path)));
        }
        upstream.credential.secrets().into_iter().for_each(|(reference, _)| add(secret(reference)));
        upstream.credential.clients().into_iter().for_each(|client| add(certificate(client)));
    }
    files.into_iter().collect()
}

fn client(registration: &OAuthClient) -> Option<&Path> {
    registration.secret().and_then(|(reference, _)| secret(reference))
}

fn certificate(registration: &OAuthClient) -> Option<&Path> {
    match &registration.auth {
        OAuthClientAuth::Tls { certificate, .. } => Some(certificate),
        _ => None,
    }
}

fn secret(reference: &SecretRef) -> Option<&Path> {
    match reference {
        SecretRef::File(path) => Some(path),
        SecretRef::Env(_) | SecretRef::Vault(_) => None,
    }
}
