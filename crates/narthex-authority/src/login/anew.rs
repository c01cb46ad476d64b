//! How fresh a login has to be (OpenID Connect Core §3.1.2.1, `prompt`).

use narthex_config::model::Preset;
use serde::{Deserialize, Serialize};

/// What has to be done although somebody is logged in already, here or at the identity provider. What is more
/// includes what is less.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Anew {
    /// Nothing: who is logged in there is logged in here.
    #[default]
    No,
    /// The user chooses the account.
    Account,
    /// The user shows again who they are.
    Login,
}

impl Anew {
    /// All there are.
    pub(super) const ALL: [Self; 3] = [Self::No, Self::Account, Self::Login];

    /// What a form is called that begins such a login.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::No => "login",
            Self::Account => "login account",
            Self::Login => "login anew",
        }
    }

    /// `prompt` of a request to a provider of this kind. Where none can have the account chosen, a whole login
    /// does; Google knows no other way to have the user do anything.
    pub(super) const fn prompt(self, preset: Preset) -> Option<&'static str> {
        match (self, preset) {
            (Self::No, _) => None,
            (Self::Account, Preset::Entra | Preset::Google) | (Self::Login, Preset::Google) => {
                Some("select_account")
            }
            _ => Some("login"),
        }
    }

    /// `max_age` of such a request, seconds: with it, the ID token has to say when the user logged in (§2,
    /// `auth_time`). It is no 0, which some take for nothing, and some for a login without end. Entra and Google
    /// do not say it for that.
    pub(super) const fn max_age(self, preset: Preset) -> Option<&'static str> {
        match (self, preset) {
            (Self::Login, Preset::Generic | Preset::Okta | Preset::Keycloak | Preset::Auth0) => Some("60"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_asked_in_words_that_they_know() {
        let asked = |anew: Anew, preset| (anew.prompt(preset), anew.max_age(preset));
        for preset in [Preset::Generic, Preset::Okta, Preset::Keycloak, Preset::Auth0] {
            assert_eq!(asked(Anew::No, preset), (None, None));
            assert_eq!(asked(Anew::Account, preset), (Some("login"), None));
            assert_eq!(asked(Anew::Login, preset), (Some("login"), Some("60")));
        }
        assert_eq!(asked(Anew::Account, Preset::Entra), (Some("select_account"), None));
        assert_eq!(asked(Anew::Login, Preset::Entra), (Some("login"), None));
        assert_eq!(asked(Anew::Login, Preset::Google), (Some("select_account"), None));
        assert!(Anew::No < Anew::Account && Anew::Account < Anew::Login);
    }
}
