//! Who somebody is.

use narthex_config::model::TenantId;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// Somebody who logged in.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct User {
    /// The tenant that the login was mapped to; a configured one.
    pub tenant: TenantId,
    /// `sub` of the authority's tokens: `<provider>|<subject at the provider>`.
    pub subject: String,
    /// The id of the login provider in the configuration; [`User::LOCAL`] for development users.
    pub provider: String,
    /// `iss` of the provider; empty for development users.
    pub provider_issuer: String,
    /// `sub` at the provider (or what stands in for it there, see the presets).
    pub provider_subject: String,
    /// What people call the user: for pages only, never for decisions.
    pub name: String,
    /// The groups that the login was mapped to.
    pub groups: Vec<String>,
    /// When the user showed who they are, as far as that is known.
    pub authenticated_at: SystemTime,
}

impl User {
    /// [`provider`](Self::provider) of development users. No provider may have this id.
    pub const LOCAL: &str = "local";

    /// `sub` for `subject` at `provider`. Provider ids have no `|`, so no two users share one.
    #[must_use]
    pub fn subject_of(provider: &str, subject: &str) -> String {
        format!("{provider}|{subject}")
    }
}
