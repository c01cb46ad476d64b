//! Products whose quirks are known.

use schemars::JsonSchema;
use serde::Deserialize;

/// A product whose quirks are known.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Preset {
    /// As the standards say.
    Generic,
    /// Microsoft Entra ID.
    Entra,
    /// Okta.
    Okta,
    /// Google.
    Google,
    /// Keycloak.
    Keycloak,
    /// Auth0.
    Auth0,
}
