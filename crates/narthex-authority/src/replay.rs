//! What may be used once: the `jti` of assertions.

use crate::error::OAuthError;
use narthex_store::{Key, Vault};
use std::time::Duration;

/// Notes that `issuer`'s JWT called `id` has been used, for as long as it is good; whether it is the first time.
pub(crate) async fn first_use(
    vault: &Vault,
    issuer: &str,
    id: &str,
    remember: Duration,
) -> Result<bool, OAuthError> {
    let key = Key::new("authority.jti", &[issuer, id]);
    Ok(vault.put_if_absent(&key, &[1], remember.max(Duration::from_secs(1))).await?)
}
