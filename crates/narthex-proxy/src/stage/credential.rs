//! Stage 6: who we are to the upstream. Never the caller's token.

use crate::record::Visit;
use crate::refusal::Refusal;
use crate::stage::permit::Permitted;
use narthex_credentials::UpstreamCredential;

/// A request that may be made, with the credential to make it with.
pub(crate) struct Credentialed<'b> {
    pub(crate) permitted: Box<Permitted<'b>>,
    pub(crate) credential: UpstreamCredential,
}

/// Takes the credential from the cache, or has one made for this upstream (and, for a token exchange,
/// this caller).
///
/// # Errors
/// None can be had.
pub(crate) async fn obtain<'b>(
    permitted: Box<Permitted<'b>>,
    visit: &Visit,
) -> Result<Credentialed<'b>, Refusal> {
    let identified = &permitted.routed.scanned.identified;
    let (source, caller, token) =
        (&identified.inbound.route.credentials, identified.caller.as_ref(), identified.token());
    let credential = match source.ready(caller, token, visit.now) {
        Some(ready) => ready,
        None => source.obtain(caller, token, visit.now).await.map_err(Refusal::Credential)?,
    };
    Ok(Credentialed { permitted, credential })
}
