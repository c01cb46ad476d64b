//! `subscriptions/listen` (2026-07-28, basic/patterns/subscriptions) in front of an older server.

use super::Out;
use super::modern::Request;
use super::out::Aside;
use crate::bridge::enter::Bounds;
use crate::bridge::legacy::Listening;
use crate::bridge::link::Link;
use crate::refusal::Refusal;
use http::StatusCode;
use narthex_mcp::bridge::listen::{ACKNOWLEDGED, Filter, stamp};
use narthex_mcp::bridge::message::{self, RpcError};
use narthex_mcp::bridge::{Object, meta};
use narthex_mcp::rpc;
use std::sync::Arc;

/// Resources that one client may listen for.
pub(super) const MOST_URIS: usize = 1000;

/// Tells the client what it wants to hear, for as long as it listens.
///
/// # Errors
/// The server failed; nothing has been sent to the client.
pub(super) async fn answer(
    mut link: Link,
    request: Request,
    bounds: Bounds,
    out: &mut Out<'_>,
) -> Result<(), Refusal> {
    let wanted = Filter::parse(&request.params).ok().filter(|wanted| wanted.uris.len() <= MOST_URIS);
    let Some(wanted) = wanted else {
        let error = RpcError::new(
            rpc::INVALID_PARAMS,
            "params.notifications must say what to listen for, of at most 1000 resources",
        );
        return out.last(StatusCode::BAD_REQUEST, None, message::error(&request.id, &error)).await;
    };
    let shared = Arc::clone(&link.shared);
    let session = shared.bridge.sessions.get(&mut link, &request.declared, bounds).await?;
    let mut listening = Listening::begin(&session, link, &wanted).await;
    let acknowledged = stamp(&listening.filter.to_params(), &request.id);
    out.event(None, &message::notification(ACKNOWLEDGED, &acknowledged)).await?;
    loop {
        tokio::select! {
            biased;
            heard = listening.next() => match heard {
                Some((method, params)) => {
                    let params = stamp(&params, &request.id);
                    out.event(None, &message::notification(&method, &params)).await?;
                }
                None => break,
            },
            aside = out.aside(true) => match aside {
                Aside::Quiet => out.comment().await?,
                Aside::Gone => out.leave(),
                Aside::Expired | Aside::Stopping => {
                    out.cut("ended");
                    break;
                }
            },
        }
        if out.gone {
            return Ok(());
        }
    }
    let mut inner = Object::default();
    inner.set_json(meta::SUBSCRIPTION_ID, request.id.as_str());
    let mut result = Object::default();
    result.set_string("resultType", "complete");
    result.set_object("_meta", &inner);
    out.last(StatusCode::OK, None, message::result(&request.id, &result)).await
}
