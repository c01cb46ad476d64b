//! The embedded development issuer as one more issuer of the configuration.

use bytes::Bytes;
use narthex_authority::{DevelopmentIssuer, OpenError, TENANT_CLAIM};
use narthex_config::Config;
use narthex_config::model::{Algorithm, Issuer, KeySource, TenantRule};
use narthex_proxy::{Content, Document};

/// Opens the issuer if `auth.embedded: development` says so.
pub(crate) fn open(config: &Config) -> Result<Option<DevelopmentIssuer>, OpenError> {
    if !config.auth.embedded_development {
        return Ok(None);
    }
    DevelopmentIssuer::open(&config.server.state_dir, &config.server.public_url.url).map(Some)
}

/// As [`open`], but writes nothing.
pub(crate) fn preview(config: &Config) -> Result<Option<DevelopmentIssuer>, OpenError> {
    if !config.auth.embedded_development {
        return Ok(None);
    }
    DevelopmentIssuer::preview(&config.server.state_dir, &config.server.public_url.url).map(Some)
}

/// Adds the issuer to those that are trusted.
pub(crate) fn trust(config: &mut Config, issuer: &DevelopmentIssuer) {
    config.auth.issuers.push(Issuer {
        issuer: issuer.issuer().to_owned(),
        keys: KeySource::Inline(issuer.jwks()),
        algorithms: vec![Algorithm::ES256],
        tenant: TenantRule::Claim(TENANT_CLAIM.to_owned()),
        introspection: None,
        insecure: false,
    });
}

/// What the issuer publishes: its metadata (RFC 8414 §3) and its keys.
pub(crate) fn documents(config: &Config, issuer: &DevelopmentIssuer) -> Vec<Document> {
    let prefix = &config.server.public_url.path;
    let json = |path: String, body: String| Document {
        path,
        content_type: "application/json",
        body: Content::Fixed(Bytes::from(body)),
    };
    vec![
        json(format!("/.well-known/oauth-authorization-server{prefix}"), issuer.metadata()),
        json(format!("{prefix}/oauth/jwks"), issuer.jwks()),
    ]
}
