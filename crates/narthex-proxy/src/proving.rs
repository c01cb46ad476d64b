//! Whether a token is its sender's: the part of `identify` for tokens and routes that demand a proof.

use crate::client_certificate;
use crate::record::Visit;
use crate::refusal::Refusal;
use crate::reply::text_value;
use crate::snapshot::RouteEntry;
use crate::stage::frame::Inbound;
use http::HeaderValue;
use narthex_config::model::SenderConstrained;
use narthex_identity::{Caller, Evidence, Presented, Scheme, TokenError, challenge};
use pingora::protocols::http::ServerSession;
use std::sync::Arc;

/// Has what the token is bound to proven by the request that it came with. Each request anew: that the token
/// is known from before proves nothing of its sender.
///
/// # Errors
/// It is not proven, or the token is not bound as the route demands.
pub(crate) async fn prove(
    presented: Presented,
    token: &str,
    inbound: &Inbound,
    session: &mut ServerSession,
    visit: &mut Visit,
) -> Result<Arc<Caller>, Refusal> {
    let evidence = Evidence {
        token,
        scheme: visit.scheme,
        proofs: &inbound.facts.proofs,
        method: inbound.verb.as_str(),
        target: &inbound.route.target,
        certificate: client_certificate::of(session),
        required: inbound.route.sender_constrained,
    };
    let verifier = &visit.snapshot.dpop;
    let admitted = presented.proven(&evidence, verifier, visit.now).await.map_err(Refusal::Token)?;
    if admitted.wants_nonce {
        visit.dpop_nonce = nonce(visit);
    }
    Ok(admitted.caller)
}

/// The challenges of a refused token: how a better one would have to come. The second is for routes that take
/// either kind.
pub(crate) fn challenges(
    error: &TokenError,
    route: &RouteEntry,
    visit: &Visit,
) -> (HeaderValue, Option<HeaderValue>) {
    let url = visit.snapshot.metadata_url(route);
    let bearer = || challenge::unauthorized(url.as_deref(), &route.scopes, Some(error));
    let algorithms = &visit.snapshot.dpop_algorithms;
    let dpop = || challenge::dpop_unauthorized(algorithms, url.as_deref(), &route.scopes, Some(error));
    let is_bound_to_key = matches!(error, TokenError::Downgraded | TokenError::Dpop(_));
    match route.sender_constrained {
        _ if is_bound_to_key => (dpop(), None),
        Some(SenderConstrained::Mtls) => (bearer(), None),
        _ if visit.scheme == Scheme::Dpop => (dpop(), None),
        None => (bearer(), None),
        Some(SenderConstrained::Dpop) => (dpop(), None),
        // Clients that look at the first only are those that know no other scheme than this.
        Some(SenderConstrained::Any) => (bearer(), Some(dpop())),
    }
}

/// The nonce that the client's next proof is to have, if there must be one.
pub(crate) fn nonce(visit: &Visit) -> Option<HeaderValue> {
    visit.snapshot.dpop.nonce(visit.now).and_then(|nonce| text_value(&nonce))
}
