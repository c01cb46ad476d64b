//! `preset:`.

use super::Check;
use crate::grammar;
use crate::model::Preset;
use crate::yaml::Field;

impl Check<'_> {
    /// The product; [`Preset::Generic`] where none is named.
    pub(super) fn preset(field: &Field<grammar::Preset>) -> Preset {
        match field.get() {
            None | Some(grammar::Preset::Generic) => Preset::Generic,
            Some(grammar::Preset::Entra) => Preset::Entra,
            Some(grammar::Preset::Okta) => Preset::Okta,
            Some(grammar::Preset::Google) => Preset::Google,
            Some(grammar::Preset::Keycloak) => Preset::Keycloak,
            Some(grammar::Preset::Auth0) => Preset::Auth0,
        }
    }
}
