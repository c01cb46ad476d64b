//! The gateway's own authorization server as one more issuer of the configuration.

use narthex_authority::{Authority, AuthorityParts, BuildError, TENANT_CLAIM};
use narthex_config::Config;
use narthex_config::model::{Issuer, KeySource, TenantRule};
use narthex_proxy::{Gateway, Snapshot};
use std::sync::Arc;
use tracing::error;

/// Builds it, if `config` asks for one, and has its tokens trusted.
pub(crate) fn open(
    config: &mut Config,
    parts: &AuthorityParts<'_>,
) -> Result<Option<Arc<Authority>>, BuildError> {
    let Some(authority) = Authority::build(config, parts)? else { return Ok(None) };
    trust(config, &authority);
    Ok(Some(Arc::new(authority)))
}

/// Puts the authority before all other issuers: it is the one that MCP clients get along with.
fn trust(config: &mut Config, authority: &Authority) {
    let Some(settings) = &config.auth.authority else { return };
    let issuer = Issuer {
        issuer: authority.issuer().to_owned(),
        keys: KeySource::Own,
        // Tokens of before a change of the algorithm go on to be good.
        algorithms: vec![
            settings.algorithm,
            narthex_config::model::Algorithm::ES256,
            narthex_config::model::Algorithm::EdDSA,
        ],
        tenant: TenantRule::Claim(TENANT_CLAIM.to_owned()),
        introspection: None,
        insecure: false,
    };
    config.auth.issuers.insert(0, issuer);
}

/// Has the gateway verify tokens with the keys of now, whenever they change.
pub(crate) fn follow(gateway: &Arc<Gateway>) {
    let Some(authority) = gateway.snapshot().authority().cloned() else { return };
    // The gateway has the authority, not the other way round.
    let followed = Arc::downgrade(gateway);
    authority.when_keys_change(move |issuer, jwks, revoked| {
        if let Some(gateway) = followed.upgrade()
            && let Err(cause) = gateway.snapshot().identity.publish(issuer, jwks, revoked)
        {
            error!(%cause, "the authority's keys are not taken");
        }
    });
}

/// Gives a new snapshot the keys that there are already.
pub(crate) fn hand_keys(snapshot: &Snapshot) {
    let Some(authority) = snapshot.authority() else { return };
    if let Some((jwks, revoked)) = authority.published()
        && let Err(cause) = snapshot.identity.publish(authority.issuer(), &jwks, revoked)
    {
        error!(%cause, "the authority's keys are not taken");
    }
}
