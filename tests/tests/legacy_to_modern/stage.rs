//! What every test here needs: an identity provider, a server of 2026-07-28, and a gateway between.

use super::client::Client;
use narthex_testkit::{GatewayProcess, Launch, MockIdp, ModernOnly, Place, RecordingUpstream};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The revisions with sessions.
pub(crate) const LEGACY: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

/// The last of them.
pub(crate) const LATEST: &str = "2025-11-25";

/// All that a client can offer.
pub(crate) fn everything() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {"listChanged": true}})
}

/// What differs from stage to stage.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    /// Lines of `server.limits`, indented by four.
    pub(crate) limits: String,
    /// Lines of the upstream besides its `url`, indented by four.
    pub(crate) upstream: String,
}

impl Setup {
    /// With these limits, one after the other.
    pub(crate) fn limits(limits: &[&str]) -> Self {
        let limits = limits.iter().map(|limit| format!("    {limit}\n")).collect();
        Self { limits, ..Self::default() }
    }

    /// With this line for the upstream.
    pub(crate) fn upstream(line: &str) -> Self {
        Self { upstream: format!("    {line}\n"), ..Self::default() }
    }

    /// Starts everything.
    pub(crate) async fn start(&self) -> Stage {
        let (idp, upstream) = (MockIdp::start().await, RecordingUpstream::start().await);
        let server = ModernOnly::default();
        let rule = server.clone();
        upstream.always(move |request| rule.answer(request));
        self.between(Arc::new(idp), Arc::new(upstream), server).await
    }

    /// Starts a gateway between these.
    pub(crate) async fn between(
        &self,
        idp: Arc<MockIdp>,
        upstream: Arc<RecordingUpstream>,
        server: ModernOnly,
    ) -> Stage {
        let url = upstream.url("/mcp");
        let launch = Launch::new(|place: &Place| self.yaml(place, &idp, &url));
        let gateway = launch.start().await.unwrap_or_else(|failure| panic!("{failure}"));
        Stage { idp, upstream, server, gateway }
    }

    fn yaml(&self, place: &Place, idp: &MockIdp, url: &str) -> String {
        let seal = place.file("seal", "07".repeat(32));
        let limits = match self.limits.as_str() {
            "" => String::new(),
            limits => format!("  limits:\n{limits}"),
        };
        let more = format!("  threads: 1\n  seal_keys: [{{ file: {} }}]\n{limits}", seal.display());
        format!(
            r#"{server}
auth:
  issuers:
    - {issuer}
tenants:
  acme: {{ routes: [main, other] }}
  globex: {{ routes: [main, other] }}
upstreams:
  main:
    url: {url}
    breaker: {{ failures: 1000, cooldown: 1s }}
{upstream}routes:
  main:
    path: /mcp
    upstream: main
    tools:
      - match: ["secret_*"]
        deny: true
  other: {{ path: /other, upstream: main }}
"#,
            server = place.server_yaml(&more),
            issuer = idp.issuer_yaml(6),
            upstream = self.upstream,
        )
    }
}

/// An identity provider, a server of 2026-07-28 only, and a gateway between.
pub(crate) struct Stage {
    pub(crate) idp: Arc<MockIdp>,
    pub(crate) upstream: Arc<RecordingUpstream>,
    pub(crate) server: ModernOnly,
    pub(crate) gateway: GatewayProcess,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        Setup::default().start().await
    }

    /// A token with these claims in the place of alice's of acme, for `path`.
    pub(crate) fn token(&self, path: &str, claims: Value) -> String {
        self.idp.token_with(&format!("{}{path}", self.gateway.place().public_url()), claims)
    }

    /// A client with this token, without a session.
    pub(crate) fn client(&self, path: &str, token: String) -> Client {
        Client::new(self.gateway.address(), path, token)
    }

    /// Alice on `/mcp`, with a session of this revision, offering `capabilities`.
    pub(crate) async fn open(&self, revision: &str, capabilities: Value) -> Client {
        self.open_as(json!({}), revision, capabilities).await
    }

    /// The same by whoever has these claims.
    pub(crate) async fn open_as(&self, claims: Value, revision: &str, capabilities: Value) -> Client {
        let mut client = self.client("/mcp", self.token("/mcp", claims));
        let answer = client.initialize(revision, capabilities).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        client.initialized().await;
        client
    }

    /// Answers the next call of a tool by a text.
    pub(crate) fn next_text(&self, text: &'static str) {
        self.server.next("tools/call", move |request| {
            narthex_testkit::Answer::complete(
                request,
                json!({"content": [{"type": "text", "text": text}], "isError": false}),
            )
        });
    }

    /// Answers the next call of a tool by a stream; the call's id, as JSON, is 1.
    pub(crate) fn next_stream(&self) -> narthex_testkit::SseFeed {
        let (answer, feed) = narthex_testkit::Answer::sse();
        self.server.next("tools/call", move |_| answer);
        feed
    }
}

/// A text as the complete result of the call with that id, for a stream.
pub(crate) fn completed(id: &Value, text: &str) -> String {
    let result = json!({"resultType": "complete", "content": [{"type": "text", "text": text}]});
    json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string()
}

/// Runs `attempt` until it gives something, for at most 20 s.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, attempt: impl Fn() -> F) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if let Some(found) = attempt().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within 20 s")
}
