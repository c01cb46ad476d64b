//! `auth.dpop`, and whether what a route demands can be met.

use super::Check;
use crate::grammar;
use crate::model::{Algorithm, ClientAuth, Dpop, Route, SenderConstrained, Tls};
use crate::yaml::{Field, Span};
use std::time::Duration;

/// Longest time that a proof may be used: as long it is remembered.
const MAX_WINDOW: Duration = Duration::from_secs(300);

impl Check<'_> {
    pub(super) fn dpop(&self, field: Field<grammar::Dpop>) -> Dpop {
        let given = field.into_value().unwrap_or_default();
        let default = Dpop::default();
        let window = self.nonzero(&given.window, default.window);
        if let Some(at) = given.window.span()
            && window > MAX_WINDOW
        {
            let message = "a window over 5m would leave stolen proofs good for long";
            self.report.error_with_help(
                at,
                message,
                "clients make a new proof for each request: `60s` will do",
            );
        }
        Dpop {
            nonce: given.nonce.get() == Some(&grammar::DpopNonce::Required),
            window,
            algorithms: self.proof_algorithms(&given.algorithms, default.algorithms),
            replay_cache: Self::usize(&given.replay_cache, default.replay_cache),
        }
    }

    fn proof_algorithms(
        &self,
        field: &Field<Vec<Field<grammar::Alg>>>,
        default: Vec<Algorithm>,
    ) -> Vec<Algorithm> {
        let Some(listed) = field.get() else { return default };
        if let (true, Some(at)) = (listed.is_empty(), field.span()) {
            let help = "name those that clients use: `[ES256, EdDSA]`";
            self.report.error_with_help(at, "without an algorithm no proof is accepted", help);
        }
        let mut algorithms = Vec::new();
        for alg in listed.iter().filter_map(Field::get) {
            if !algorithms.contains(&alg.0) {
                algorithms.push(alg.0);
            }
        }
        algorithms
    }

    pub(super) fn tls_clients(&self, tls: &grammar::Tls) -> Option<ClientAuth> {
        let authorities = self.file(&tls.client_ca);
        let Some((at, mode)) = tls.client_auth.span().zip(tls.client_auth.get()) else {
            return Some(authorities.map_or(ClientAuth::Off, ClientAuth::Required));
        };
        match (mode, authorities) {
            (grammar::ClientAuth::Required, Some(path)) => Some(ClientAuth::Required(path)),
            (grammar::ClientAuth::Optional, Some(path)) => Some(ClientAuth::Optional(path)),
            (grammar::ClientAuth::Any, None) => Some(ClientAuth::Any),
            (grammar::ClientAuth::Any, Some(_)) => {
                let help = "remove `client_ca`, or say `optional`";
                self.report.error_with_help(at, "with `any`, no authority is asked", help);
                None
            }
            (_, None) => {
                let help = "add `client_ca: { file: clients.pem }`";
                self.report.error_with_help(at, "whose certificates? `client_ca` is missing", help);
                None
            }
        }
    }

    /// A route that wants certificates on a listener that never asks for one refuses everybody.
    pub(super) fn can_be_bound(&self, route: &Route, given: &grammar::Route, at: Span, tls: Option<&Tls>) {
        let asks = tls.is_some_and(|tls| tls.client_auth != ClientAuth::Off);
        if route.sender_constrained == Some(SenderConstrained::Mtls) && !asks {
            let message = "nobody can show a client certificate here";
            let help = "add `tls: { …, client_ca: { file: clients.pem } }` to `server`, or ask for `dpop`";
            self.report.error_with_help(given.auth.span().unwrap_or(at), message, help);
        }
    }
}
