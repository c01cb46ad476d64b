//! What users have allowed clients.

use crate::error::OAuthError;
use narthex_config::model::ScopeName;
use narthex_store::{Key, LONGEST_TTL, Vault};
use std::collections::BTreeSet;

/// Whom a consent is between, about what, and where the answer goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Between<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) client: &'a str,
    pub(crate) redirect_uri: &'a str,
    pub(crate) resource: &'a str,
}

impl Between<'_> {
    /// The scopes consented to; `None`: nothing was.
    pub(crate) async fn find(&self, vault: &Vault) -> Result<Option<BTreeSet<ScopeName>>, OAuthError> {
        let found = vault.get(&self.key()).await?;
        let names: Option<Vec<String>> = found.and_then(|json| serde_json::from_slice(&json).ok());
        Ok(names.map(|names| names.iter().map(|name| ScopeName::from(name.as_str())).collect()))
    }

    /// Adds `scopes` to what was consented to. It is kept for a year.
    pub(crate) async fn keep(&self, vault: &Vault, scopes: &BTreeSet<ScopeName>) -> Result<(), OAuthError> {
        let mut all = self.find(vault).await?.unwrap_or_default();
        all.extend(scopes.iter().cloned());
        let names: Vec<&str> = all.iter().map(ScopeName::as_str).collect();
        let json = serde_json::to_vec(&names).unwrap_or_default();
        Ok(vault.put(&self.key(), &json, LONGEST_TTL).await?)
    }

    fn key(&self) -> Key {
        let Self { tenant, subject, client, redirect_uri, resource } = self;
        Key::new("authority.consent", &[tenant, subject, client, redirect_uri, resource])
    }
}
