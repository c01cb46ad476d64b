//! Whom the configuration of now lets in: what somebody was when they logged in may not be so any more.

use super::User;
use narthex_config::model::{self, LocalUser, LoginTenant, Preset, TenantId};
use std::collections::BTreeSet;

/// See the module.
#[derive(Debug)]
pub(super) struct Known {
    tenants: BTreeSet<TenantId>,
    providers: Vec<Provider>,
    users: Vec<LocalUser>,
}

#[derive(Debug)]
struct Provider {
    id: String,
    issuer: String,
    preset: Preset,
    tenant: LoginTenant,
}

impl Known {
    pub(super) fn new(config: &model::Login) -> Self {
        let provider = |provider: &model::Provider| Provider {
            id: provider.id.clone(),
            issuer: provider.issuer.clone(),
            preset: provider.preset,
            tenant: provider.claims.tenant.clone(),
        };
        Self {
            tenants: config.tenants.clone(),
            providers: config.providers.iter().map(provider).collect(),
            users: config.users.clone(),
        }
    }

    /// `user`, who has logged in once, as they are now; `None`: a login would not make this user any more. What
    /// only the identity provider knows stays as it said.
    pub(super) fn now(&self, user: &User) -> Option<User> {
        if !self.tenants.contains(&user.tenant) {
            return None;
        }
        if user.provider == User::LOCAL {
            let is_same = |one: &&LocalUser| one.name == user.provider_subject && one.tenant == user.tenant;
            let local = self.users.iter().find(is_same)?;
            return Some(User { groups: local.groups.clone(), ..user.clone() });
        }
        let provider = self.providers.iter().find(|one| one.id == user.provider)?;
        (provider.issues(&user.provider_issuer) && provider.says(&user.tenant)).then(|| user.clone())
    }
}

impl Provider {
    /// Whether `issuer` may be the provider's: another one's users are others, whatever the entry is called.
    fn issues(&self, issuer: &str) -> bool {
        // What Entra's issuers for several directories say is the directory.
        let of_directory = |word: &str| {
            let (before, after) = self.issuer.split_once(word)?;
            issuer.strip_prefix(before)?.strip_suffix(after)
        };
        let is_entra = self.preset == Preset::Entra;
        self.issuer == issuer
            || (is_entra
                && ["/common/", "/organizations/", "/consumers/"]
                    .iter()
                    .any(|word| of_directory(word).is_some()))
    }

    /// Whether a login there may still be for `tenant`.
    fn says(&self, tenant: &TenantId) -> bool {
        match &self.tenant {
            LoginTenant::Value(only) => only == tenant,
            LoginTenant::Claim { values: Some(values), .. } => values.values().any(|one| one == tenant),
            LoginTenant::Claim { values: None, .. } => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::login::fixtures::{config, local, provider, tenant};
    use std::collections::BTreeMap;

    const ISSUER: &str = "https://idp.example";

    fn known(change: impl Fn(&mut model::Provider)) -> Known {
        let mut corp = provider("corp", ISSUER);
        change(&mut corp);
        Known::new(&config(vec![corp], vec![local("alice", None)]))
    }

    #[test]
    fn who_a_login_would_not_make_any_more_is_not_known() {
        let user = fixtures::user();
        assert_eq!(known(|_| ()).now(&user), Some(user.clone()));
        let values = |value: &str| BTreeMap::from([("o-1".to_owned(), tenant(value))]);
        let table = |value: &str| LoginTenant::Claim { claim: "org".to_owned(), values: Some(values(value)) };
        assert!(known(|corp| corp.claims.tenant = LoginTenant::Value(tenant("acme"))).now(&user).is_some());
        assert!(known(|corp| corp.claims.tenant = table("acme")).now(&user).is_some());
        assert!(known(|corp| corp.claims.tenant = table("globex")).now(&user).is_none());
        assert!(known(|corp| corp.claims.tenant = LoginTenant::Value(tenant("globex"))).now(&user).is_none());
        assert!(known(|corp| corp.id = "other".to_owned()).now(&user).is_none());
        for issuer in ["https://other.example", "https://idp.example/", "https://idp.example/common/"] {
            assert!(known(|corp| corp.issuer = issuer.to_owned()).now(&user).is_none(), "{issuer}");
        }
        let gone = TenantId::from("initech");
        assert!(known(|_| ()).now(&User { tenant: gone, ..user }).is_none());
    }

    #[test]
    fn a_directory_of_entra_is_one_of_several() {
        let directory = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0";
        let user = User { provider_issuer: directory.to_owned(), ..fixtures::user() };
        let several = "https://login.microsoftonline.com/organizations/v2.0";
        let entra = |issuer: &str, preset: Preset| {
            known(|corp| (corp.issuer, corp.preset) = (issuer.to_owned(), preset)).now(&user).is_some()
        };
        assert!(entra(several, Preset::Entra) && entra(directory, Preset::Entra));
        assert!(!entra(several, Preset::Generic));
        assert!(!entra("https://login.microsoftonline.us/organizations/v2.0", Preset::Entra));
        assert!(!entra("https://login.microsoftonline.com/other/v2.0", Preset::Entra));
    }

    #[test]
    fn a_development_user_is_what_the_configuration_says_now() {
        let mut alice = fixtures::user();
        (alice.provider, alice.provider_subject) = (User::LOCAL.to_owned(), "alice".to_owned());
        alice.groups = vec!["admins".to_owned()];
        let now = known(|_| ()).now(&alice).unwrap();
        assert_eq!(now.groups, ["staff"], "the groups of now");
        assert!(known(|_| ()).now(&User { tenant: tenant("globex"), ..alice.clone() }).is_none());
        assert!(known(|_| ()).now(&User { provider_subject: "bob".to_owned(), ..alice }).is_none());
    }
}
