//! `subscriptions/listen` (2026-07-28, basic/patterns/subscriptions) in front of an older server.

use super::Out;
use super::modern::Request;
use super::out::Aside;
use crate::bridge::enter::Bounds;
use crate::bridge::legacy::Listening;
use crate::bridge::link::Link;
use crate::bridge::merge::Changes;
use crate::refusal::Refusal;
use http::StatusCode;
use narthex_mcp::bridge::listen::{ACKNOWLEDGED, Filter, stamp};
use narthex_mcp::bridge::message::{self, RpcError};
use narthex_mcp::bridge::{Object, meta};
use narthex_mcp::rpc;
use std::sync::Arc;

/// Resources that one client may listen for.
pub(crate) const MOST_URIS: usize = 1000;

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
    let listening = Listening::begin(&session, link, &wanted).await;
    let filter = listening.filter.clone();
    stream(listening, &filter, &request.id, out).await
}

/// Tells the client of what changes on a merged route, for as long as it listens. `id` is its request's.
///
/// # Errors
/// None in practice.
pub(crate) async fn stream_changes(changes: Changes, id: &str, out: &mut Out<'_>) -> Result<(), Refusal> {
    let filter = changes.filter.clone();
    stream(changes, &filter, id, out).await
}

/// Where notifications come from. Dropping the future of `next` loses nothing.
trait Notices {
    async fn next(&mut self) -> Option<(String, Object)>;
}

impl Notices for Listening {
    async fn next(&mut self) -> Option<(String, Object)> {
        Self::next(self).await
    }
}

impl Notices for Changes {
    async fn next(&mut self) -> Option<(String, Object)> {
        Self::next(self).await
    }
}

async fn stream(
    mut notices: impl Notices,
    filter: &Filter,
    id: &str,
    out: &mut Out<'_>,
) -> Result<(), Refusal> {
    let acknowledged = stamp(&filter.to_params(), id);
    out.event(None, &message::notification(ACKNOWLEDGED, &acknowledged)).await?;
    loop {
        tokio::select! {
            biased;
            heard = notices.next() => match heard {
                Some((method, params)) => {
                    let params = stamp(&params, id);
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
    inner.set_json(meta::SUBSCRIPTION_ID, id);
    let mut result = Object::default();
    result.set_string("resultType", "complete");
    result.set_object("_meta", &inner);
    out.last(StatusCode::OK, None, message::result(id, &result)).await
}
