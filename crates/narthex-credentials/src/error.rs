//! Why there is no credential: when building, and for one call.

use crate::consent::Consent;
use crate::secret::SecretError;
use narthex_config::model::UpstreamId;
use narthex_upstreams::egress::EgressError;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Longest detail that is kept for the log, characters.
const MAX_DETAIL: usize = 200;

/// The credentials of a configuration cannot be set up.
#[derive(Debug, Error)]
#[error("upstream {upstream}: {problem}")]
pub struct BuildError {
    upstream: UpstreamId,
    #[source]
    problem: BuildProblem,
}

/// What is wrong with one upstream's credential.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildProblem {
    /// Users connect the upstream, and there is no place to keep what they connect.
    #[error("there is no store for what users connect")]
    NoVault,
    /// Its secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The name or value cannot be sent as an HTTP header.
    #[error("credential: {0}")]
    Header(&'static str),
    /// The private key of `private_key_jwt` does not fit.
    #[error("private key: {0}")]
    Key(&'static str),
    /// A certificate to be shown to a token endpoint cannot be used.
    #[error("certificate: {0}")]
    Certificate(String),
    /// The gateway has no keys to sign with.
    #[error("there are no signing keys")]
    NoSigningKeys,
    /// The system has no random numbers for us.
    #[error("no random numbers")]
    Random,
    /// The HTTP client for token endpoints cannot be made.
    #[error(transparent)]
    Egress(#[from] EgressError),
}

impl BuildError {
    pub(crate) fn new(upstream: &UpstreamId, problem: impl Into<BuildProblem>) -> Self {
        Self { upstream: upstream.clone(), problem: problem.into() }
    }

    /// The upstream whose credential it is.
    #[must_use]
    pub fn upstream(&self) -> &UpstreamId {
        &self.upstream
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problem(&self) -> &BuildProblem {
        &self.problem
    }
}

/// A credential cannot be had for a call.
///
/// `Display` and [`reason`](Self::reason) are safe to show to the caller; [`detail`](Self::detail) is
/// for the log. Neither holds a token or secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CredentialError {
    reason: Reason,
    detail: Option<Arc<str>>,
    consent: Option<Arc<Consent>>,
}

/// The stable reasons, as metrics and logs name them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// The authorization server said no (RFC 6749 §5.2).
    ExchangeRefused,
    /// The authorization server did not answer, or with a 5xx or 429.
    ExchangeUnreachable,
    /// Its answer holds no token that could be used.
    BadTokenResponse,
    /// It handed the caller's own token back: passing that on would be a passthrough.
    EchoedSubjectToken,
    /// The call came without a token that could be exchanged.
    NoSubjectToken,
    /// The credential belongs to another origin.
    WrongOrigin,
    /// The upstream refused a credential that cannot be renewed: a fixed one, or one that has just been.
    NotRenewable,
    /// The assertion that authenticates the gateway, or a request, could not be signed.
    AssertionFailed,
    /// The caller's token has no claim that says for whom the wanted one is to be.
    NoSubjectClaim,
    /// The caller's token has ended, so nothing is said of the caller any more.
    CallerExpired,
    /// The authorization server wants the user to log in again, to consent, or to prove more than before.
    InteractionRequired,
    /// The user must consent at the upstream's own authorization server first: [`CredentialError::consent`]
    /// says where.
    ConsentRequired,
    /// The gateway is no client of the upstream's authorization server, and cannot become one.
    NoRegistration,
    /// What users connected cannot be read or kept just now.
    VaultUnavailable,
    /// The upstream, or its authorization server, says of itself what cannot be used.
    DiscoveryFailed,
    /// The upstream wants scopes that the user was just asked for, or too many, or too often.
    ScopeNotGranted,
}

impl Reason {
    /// The reason's stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExchangeRefused => "exchange_refused",
            Self::ExchangeUnreachable => "exchange_unreachable",
            Self::BadTokenResponse => "bad_token_response",
            Self::EchoedSubjectToken => "echoed_subject_token",
            Self::NoSubjectToken => "no_subject_token",
            Self::WrongOrigin => "wrong_origin",
            Self::NotRenewable => "not_renewable",
            Self::AssertionFailed => "assertion_failed",
            Self::NoSubjectClaim => "no_subject_claim",
            Self::CallerExpired => "caller_expired",
            Self::InteractionRequired => "interaction_required",
            Self::ConsentRequired => "consent_required",
            Self::NoRegistration => "no_registration",
            Self::VaultUnavailable => "vault_unavailable",
            Self::DiscoveryFailed => "discovery_failed",
            Self::ScopeNotGranted => "scope_not_granted",
        }
    }
}

impl From<Reason> for CredentialError {
    fn from(reason: Reason) -> Self {
        Self { reason, detail: None, consent: None }
    }
}

impl From<Arc<Consent>> for CredentialError {
    fn from(consent: Arc<Consent>) -> Self {
        Self { reason: Reason::ConsentRequired, detail: None, consent: Some(consent) }
    }
}

impl CredentialError {
    /// An error with a detail for the log: made printable and short here, whoever wrote it.
    pub(crate) fn with_detail(reason: Reason, detail: &str) -> Self {
        Self { reason, detail: Some(printable(detail).into()), consent: None }
    }

    /// The same, saying in the log at which of several servers it happened.
    pub(crate) fn at(self, place: &str) -> Self {
        let detail = printable(&format!("{place}: {}", self.detail()));
        Self { detail: Some(detail.into()), ..self }
    }

    /// The stable reason, for metrics, logs and callers.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reason.as_str()
    }

    /// The reason as a type, to decide on.
    #[must_use]
    pub fn kind(&self) -> Reason {
        self.reason
    }

    /// Where the user consents, if that is what is missing.
    #[must_use]
    pub fn consent(&self) -> Option<&Consent> {
        self.consent.as_deref()
    }

    /// What the log may know in addition; not for callers. Empty if there is nothing.
    #[must_use]
    pub fn detail(&self) -> &str {
        self.detail.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no credential for the upstream: {}", self.reason())
    }
}

impl std::error::Error for CredentialError {}

/// `text` with everything but printable ASCII replaced, cut to [`MAX_DETAIL`].
pub(crate) fn printable(text: &str) -> String {
    let safe = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
    text.chars().take(MAX_DETAIL).map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_printable_and_short_whoever_wrote_it() {
        let hostile = format!("invalid_grant\r\nlevel=info \u{1b}[31m\u{202e}{}", "x".repeat(10_000));
        let error = CredentialError::with_detail(Reason::ExchangeRefused, &hostile);
        assert!(error.detail().starts_with("invalid_grant??level=info ?[31m?xx"));
        assert_eq!(error.detail().len(), MAX_DETAIL);
    }

    #[test]
    fn the_callers_face_has_no_detail() {
        let error = CredentialError::with_detail(Reason::ExchangeRefused, "invalid_client at idp.internal");
        assert_eq!(error.to_string(), "no credential for the upstream: exchange_refused");
    }
}
