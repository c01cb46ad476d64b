//! `credential: { authorization_code: … }`.

use super::Check;
use crate::grammar::{self, Gateway, Registration};
use crate::model::{AuthorizationCode, Credential, OAuthClientAuth, ResourceParameter};
use crate::yaml::{Field, Span};

impl Check<'_> {
    /// Reports upstreams that users connect where no user can show who they are.
    pub(super) fn users_for_consent(&self, gateway: &Gateway) {
        let authority = gateway.auth.get().and_then(|auth| auth.authority.get());
        if authority.is_some_and(|authority| !authority.login.is_absent()) {
            return;
        }
        let upstreams = gateway.upstreams.get().into_iter().flat_map(|named| &named.0);
        for credential in upstreams.filter_map(|entry| Some(&entry.value.get()?.credential)) {
            if let (Some(at), Some(grammar::Credential::AuthorizationCode(_))) =
                (credential.span(), credential.get())
            {
                let message = "users connect this upstream at their browsers, and nobody can log in there";
                let help = "add `auth: { authority: { login: { providers: … } } }`";
                self.report.error_with_help(at, message, help);
            }
        }
    }

    pub(super) fn authorization_code(
        &self,
        given: grammar::AuthorizationCode,
        at: Span,
        insecure: bool,
    ) -> Option<Credential> {
        let has_client = !given.client.is_absent();
        if let (true, Some(at)) = (has_client, given.registration.span()) {
            let message = "`client` is a registration already, so there is nothing to register";
            self.report.error_with_help(at, message, "remove `registration` or `client`");
        }
        let ways = self.ways_to_register(&given.registration);
        let client = if has_client { self.client(given.client, at) } else { None };
        if client.as_ref().is_some_and(|client| matches!(client.auth, OAuthClientAuth::Tls { .. })) {
            let help = "use `secret` or `private_key`";
            self.report.error_with_help(at, "this credential's `client` has no certificate", help);
        }
        let issuer = given.issuer.with_span().and_then(|(at, text)| self.issuer_name(text, at, insecure));
        let resource = given.resource.with_span().and_then(|(at, text)| self.resource_named(at, text));
        if has_client && client.is_none() {
            return None;
        }
        Some(Credential::AuthorizationCode(Box::new(AuthorizationCode {
            scopes: Self::scopes(&given.scopes),
            client,
            metadata_document: ways.contains(&Registration::MetadataDocument),
            dynamic: ways.contains(&Registration::Dynamic),
            issuer,
            resource,
            resource_parameter: match given.resource_parameter.get() {
                None | Some(grammar::ResourceParameter::Resource) => ResourceParameter::Resource,
                Some(grammar::ResourceParameter::Audience) => ResourceParameter::Audience,
                Some(grammar::ResourceParameter::None) => ResourceParameter::None,
            },
            title: self.text(given.title),
        })))
    }

    fn ways_to_register(&self, field: &Field<Vec<Field<Registration>>>) -> Vec<Registration> {
        let Some(listed) = field.get() else {
            return vec![Registration::MetadataDocument, Registration::Dynamic];
        };
        if let (true, Some(at)) = (listed.is_empty(), field.span()) {
            let help =
                "add `client: { id: …, secret: { file: … } }`, or a way: `[metadata_document, dynamic]`";
            self.report.error_with_help(at, "without a registration nobody can connect", help);
        }
        listed.iter().filter_map(Field::get).copied().collect()
    }
}
