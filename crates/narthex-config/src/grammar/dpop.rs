//! `auth.dpop`, `server.tls.client_auth` and what a route demands of its callers' tokens.

use super::Count;
use super::scalar::{Alg, HumanDuration};
use crate::yaml::Field;
use schemars::JsonSchema;
use serde::Deserialize;

/// How proofs of possession (DPoP, RFC 9449) are judged.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Dpop {
    /// `required`: a proof must have a nonce that the gateway has handed out lately. Default `off`.
    pub(crate) nonce: Field<DpopNonce>,
    /// How long a proof may be used, from its `iat` on; at most `5m`. Default `60s`.
    pub(crate) window: Field<HumanDuration>,
    /// Signature algorithms accepted. Default `[ES256, ES384, EdDSA, RS256, PS256]`.
    pub(crate) algorithms: Field<Vec<Field<Alg>>>,
    /// Most proofs remembered at one time as used. Over it: 503. Default 1000000.
    pub(crate) replay_cache: Field<Count>,
}

/// Whether proofs need a nonce of the gateway's.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DpopNonce {
    /// They do.
    Required,
    /// They do not.
    Off,
}

/// What is asked of callers of a route.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RouteAuth {
    /// Anyone may call.
    None,
    /// A token that is of use only to whom it was given to.
    SenderConstrained(SenderConstrained),
}

/// How a token must be bound to its sender.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SenderConstrained {
    /// To a key, by DPoP (RFC 9449).
    Dpop,
    /// To a TLS client certificate (RFC 8705).
    Mtls,
    /// To either.
    Any,
}

/// Which TLS clients may connect.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientAuth {
    /// Those with a certificate of `client_ca`.
    Required,
    /// Those with a certificate of `client_ca`, and those without any.
    Optional,
    /// All. Certificates may be of any authority, or self-signed: nothing but a token that is bound to one
    /// gives it a meaning.
    Any,
}
