//! What every test here needs: an identity provider, a server of each era, and a gateway before them.

use super::client::Client;
use super::server::{Era, Server};
use narthex_testkit::{GatewayProcess, Launch, MockIdp, Place, RawResponse, mcp};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Both eras.
pub(crate) const ERAS: [Era; 2] = [Era::Modern, Era::Legacy];

/// How the gateway is set up.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    /// The value of `pins`, if it is given.
    pub(crate) pins: Option<&'static str>,
    /// Lines of both upstreams, indented by four.
    pub(crate) upstream: &'static str,
    /// Lines of all routes, indented by four.
    pub(crate) route: &'static str,
    /// A route `/plain` to the server of 2026-07-28 and one `/other`, with these lines instead.
    pub(crate) other: &'static str,
    /// Files that are there from the start, by name.
    pub(crate) files: Vec<(&'static str, String)>,
}

/// All of it, running.
pub(crate) struct Stage {
    pub(crate) idp: MockIdp,
    pub(crate) modern: Server,
    pub(crate) legacy: Server,
    pub(crate) gateway: GatewayProcess,
}

impl Setup {
    /// With these pins.
    pub(crate) fn pins(pins: &'static str) -> Self {
        Self { pins: Some(pins), ..Self::default() }
    }

    /// With these lines for all routes.
    pub(crate) fn route(route: &'static str) -> Self {
        Self { route, ..Self::default() }
    }

    /// Starts everything, with these tools at both servers.
    pub(crate) async fn start(&self, tools: &[Value]) -> Stage {
        let (modern, legacy) = (Server::start(Era::Modern).await, Server::start(Era::Legacy).await);
        modern.tools(tools);
        legacy.tools(tools);
        self.before(MockIdp::start().await, modern, legacy).await
    }

    /// Starts a gateway before these servers.
    pub(crate) async fn before(&self, idp: MockIdp, modern: Server, legacy: Server) -> Stage {
        let urls = [&modern, &legacy].map(|server| server.upstream.url("/mcp"));
        let launch = Launch::new(|place: &Place| self.yaml(place, &idp, &urls));
        let gateway = launch.start().await.unwrap_or_else(|failure| panic!("{failure}"));
        Stage { idp, modern, legacy, gateway }
    }

    fn yaml(&self, place: &Place, idp: &MockIdp, urls: &[String; 2]) -> String {
        for (name, text) in &self.files {
            let path = place.dir().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let pins = self.pins.map_or_else(String::new, |pins| format!("pins: {pins}\n"));
        let upstream = |name: &str, url: &str| {
            format!(
                "  {name}:\n    url: {url}\n    breaker: {{ failures: 1000, cooldown: 1s }}\n    \
                 catalogue: {{ ttl: 1s }}\n{}",
                self.upstream
                    .replace("{idp}", idp.issuer())
                    .replace("{dir}", &place.dir().display().to_string())
            )
        };
        let [modern, legacy] = urls;
        let _secret = place.file("client-secret", MockIdp::CLIENT.1);
        format!(
            "{server}auth:\n  issuers:\n    - {issuer}{pins}tenants:\n  \
             acme: {{ routes: [modern, legacy, both, other] }}\n\
             upstreams:\n{first}{second}routes:\n  \
             modern:\n    path: /modern\n    upstream: modern\n{route}  \
             legacy:\n    path: /legacy\n    upstream: legacy\n{route}  \
             both:\n    path: /both\n    upstreams: [modern, legacy]\n{route}  \
             other:\n    path: /other\n    upstream: modern\n{other}",
            server = place.server_yaml("  threads: 1\n"),
            issuer = idp.issuer_yaml(6),
            first = upstream("modern", modern),
            second = upstream("legacy", legacy),
            route = self.route,
            other = self.other,
        )
    }
}

impl Stage {
    /// Puts another setup in use.
    pub(crate) async fn reload(&self, setup: &Setup) {
        let urls = [&self.modern, &self.legacy].map(|server| server.upstream.url("/mcp"));
        let yaml = setup.yaml(self.gateway.place(), &self.idp, &urls);
        assert!(self.gateway.reload(&yaml).await, "{}", self.gateway.output());
    }

    /// The same servers before a new gateway that has the files of this one.
    pub(crate) async fn restart(self, setup: &Setup) -> Self {
        let mut files = Vec::new();
        for name in ["narthex.pins.json", "state/quarantine.json"] {
            files.extend(fs::read_to_string(self.dir().join(name)).ok().map(|text| (name, text)));
        }
        let Self { idp, modern, legacy, mut gateway } = self;
        gateway.signal(narthex_testkit::Signal::SIGTERM);
        gateway.wait_for_exit(Duration::from_secs(20)).await;
        Setup { files, ..setup.clone() }.before(idp, modern, legacy).await
    }

    /// Each server with its path.
    pub(crate) fn servers(&self) -> [(&'static str, &Server); 2] {
        [("/modern", &self.modern), ("/legacy", &self.legacy)]
    }

    /// A client of alice's.
    pub(crate) async fn client(&self, era: Era, path: &'static str) -> Client {
        self.client_of("alice", era, path).await
    }

    /// A client of somebody's.
    pub(crate) async fn client_of(&self, subject: &str, era: Era, path: &'static str) -> Client {
        let resource = format!("{}{path}", self.gateway.place().public_url());
        let token = self.idp.token_with(&resource, json!({"sub": subject}));
        Client::open(era, self.gateway.address(), path, token).await
    }

    /// A client of each era.
    pub(crate) async fn clients(&self, path: &'static str) -> [Client; 2] {
        [self.client(Era::Modern, path).await, self.client(Era::Legacy, path).await]
    }

    pub(crate) fn dir(&self) -> &Path {
        self.gateway.place().dir()
    }

    /// The file of what is approved.
    pub(crate) fn pins_file(&self) -> String {
        fs::read_to_string(self.dir().join("narthex.pins.json")).unwrap_or_default()
    }

    /// Waits until a client is shown these tools and no others.
    pub(crate) async fn shows(&self, client: &Client, names: &[&str]) {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let shown = client.tools().await;
            if shown == names {
                return;
            }
            assert!(Instant::now() < end, "{shown:?} is not {names:?}: {}", self.gateway.output());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until so many tools of `upstream` are counted as quarantined.
    pub(crate) async fn waits(&self, upstream: &str, count: usize) {
        let sample = format!("narthex_quarantined_tools{{upstream=\"{upstream}\"}}");
        self.gateway.wait_for_metric(&sample, |n| (n - count as f64).abs() < 0.1).await;
    }

    /// `narthex pins …`, on the gateway's files; what it says, and its exit code.
    pub(crate) fn pins(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(binary());
        command.env_remove("NARTHEX_CONFIG").env_remove("STATE_DIRECTORY").current_dir(self.dir());
        let output = command.arg("pins").args(args).stdin(Stdio::null()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    /// `/pins` of the admin listener.
    pub(crate) async fn admin(&self) -> Value {
        let request = "GET /pins HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let answer = mcp::exchange(self.gateway.admin_address(), request.as_bytes()).await.unwrap();
        answer.json()
    }

    /// What waits of that upstream: tool, why, and SHA-256.
    pub(crate) async fn waiting(&self, upstream: &str) -> Vec<(String, String, String)> {
        let all = self.admin().await["quarantined"].as_array().unwrap().clone();
        let text = |waits: &Value, member: &str| waits[member].as_str().unwrap_or_default().to_owned();
        let of = all.iter().filter(|waits| waits["upstream"] == upstream);
        of.map(|waits| (text(waits, "tool"), text(waits, "why"), text(waits, "sha256"))).collect()
    }

    /// Approves a definition on the admin listener.
    pub(crate) async fn approve(&self, upstream: &str, tool: &str, sha256: &str) -> RawResponse {
        let body = json!({"upstream": upstream, "tool": tool, "sha256": sha256}).to_string();
        let request = format!(
            "POST /pins/approve HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        mcp::exchange(self.gateway.admin_address(), request.as_bytes()).await.unwrap()
    }

    /// How often inspection has found `kind` on a route, and done so.
    pub(crate) async fn found(&self, route: &str, kind: &str, action: &str) -> f64 {
        self.counted(&[("route", route), ("kind", kind), ("action", action)]).await
    }

    /// How often it has found anything on a route that it only reports.
    pub(crate) async fn reported(&self, route: &str) -> f64 {
        self.counted(&[("route", route), ("action", "report")]).await
    }

    async fn counted(&self, labels: &[(&str, &str)]) -> f64 {
        let text = self.gateway.metrics().await;
        let lines = text.lines().filter(|line| line.starts_with("narthex_inspection_findings_total{"));
        let has =
            |line: &str| labels.iter().all(|(name, value)| line.contains(&format!("{name}=\"{value}\"")));
        let of = lines.filter(|line| has(line));
        of.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// The binary under test: `NARTHEX_BIN`, or the one built beside this test.
fn binary() -> PathBuf {
    std::env::var_os("NARTHEX_BIN").map_or_else(
        || std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("narthex"),
        PathBuf::from,
    )
}

/// A tool by that name that says this of itself.
pub(crate) fn tool(name: &str, description: &str) -> Value {
    json!({"name": name, "description": description, "inputSchema": {"type": "object"}})
}

/// Two tools.
pub(crate) fn two() -> Vec<Value> {
    vec![tool("add", "Adds."), tool("mul", "Multiplies.")]
}
