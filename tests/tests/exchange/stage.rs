//! An identity provider, upstreams, and a gateway between them.

use narthex_testkit::{
    Answer, GatewayProcess, Launch, MockIdp, Place, RawResponse, RecordingUpstream, UpstreamRequest, mcp,
};
use serde_json::{Value, json};

/// The upstreams' secrets. Nobody but whom they are for may ever see them.
pub(crate) const SECRET: &str = "client-secret-canary-5d41402a";

pub(crate) struct Stage {
    pub(crate) idp: MockIdp,
    pub(crate) gateway: GatewayProcess,
}

/// `upstreams:` of a stage: a route `/NAME` leads to each, and `/all` to all of them if there are several.
pub(crate) type Upstreams<'a> = &'a [(&'a str, String)];

impl Stage {
    /// With these upstreams, each with its keys in flow style; `{dir}` stands for the gateway's directory.
    pub(crate) async fn start(upstreams: Upstreams<'_>) -> Self {
        Self::launch(upstreams, &[], |_| ()).await
    }

    pub(crate) async fn launch(
        upstreams: Upstreams<'_>,
        env: &[(&str, &str)],
        prepare: impl Fn(&Place),
    ) -> Self {
        let idp = MockIdp::start().await;
        let mut launch = Launch::new(|place: &Place| {
            prepare(place);
            yaml(place, &idp, upstreams)
        });
        for (name, value) in env {
            launch = launch.env(name, value);
        }
        let started = launch.start().await;
        let gateway = started.unwrap_or_else(|failure| panic!("{failure}"));
        drop(launch);
        Self { idp, gateway }
    }

    /// The configuration for other upstreams.
    pub(crate) fn yaml(&self, upstreams: Upstreams<'_>) -> String {
        yaml(self.gateway.place(), &self.idp, upstreams)
    }

    pub(crate) fn resource(&self, path: &str) -> String {
        format!("{}{path}", self.gateway.place().public_url())
    }

    /// A token of alice for the route at `path`.
    pub(crate) fn token(&self, path: &str) -> String {
        self.idp.token(&self.resource(path))
    }

    pub(crate) async fn send(&self, bytes: &[u8]) -> RawResponse {
        let answer = mcp::exchange(self.gateway.address(), bytes).await;
        answer.unwrap_or_else(|error| panic!("no answer ({error}):\n{}", self.gateway.output()))
    }

    /// Calls the tool `echo` at `path`, with this token.
    pub(crate) async fn call_as(&self, path: &str, token: &str) -> RawResponse {
        let body = mcp::tools_call("echo", json!({"hello": "world"}));
        self.send(&mcp::post(path, Some(token), &[("X-Request-Id", "request-1")], &body)).await
    }

    /// The same as alice.
    pub(crate) async fn call(&self, path: &str) -> RawResponse {
        self.call_as(path, &self.token(path)).await
    }

    /// The same, which has to go through.
    pub(crate) async fn works(&self, path: &str) {
        let answer = self.call(path).await;
        let text = answer.tool_text();
        assert_eq!(
            text.as_deref(),
            Some(r#"echo {"hello":"world"}"#),
            "{}\n{}",
            answer.text(),
            self.gateway.output()
        );
    }

    /// The same, which must not go through for this reason.
    pub(crate) async fn fails(&self, path: &str, reason: &str) {
        let answer = self.call(path).await;
        assert!(answer.tool_text().is_none(), "{}", answer.text());
        if !reason.is_empty() {
            self.gateway.wait_for_output(&format!("reason=\"{reason}\""), 1).await;
        }
    }

    /// None of these is in anything that the gateway told anybody but whom it is for.
    pub(crate) async fn never_told(&self, canaries: &[&str]) {
        let told = format!("{}{}", self.gateway.output(), self.gateway.metrics().await);
        for canary in canaries {
            assert!(!told.contains(canary), "{canary} is in\n{told}");
        }
    }
}

/// A token endpoint that answers as told, given the number of the call (from 1) and its form.
pub(crate) async fn token_endpoint(
    answer: impl Fn(usize, &[(String, String)]) -> (u16, Value) + Send + Sync + 'static,
) -> RecordingUpstream {
    let server = RecordingUpstream::start().await;
    let count = std::sync::atomic::AtomicUsize::new(0);
    server.always(move |request| {
        let number = 1 + count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let (status, body) = answer(number, &form(request));
        Answer::json(status, body)
    });
    server
}

/// The form that a request carries.
pub(crate) fn form(request: &UpstreamRequest) -> Vec<(String, String)> {
    let text = String::from_utf8(request.body.clone()).expect("a form");
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            match byte {
                b'+' => bytes.push(b' '),
                b'%' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                }
                _ => bytes.push(byte),
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(n, v)| (decode(n), decode(v))).collect()
}

/// The value of a parameter.
pub(crate) fn parameter<'a>(form: &'a [(String, String)], name: &str) -> Option<&'a str> {
    form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The one tool call among what an upstream got.
pub(crate) fn call_of(upstream: &RecordingUpstream) -> UpstreamRequest {
    let calls = upstream.requests_for("tools/call");
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.into_iter().next().unwrap()
}

fn yaml(place: &Place, idp: &MockIdp, upstreams: Upstreams<'_>) -> String {
    let _ = place.file("secret", SECRET);
    let dir = place.dir().display().to_string();
    let named: Vec<&str> = upstreams.iter().map(|(name, _)| *name).collect();
    let defined: String = upstreams
        .iter()
        .map(|(name, keys)| format!("  {name}: {{ {} }}\n", keys.replace("{dir}", &dir)))
        .collect();
    let mut routes: String =
        named.iter().map(|name| format!("  {name}: {{ path: /{name}, upstream: {name} }}\n")).collect();
    let mut granted = named.join(", ");
    if named.len() > 1 {
        routes.push_str(&format!("  all: {{ path: /all, upstreams: [{granted}] }}\n"));
        granted.push_str(", all");
    }
    format!(
        "{}auth:\n  issuers:\n    - {}tenants:\n  acme: {{ routes: [{granted}] }}\nupstreams:\n{defined}routes:\n{routes}",
        place.server_yaml(""),
        idp.issuer_yaml(6),
    )
}
