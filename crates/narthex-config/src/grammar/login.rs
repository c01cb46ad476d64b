//! `auth.authority.login:`, how users log in.

use schemars::JsonSchema;
use serde::Deserialize;

/// How users log in.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Login {}
