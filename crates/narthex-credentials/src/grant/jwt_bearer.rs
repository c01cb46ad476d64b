//! RFC 7523 §2.1: the gateway asserts for whom it wants a token.

use super::{Asking, Form, JWT_BEARER};
use crate::answer::{self, Expected, Issued};
use crate::assertion::{Claims, Signer};
use crate::error::{CredentialError, Reason};
use crate::subject;
use crate::token_client::TokenClient;
use narthex_config::model::AssertedSubject;
use std::borrow::Cow;
use std::time::Duration;

/// What is asserted, and where.
pub(crate) struct JwtBearer {
    /// With [`ClientAuth::Nobody`](crate::client_auth::ClientAuth::Nobody) where the assertion is all.
    pub(crate) at: TokenClient,
    pub(crate) signer: Signer,
    pub(crate) issuer: String,
    pub(crate) subject: AssertedSubject,
    pub(crate) audience: String,
    pub(crate) scope: Option<String>,
    pub(crate) scope_in_assertion: bool,
    pub(crate) lifetime: Duration,
}

impl JwtBearer {
    pub(super) fn is_per_caller(&self) -> bool {
        !matches!(self.subject, AssertedSubject::Value(_))
    }

    pub(super) async fn ask(&self, asking: Asking<'_>) -> Result<Issued, CredentialError> {
        let subject = self.subject_of(asking)?;
        let mut claims = Claims::new(&self.issuer, &subject, &self.audience, asking.now, self.lifetime)?;
        let mut form = Form::of(JWT_BEARER);
        match self.scope_in_assertion {
            true => claims.scope = self.scope.as_deref(),
            false => form.add_if("scope", self.scope.as_deref()),
        }
        let assertion = self.signer.sign(&claims)?;
        form.add("assertion", &assertion);
        let sent: Vec<&str> = std::iter::once(assertion.as_str()).chain(asking.subject_token).collect();
        let at = self.at.locate(asking.now).await?;
        answer::read(at.post(form, asking.now).await?, Expected::AccessToken, &sent)
    }

    fn subject_of<'a>(&'a self, asking: Asking<'a>) -> Result<Cow<'a, str>, CredentialError> {
        match &self.subject {
            AssertedSubject::Value(value) => Ok(value.into()),
            AssertedSubject::Claim(name) => subject::claim(asking.subject()?, name).map(Into::into),
            AssertedSubject::Caller => {
                let subject = asking.caller.map(|caller| &*caller.subject).filter(|sub| !sub.is_empty());
                subject.map(Into::into).ok_or_else(|| Reason::NoSubjectClaim.into())
            }
        }
    }
}
