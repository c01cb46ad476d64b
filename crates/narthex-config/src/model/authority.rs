//! The authorization server inside the gateway.

use super::{Algorithm, KeySource, Login, Rate, ScopeName, SecretRef, TenantId, TenantRule};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// `auth.authority`.
#[derive(Clone, Debug)]
pub struct Authority {
    /// How long an access token is good: 5 to 15 min. Default 10 min.
    pub access_token_lifetime: Duration,
    /// How long refresh tokens are good.
    pub refresh_token: RefreshTokens,
    /// Signature algorithm of access tokens: ES256 or EdDSA.
    pub algorithm: Algorithm,
    /// How long one key signs; at least 1 h. Default 30 days.
    pub key_rotation: Duration,
    /// Clients that are known beforehand, by client id.
    pub clients: BTreeMap<String, RegisteredClient>,
    /// Clients by Client ID Metadata Documents; `None`: not accepted.
    pub metadata_documents: Option<MetadataDocuments>,
    /// Registration by the clients themselves (RFC 7591); `None`: not offered.
    pub dynamic_registration: Option<DynamicRegistration>,
    /// Identity providers whose assertions are exchanged for tokens, by the name of the provider, with which
    /// `sub` begins.
    pub assertions: BTreeMap<String, AssertionIssuer>,
    /// Which scopes users may be granted.
    pub grants: Vec<ScopeGrant>,
    /// What scopes let somebody do, for the page of consent.
    pub scopes: BTreeMap<ScopeName, String>,
    /// How users log in; `None`: they cannot.
    pub login: Option<Login>,
}

/// `refresh_token:`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RefreshTokens {
    /// From the login on. Default 30 days.
    pub lifetime: Duration,
    /// Without being used. Default 7 days.
    pub idle: Duration,
}

/// A client that is known beforehand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RegisteredClient {
    /// What users are shown.
    pub name: String,
    /// Where users may be sent back to, as written; whether they are fit for it is for the authority to say.
    pub redirect_uris: Vec<String>,
    /// How it authenticates.
    pub auth: RegisteredAuth,
    /// Most that it may be granted; `None`: whatever the user may be.
    pub scopes: Option<BTreeSet<ScopeName>>,
    /// May exchange assertions; it authenticates then.
    pub assertions: bool,
    /// May ask about tokens (RFC 7662); it authenticates then.
    pub introspection: bool,
}

/// How a client that is known beforehand authenticates.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RegisteredAuth {
    /// Not at all: a public client.
    None,
    /// With a secret, in the header or in the body.
    Secret(SecretRef),
    /// With assertions (`private_key_jwt`), whose keys are in this file.
    KeyFile(PathBuf),
    /// The same, whose keys are at this URL.
    KeyUri(Url),
}

/// `metadata_documents:`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MetadataDocuments {
    /// Hosts that documents may be at; never empty unless `allow_loopback`.
    pub allow: Vec<HostPattern>,
    /// Documents at loopback addresses, too; only with a loopback `public_url`.
    pub allow_loopback: bool,
}

/// `dynamic_registration:`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DynamicRegistration {
    /// Hosts of redirect URIs besides loopback ones.
    pub redirect_hosts: Vec<HostPattern>,
    /// Schemes without a dot that redirect URIs may have, in lower case.
    pub redirect_schemes: Vec<String>,
    /// What whoever registers must present.
    pub initial_access_token: Option<SecretRef>,
    /// Registrations from one address. Default 20 an hour.
    pub rate: Rate,
    /// Most clients at one time. Default 1000, at most 10,000.
    pub most: NonZeroUsize,
    /// A client that is not used for so long is forgotten. Default 30 days.
    pub unused: Duration,
}

/// An entry of `assertions:`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AssertionIssuer {
    /// The exact `iss` value.
    pub issuer: String,
    /// Where the signing keys are.
    pub keys: KeySource,
    /// Signature algorithms accepted; never empty.
    pub algorithms: Vec<Algorithm>,
    /// How an assertion says which tenant its user belongs to.
    pub tenant: TenantRule,
    /// The claim that lists the user's groups.
    pub groups: Option<String>,
    /// Clients that may present them; `None`: all that have `assertions: true`.
    pub clients: Option<BTreeSet<String>>,
}

/// An entry of `grants:`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScopeGrant {
    /// Of these tenants; `None`: of all.
    pub tenants: Option<BTreeSet<TenantId>>,
    /// In any of these groups; `None`: in whichever, or in none.
    pub groups: Option<BTreeSet<String>>,
    /// What such users may be granted.
    pub scopes: BTreeSet<ScopeName>,
}

/// A host name, all names below one (`*.example.com`), or any (`*`). Lower case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HostPattern {
    /// Any host.
    Any,
    /// This one.
    Host(String),
    /// Those below this one, but not itself.
    Below(String),
}

impl HostPattern {
    /// Reads a pattern; `None`: it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let name = |text: &str| {
            let legal = |label: &str| {
                !label.is_empty()
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            };
            (text.len() <= 253 && text.split('.').all(legal)).then(|| text.to_ascii_lowercase())
        };
        match text.strip_prefix("*.") {
            Some(rest) => name(rest).map(Self::Below),
            None if text == "*" => Some(Self::Any),
            None => name(text).map(Self::Host),
        }
    }

    /// Whether `host`, in lower case, is meant.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Host(name) => name == host,
            Self::Below(name) => {
                host.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HostPattern;

    #[test]
    fn a_pattern_means_a_host_or_those_below_it() {
        let matches = |pattern: &str, host: &str| HostPattern::parse(pattern).unwrap().matches(host);
        assert!(matches("*", "a.example"));
        assert!(matches("Claude.ai", "claude.ai"));
        assert!(!matches("claude.ai", "x.claude.ai"));
        assert!(!matches("claude.ai", "notclaude.ai"));
        assert!(matches("*.example.com", "a.example.com"));
        assert!(matches("*.example.com", "a.b.example.com"));
        for host in ["example.com", ".example.com", "aexample.com", "example.com.evil.test"] {
            assert!(!matches("*.example.com", host), "{host}");
        }
        for bad in ["", "a..b", "*.", "*a.com", "a.*", "https://a", "a:80", "a/b", "a b", "[::1]"] {
            assert_eq!(HostPattern::parse(bad), None, "{bad}");
        }
    }
}
