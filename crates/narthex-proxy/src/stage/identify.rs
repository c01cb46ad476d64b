//! Stage 2: who calls. No token, no body is read.

use crate::gateway::Shared;
use crate::proving;
use crate::record::Visit;
use crate::refusal::Refusal;
use crate::stage::frame::Inbound;
use http::HeaderValue;
use narthex_identity::{Caller, access_token};
use pingora::protocols::http::ServerSession;
use std::ops::Range;
use std::sync::Arc;

/// A request whose caller is known.
pub(crate) struct Identified {
    pub(crate) inbound: Inbound,
    pub(crate) caller: Arc<Caller>,
    token: Option<InboundToken>,
}

/// Where the caller's token stands. It goes to the token exchange and nowhere else.
struct InboundToken {
    field: HeaderValue,
    range: Range<usize>,
}

impl Identified {
    /// The caller's own token, for exchanging it.
    pub(crate) fn token(&self) -> Option<&str> {
        let token = self.token.as_ref()?;
        std::str::from_utf8(token.field.as_bytes().get(token.range.clone())?).ok()
    }
}

/// Verifies the token for this route's resource, and that it is its sender's; on a route that says `auth: none` there is nobody to
/// verify, and what comes in `Authorization` is not even read.
///
/// # Errors
/// No token, or not a good one for this route.
pub(crate) async fn caller(
    shared: &Shared,
    mut inbound: Inbound,
    session: &mut ServerSession,
    visit: &mut Visit,
) -> Result<Identified, Refusal> {
    if let Some(anonymous) = &inbound.route.anonymous {
        let caller = Arc::clone(anonymous);
        visit.caller = Some(Arc::clone(&caller));
        return Ok(Identified { inbound, caller, token: None });
    }
    let (caller, range) = {
        let (scheme, token) = access_token(inbound.facts.authorization.iter().map(HeaderValue::as_bytes))
            .map_err(Refusal::Token)?;
        visit.scheme = scheme;
        if inbound.facts.leaks(token) {
            return Err(Refusal::TokenLeak);
        }
        let (identity, resource) = (&visit.snapshot.identity, inbound.route.resource.as_str());
        let known = match identity.cached(token, resource, visit.now) {
            Some(known) => {
                shared.metrics.token_cache(true);
                known
            }
            None => {
                shared.metrics.token_cache(false);
                identity.verify(token, resource, visit.now).await
            }
        };
        let presented = known.map_err(Refusal::Token)?;
        let caller = match presented.unbound(scheme, inbound.route.sender_constrained) {
            Ok(caller) => caller,
            Err(presented) => proving::prove(presented, token, &inbound, session, visit).await?,
        };
        (caller, range_in(inbound.facts.authorization.first(), token))
    };
    visit.caller = Some(Arc::clone(&caller));
    let token = inbound.facts.authorization.pop().map(|field| InboundToken { field, range });
    Ok(Identified { inbound, caller, token })
}

/// Where `token`, which was cut out of `field`, stands in it.
fn range_in(field: Option<&HeaderValue>, token: &str) -> Range<usize> {
    let start = field.map_or(0, |f| token.as_ptr() as usize - f.as_bytes().as_ptr() as usize);
    start..start + token.len()
}
