//! Whose a connection is.
//!
//! A user has one name here, however they come: the issuer of their identity provider and their subject
//! there. Tokens of an external issuer say just that. Tokens of the gateway's own authority say
//! `<provider>|<subject>`, which the configuration turns into the provider's issuer and the subject; so
//! does the browser of somebody who logged in. Users whom only the gateway knows (local ones, those of
//! `narthex token`) go by its own issuer and the subject as it stands. The tenant is part of the name.

use narthex_config::Config;
use narthex_config::model::TenantId;
use narthex_identity::Caller;
use serde::{Deserialize, Serialize};

/// A user by their one name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Person<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) issuer: &'a str,
    pub(crate) subject: &'a str,
}

/// The same, to be kept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Named {
    tenant: String,
    issuer: String,
    subject: String,
}

/// A user at their browser.
#[derive(Clone, Copy, Debug)]
pub struct Visitor<'a> {
    /// The tenant that their login was mapped to.
    pub tenant: &'a TenantId,
    /// `sub` of the gateway's own authority.
    pub subject: &'a str,
    /// The issuer of their identity provider; empty: only the gateway knows them.
    pub provider_issuer: &'a str,
    /// Their subject there.
    pub provider_subject: &'a str,
}

/// Who the gateway's own authority calls whom.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Directory {
    /// Its issuer.
    own: Box<str>,
    /// Its identity providers: name and issuer. There are a few.
    providers: Vec<(Box<str>, Box<str>)>,
}

// === impl Named ===

impl Named {
    pub(crate) fn as_person(&self) -> Person<'_> {
        Person { tenant: &self.tenant, issuer: &self.issuer, subject: &self.subject }
    }
}

impl From<Person<'_>> for Named {
    fn from(person: Person<'_>) -> Self {
        Self {
            tenant: person.tenant.to_owned(),
            issuer: person.issuer.to_owned(),
            subject: person.subject.to_owned(),
        }
    }
}

// === impl Directory ===

impl Directory {
    pub(crate) fn of(config: &Config) -> Self {
        let authority = config.auth.authority.as_ref();
        let login = authority.and_then(|authority| authority.login.as_ref());
        let providers = login.into_iter().flat_map(|login| &login.providers);
        let providers = providers.map(|provider| (provider.id.as_str(), provider.issuer.as_str()));
        let asserted = authority.into_iter().flat_map(|authority| &authority.assertions);
        let asserted = asserted.map(|(name, provider)| (name.as_str(), provider.issuer.as_str()));
        Self::new(&config.server.public_url.url, providers.chain(asserted))
    }

    pub(crate) fn new<'a>(own: &str, providers: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let providers = providers.map(|(name, issuer)| (name.into(), issuer.into()));
        Self { own: own.into(), providers: providers.collect() }
    }

    /// Who calls; `None`: nobody in particular.
    pub(crate) fn caller<'a>(&'a self, caller: &'a Caller) -> Option<Person<'a>> {
        let tenant = caller.tenant.as_str();
        let (issuer, subject) = (&*caller.issuer, &*caller.subject);
        if issuer.is_empty() || subject.is_empty() {
            return None;
        }
        Some(self.person(tenant, issuer, subject))
    }

    fn person<'a>(&'a self, tenant: &'a str, issuer: &'a str, subject: &'a str) -> Person<'a> {
        if *issuer == *self.own
            && let Some((name, rest)) = subject.split_once('|')
            && let Some((_, provider)) = self.providers.iter().find(|(known, _)| **known == *name)
        {
            return Person { tenant, issuer: provider, subject: rest };
        }
        Person { tenant, issuer, subject }
    }

    /// Whose browser it is, the name to be used first. There are two where a provider is configured under
    /// another issuer than its tokens name, as those are that serve many organisations.
    pub(crate) fn visitor<'a>(&'a self, visitor: &Visitor<'a>) -> Vec<Person<'a>> {
        let tenant = visitor.tenant.as_str();
        let mut persons = vec![self.person(tenant, &self.own, visitor.subject)];
        let there = Person { tenant, issuer: visitor.provider_issuer, subject: visitor.provider_subject };
        if !there.issuer.is_empty() && !there.subject.is_empty() && !persons.contains(&there) {
            persons.push(there);
        }
        persons
    }

    /// The issuer and subject of every token that means this person.
    pub(crate) fn names(&self, person: Person<'_>) -> Vec<(Box<str>, Box<str>)> {
        let here = self.providers.iter().filter(|(_, issuer)| **issuer == *person.issuer);
        let here = here.map(|(name, _)| (self.own.clone(), format!("{name}|{}", person.subject).into()));
        std::iter::once((person.issuer.into(), person.subject.into())).chain(here).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "https://gw.example.com";
    const IDP: &str = "https://idp.example.com";

    fn directory() -> Directory {
        Directory::new(OWN, [("corp", IDP), ("other", "https://other.example.com")].into_iter())
    }

    fn caller(issuer: &str, subject: &str) -> Caller {
        let mut caller = Caller::anonymous("acme".into());
        (caller.issuer, caller.subject) = (issuer.into(), subject.into());
        caller
    }

    #[test]
    fn one_user_has_one_name_however_they_come() {
        let directory = directory();
        let tenant = "acme".into();
        let ann = Person { tenant: "acme", issuer: IDP, subject: "ann|1" };
        assert_eq!(directory.caller(&caller(IDP, "ann|1")), Some(ann));
        assert_eq!(directory.caller(&caller(OWN, "corp|ann|1")), Some(ann));
        let visitor = Visitor {
            tenant: &tenant,
            subject: "corp|ann|1",
            provider_issuer: IDP,
            provider_subject: "ann|1",
        };
        assert_eq!(directory.visitor(&visitor), [ann]);
        let local = Visitor { subject: "local|ann", provider_issuer: "", provider_subject: "ann", ..visitor };
        assert_eq!(directory.visitor(&local), [directory.caller(&caller(OWN, "local|ann")).unwrap()]);
        // One provider for many organisations.
        let other = Visitor { provider_issuer: "https://idp.example.com/org", ..visitor };
        let there = caller("https://idp.example.com/org", "ann|1");
        assert_eq!(directory.visitor(&other), [ann, directory.caller(&there).unwrap()]);
    }

    #[test]
    fn nobody_takes_anothers_name() {
        let directory = directory();
        let ann = directory.caller(&caller(IDP, "ann")).map(Named::from);
        for (issuer, subject) in [
            (OWN, "ann"),
            (OWN, "other|ann"),
            (OWN, "local|ann"),
            (OWN, "corp"),
            (OWN, "corp||ann"),
            (OWN, "|corp|ann"),
            (IDP, "corp|ann"),
            ("https://other.example.com", "ann"),
            ("https://idp.example.com/", "ann"),
        ] {
            assert_ne!(
                directory.caller(&caller(issuer, subject)).map(Named::from),
                ann,
                "{issuer} {subject}"
            );
        }
        let mut elsewhere = caller(IDP, "ann");
        elsewhere.tenant = "globex".into();
        assert_ne!(directory.caller(&elsewhere).map(Named::from), ann);
        assert_eq!(directory.caller(&Caller::anonymous("acme".into())), None);
        assert_eq!(directory.caller(&caller(IDP, "")), None);
    }

    #[test]
    fn everybody_who_is_the_person_is_told_of_a_change() {
        let directory = directory();
        let ann = Person { tenant: "acme", issuer: IDP, subject: "ann" };
        let names = directory.names(ann);
        assert_eq!(names, [(IDP.into(), "ann".into()), (OWN.into(), "corp|ann".into())]);
        for (issuer, subject) in &names {
            assert_eq!(directory.caller(&caller(issuer, subject)), Some(ann));
        }
    }
}
