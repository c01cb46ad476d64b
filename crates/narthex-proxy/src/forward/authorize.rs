//! The one place where a request to an upstream gets its credential.

use crate::refusal::Refusal;
use narthex_credentials::{Outgoing, Presented, UpstreamCredential};
use narthex_upstreams::Upstream;
use pingora::http::RequestHeader;
use std::time::SystemTime;

/// Puts the credential into `header`, which is complete but for it. A signature covers header and body, so neither
/// may be changed afterwards.
///
/// # Errors
/// The credential is another upstream's, or cannot be presented any more.
pub(crate) fn authorize(
    header: &mut RequestHeader,
    body: &[u8],
    upstream: &Upstream,
    credential: &UpstreamCredential,
    now: SystemTime,
) -> Result<(), Refusal> {
    let internal = |_| Refusal::Internal("cannot build the upstream's request");
    // As it was given, byte by byte: a URI may write it in another way.
    let target = std::str::from_utf8(header.raw_path());
    let target = target.map_err(|_| Refusal::Internal("a path that is no text"))?;
    let request =
        Outgoing { origin: &upstream.origin, method: &header.method, target, headers: &header.headers, body };
    match credential.present(&request, now).map_err(Refusal::Credential)? {
        Presented::Nothing => {}
        Presented::Kept(name, value) => {
            header.insert_header(name.clone(), value.clone()).map_err(internal)?
        }
        Presented::Made(fields) => {
            for (name, value) in fields {
                header.insert_header(name, value).map_err(internal)?;
            }
        }
    }
    Ok(())
}
