//! The stage of the tests of logins and pages: identity providers, an upstream, the gateway with its own
//! authorization server, and people at browsers.

use http::Uri;
use narthex_testkit::{
    GatewayProcess, Launch, MockIdp, Place, RawClient, RawResponse, RecordingUpstream, mcp,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Where the client of the tests waits for its code; nobody is there.
pub(crate) const CALLBACK: &str = "http://127.0.0.1:9/callback";
/// The verifier of RFC 7636 appendix B, and its challenge.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Everything that takes part.
pub(crate) struct Stage {
    pub(crate) idp: MockIdp,
    pub(crate) other: MockIdp,
    pub(crate) upstream: RecordingUpstream,
    pub(crate) gateway: GatewayProcess,
    login: String,
}

/// A login at the provider `corp` alone; `{idp}` and `{other}` stand for issuers.
pub(crate) const CORP: &str = "
      providers:
        corp:
          title: Acme SSO
          issuer: {idp}
          client: { id: narthex, secret: { file: secret } }
          claims: { tenant: { claim: org_id } }
";

/// The same, and another provider to choose.
pub(crate) const TWO: &str = "
      providers:
        corp:
          title: Acme SSO
          issuer: {idp}
          client: { id: narthex, secret: { file: secret } }
          claims: { tenant: { claim: org_id } }
        other:
          issuer: {other}
          client: { id: narthex, secret: { file: secret } }
          claims: { tenant: { value: globex } }
";

/// Development users.
pub(crate) const USERS: &str = "
      users:
        - { name: alice, tenant: acme, groups: [staff] }
        - { name: bob, tenant: globex, password: { file: password } }
";

impl Stage {
    /// A gateway where users log in as `login` says.
    pub(crate) async fn start(login: &str) -> Self {
        let (idp, other) = (MockIdp::start().await, MockIdp::start().await);
        let upstream = RecordingUpstream::start().await;
        let (issuers, url) = ([idp.issuer().to_owned(), other.issuer().to_owned()], upstream.url("/mcp"));
        let yaml = |place: &Place| yaml(place, login, &issuers, &url);
        let gateway = Launch::new(yaml).start().await.unwrap_or_else(|failure| panic!("{failure}"));
        Self { idp, other, upstream, gateway, login: login.to_owned() }
    }

    /// The configuration with another login.
    pub(crate) fn yaml(&self, login: &str) -> String {
        let issuers = [self.idp.issuer().to_owned(), self.other.issuer().to_owned()];
        yaml(self.gateway.place(), login, &issuers, &self.upstream.url("/mcp"))
    }

    /// The one that it was started with.
    pub(crate) fn same_yaml(&self) -> String {
        self.yaml(&self.login)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.gateway.place().public_url())
    }

    /// The authorization request of the client, for the route `/main`.
    pub(crate) fn request(&self) -> String {
        let resource = encode(&self.url("/main"));
        let back = encode(CALLBACK);
        self.url(&format!(
            "/oauth/authorize?response_type=code&client_id=ide&redirect_uri={back}&scope=mcp%3Aread&state=st-1\
             &code_challenge={CHALLENGE}&code_challenge_method=S256&resource={resource}"
        ))
    }

    /// The token for a code, by the client.
    pub(crate) async fn redeem(&self, code: &str) -> RawResponse {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", "ide"),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("resource", &self.url("/main")),
        ];
        let form: Vec<String> =
            form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        send(self.gateway.address(), "POST", "/oauth/token", &[FORM], &form.join("&")).await
    }

    /// A call of the route with a token.
    pub(crate) async fn call(&self, token: &str) -> RawResponse {
        let headers = mcp::stateless_headers("tools/call", Some("echo"));
        let body = mcp::stateless_request(1, "tools/call", json!({"name": "echo", "arguments": {}}));
        mcp::exchange(self.gateway.address(), &mcp::post("/main", Some(token), &headers, &body))
            .await
            .unwrap()
    }
}

fn yaml(place: &Place, login: &str, issuers: &[String; 2], url: &str) -> String {
    // Only once: a change of a secret is a reload, too.
    if !place.dir().join("secret").exists() {
        let _ = place.file("secret", MockIdp::CLIENT.1);
        let _ = place.file("password", "correct-horse-canary\n");
    }
    let login = login.replace("{idp}", &issuers[0]).replace("{other}", &issuers[1]);
    let server = place.server_yaml("  threads: 1\n");
    format!(
        "{server}auth:
  authority:
    clients:
      ide: {{ name: The IDE, redirect_uris: ['{CALLBACK}'] }}
    grants: [{{ scopes: [mcp:read] }}]
    scopes: {{ mcp:read: Look at the orders }}
    login: {login}
tenants:
  acme: {{ routes: [main] }}
  globex: {{ routes: [main] }}
upstreams:
  main: {{ url: {url}, protocol: [2026-07-28] }}
routes:
  main: {{ path: /main, upstream: main, scopes: [mcp:read] }}
"
    )
}

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

async fn send(at: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> RawResponse {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\n", at.port());
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if method != "GET" {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body);
    let mut client = RawClient::connect(at).await.unwrap();
    client.send(request).await.unwrap();
    client.response().await.unwrap()
}

/// A browser with cookies for each host and port. It goes where redirects, and pages that go on by themselves,
/// send it, up to [`CALLBACK`].
#[derive(Clone, Default)]
pub(crate) struct Person {
    jars: BTreeMap<u16, BTreeMap<String, String>>,
    /// Every URL that it went to.
    pub(crate) trail: Vec<String>,
}

/// Where a person is: a page, or the client's callback with its parameters.
pub(crate) struct At {
    pub(crate) url: String,
    pub(crate) page: RawResponse,
}

impl Person {
    pub(crate) async fn go(&mut self, url: &str) -> At {
        self.visit("GET", url.to_owned(), String::new(), &[]).await
    }

    /// Presses the button `name=value` of the form that has it.
    pub(crate) async fn press(&mut self, at: &At, name: &str, value: &str) -> At {
        self.press_with(at, name, value, &[]).await
    }

    /// The same, with fields filled in.
    pub(crate) async fn press_with(
        &mut self,
        at: &At,
        name: &str,
        value: &str,
        filled: &[(&str, &str)],
    ) -> At {
        let (action, fields) = form(&at.page.text(), name, value);
        let mut fields: Vec<(String, String)> = fields;
        fields.push((name.to_owned(), value.to_owned()));
        fields.extend(filled.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let url = absolute(&at.url, &action);
        self.visit("POST", url, body.join("&"), &[]).await
    }

    /// Posts a form that no page made.
    pub(crate) async fn post(&mut self, url: &str, body: &str, headers: &[(&str, &str)]) -> At {
        self.visit("POST", url.to_owned(), body.to_owned(), headers).await
    }

    /// The value of a cookie for the gateway.
    pub(crate) fn cookie(&self, port: u16, name: &str) -> Option<&str> {
        self.jars.get(&port)?.get(name).map(String::as_str)
    }

    async fn visit(&mut self, method: &str, url: String, body: String, headers: &[(&str, &str)]) -> At {
        let (mut method, mut url, mut body, mut headers) = (method.to_owned(), url, body, headers.to_vec());
        for _ in 0..12 {
            self.trail.push(url.clone());
            if url.starts_with(CALLBACK) {
                return At { url, page: RawResponse::default() };
            }
            let page = self.exchange(&method, &url, &body, &headers).await;
            let next =
                page.header("location").map(str::to_owned).filter(|_| (300..400).contains(&page.status));
            let Some(next) = next.or_else(|| refresh(&page.text())) else { return At { url, page } };
            url = absolute(&url, &next);
            (method, body) = ("GET".to_owned(), String::new());
            headers.clear();
        }
        panic!("too many redirects: {:#?}", self.trail);
    }

    async fn exchange(
        &mut self,
        method: &str,
        url: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> RawResponse {
        let uri: Uri = url.parse().unwrap();
        let port = uri.port_u16().unwrap();
        let jar = self.jars.entry(port).or_default();
        let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut all = headers.to_vec();
        if !cookies.is_empty() {
            all.push(("Cookie", &cookies));
        }
        if method == "POST" && !all.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            all.extend([FORM, ("Origin", "null"), ("Sec-Fetch-Site", "same-origin")]);
        }
        let path = uri.path_and_query().unwrap().as_str();
        let page = send(SocketAddr::from(([127, 0, 0, 1], port)), method, path, &all, body).await;
        for (_, line) in page.headers.0.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            let (name, rest) = line.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if line.contains("Max-Age=0") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        page
    }
}

impl At {
    /// A parameter of the URL.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        parameter(&self.url, name)
    }
}

/// A parameter of a URL's query, decoded.
pub(crate) fn parameter(url: &str, name: &str) -> Option<String> {
    let query = url.split_once('?')?.1;
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| decode(value)).next()
}

/// The form with the button `name=value`: its action, and its hidden fields.
fn form(html: &str, name: &str, value: &str) -> (String, Vec<(String, String)>) {
    let button = format!("name=\"{name}\" value=\"{value}\"");
    let mut found = html.split("<form").skip(1).map(|rest| rest.split("</form>").next().unwrap());
    let form = found.find(|form| form.contains(&button));
    let form = form.unwrap_or_else(|| panic!("no button {button} in:\n{html}"));
    let attribute = |tag: &str, name: &str| -> Option<String> {
        Some(unescape(tag.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?))
    };
    let inputs = form.split("<input").skip(1).map(|rest| rest.split('>').next().unwrap());
    let hidden = inputs.filter(|tag| tag.contains("type=\"hidden\""));
    let fields =
        hidden.map(|tag| (attribute(tag, "name").unwrap(), attribute(tag, "value").unwrap_or_default()));
    (attribute(form, "action").unwrap(), fields.collect())
}

fn refresh(html: &str) -> Option<String> {
    let rest = html.split("http-equiv=\"refresh\" content=\"0; url=").nth(1)?;
    Some(unescape(rest.split('"').next()?))
}

fn absolute(base: &str, url: &str) -> String {
    if url.starts_with('/') {
        let origin_end = base[8..].find('/').map_or(base.len(), |at| at + 8);
        return format!("{}{url}", &base[..origin_end]);
    }
    url.to_owned()
}

pub(crate) fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

pub(crate) fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let hex: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.push(u8::from_str_radix(&hex, 16).unwrap());
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// The claims of a JWT, unverified.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    let mut bits = 0_u32;
    let (mut held, mut bytes) = (0_u32, Vec::new());
    for letter in payload.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
            .iter()
            .position(|known| *known == letter)
            .unwrap();
        held = (held << 6) | u32::try_from(value).unwrap();
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xff).unwrap());
        }
    }
    serde_json::from_slice(&bytes).unwrap()
}
