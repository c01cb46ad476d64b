//! ID tokens of users who logged in, for exchanging them at their identity provider.

use super::User;
use narthex_config::model::TenantId;
use narthex_store::{Error, Key, Vault};
use std::fmt;
use std::time::SystemTime;
use zeroize::Zeroizing;

/// The last ID token of each user, sealed in the vault until it ends.
///
/// They are kept only where an upstream's credential is made of them (`id_jag`), and for nothing else.
#[derive(Clone)]
pub struct IdTokens(Vault);

impl IdTokens {
    /// Those in `vault`.
    #[must_use]
    pub fn new(vault: Vault) -> Self {
        Self(vault)
    }

    /// Keeps `jwt`, which was verified and ends at `expires`, in place of the user's last one.
    pub(super) async fn keep(
        &self,
        user: &User,
        jwt: &str,
        expires: SystemTime,
        now: SystemTime,
    ) -> Result<(), Error> {
        let life = expires.duration_since(now).unwrap_or_default();
        self.0.put(&key(&user.tenant, &user.subject), jwt.as_bytes(), life).await
    }

    /// The ID token of the user whom the authority's tokens call `subject`; `None`: it has ended, or there never
    /// was one.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub async fn of(&self, tenant: &TenantId, subject: &str) -> Result<Option<Zeroizing<String>>, Error> {
        let found = self.0.get(&key(tenant, subject)).await?;
        Ok(found.and_then(|jwt| String::from_utf8(jwt.to_vec()).ok()).map(Zeroizing::new))
    }
}

impl fmt::Debug for IdTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdTokens").finish_non_exhaustive()
    }
}

fn key(tenant: &TenantId, subject: &str) -> Key {
    Key::new("id-token", &[tenant.as_str(), subject])
}
