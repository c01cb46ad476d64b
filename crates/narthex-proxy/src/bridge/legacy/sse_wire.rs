//! HTTP+SSE, the transport of 2024-11-05 (basic/transports#http-with-sse): one stream for all that the
//! server says, and an endpoint, named by the stream's first event, for all that is said to it.

use super::ear::Ear;
use super::routes::Routes;
use super::session::REPLIES;
use super::source::Source;
use crate::bridge::link::{Fields, Link};
use crate::bridge::reader::{Reader, malformed};
use crate::refusal::Refusal;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use url::Url;

/// A stream that is open.
pub(super) struct SseWire {
    /// Path and query.
    endpoint: String,
    pub(super) routes: Arc<Routes>,
    task: AbortHandle,
}

impl SseWire {
    /// Opens the stream and waits for its first event.
    ///
    /// # Errors
    /// There is no stream, or its endpoint is at another origin.
    pub(super) async fn open(link: &mut Link, ear: Arc<Ear>) -> Result<Self, Refusal> {
        let mut heard = link.get(&Fields::new()).await?;
        if !heard.status.is_success() || !heard.reader.is_stream() {
            return Err(heard.refusal());
        }
        let patience = link.upstream().timeout;
        let endpoint = tokio::time::timeout(patience, heard.reader.endpoint()).await;
        let endpoint = endpoint.map_err(|_| malformed("no endpoint event came"))??;
        let endpoint = resolve(&link.upstream().origin, &link.upstream().path, &endpoint)
            .ok_or_else(|| malformed("the endpoint event names another origin"))?;
        let routes = Routes::of_http(ear);
        let reading = read(Arc::clone(&routes), link.detached(), endpoint.clone(), heard.reader);
        let task = tokio::spawn(reading).abort_handle();
        Ok(Self { endpoint, routes, task })
    }

    /// Sends a request; its messages will come from the stream.
    ///
    /// # Errors
    /// The server does not take it.
    pub(super) async fn call(&self, link: &mut Link, id: &str, body: String) -> Result<Source, Refusal> {
        let inbox = self.routes.register(id)?;
        self.tell(link, body).await?;
        Ok(Source::Wire(inbox))
    }

    /// Sends what has no answer.
    ///
    /// # Errors
    /// Likewise.
    pub(super) async fn tell(&self, link: &mut Link, body: String) -> Result<(), Refusal> {
        let heard = link.post_to(&self.endpoint, &Fields::new(), body).await?;
        if heard.status.is_success() { Ok(()) } else { Err(heard.refusal()) }
    }
}

impl Drop for SseWire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The endpoint's path and query, if it is at the stream's own origin.
fn resolve(origin: &str, path: &str, endpoint: &str) -> Option<String> {
    let base = Url::parse(&format!("{origin}{path}")).ok()?;
    let endpoint = base.join(endpoint.trim()).ok()?;
    let same = endpoint.origin() == base.origin() && endpoint.username().is_empty();
    let query = endpoint.query().map_or_else(String::new, |query| format!("?{query}"));
    same.then(|| format!("{}{query}", endpoint.path()))
}

async fn read(routes: Arc<Routes>, link: Link, endpoint: String, mut reader: Reader) {
    let replies = Arc::new(Semaphore::new(REPLIES));
    while let Ok(Some(incoming)) = reader.next().await {
        let Some(reply) = routes.route(incoming) else { continue };
        let Ok(place) = Arc::clone(&replies).try_acquire_owned() else { continue };
        let (mut link, endpoint) = (link.clone(), endpoint.clone());
        tokio::spawn(async move {
            drop(link.post_to(&endpoint, &Fields::new(), reply).await);
            drop(place);
        });
    }
    routes.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_posted_to_the_streams_own_origin_only() {
        let resolve = |endpoint| resolve("http://127.0.0.1:9001", "/sse", endpoint);
        assert_eq!(resolve("/messages?session=1").as_deref(), Some("/messages?session=1"));
        assert_eq!(resolve("messages").as_deref(), Some("/messages"));
        assert_eq!(resolve("http://127.0.0.1:9001/m").as_deref(), Some("/m"));
        for foreign in [
            "http://127.0.0.1:9002/m",
            "https://127.0.0.1:9001/m",
            "//evil.example/m",
            "http://u@127.0.0.1:9001/m",
            "javascript:alert(1)",
        ] {
            assert_eq!(resolve(foreign), None, "{foreign}");
        }
    }
}
