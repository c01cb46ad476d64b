//! What the tests of this crate share: keys, tokens, configurations, and a server to fetch from.

use crate::client_auth::SecretSource;
use crate::jwt::claims::ClaimRules;
use crate::scopes::Hierarchy;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use narthex_config::Config;
use narthex_config::model::{
    Admin, Algorithm, Auth, HttpLimits, Issuer, KeySource, PinMode, Pins, PublicUrl, SecretRef, SecretStores,
    Server, Store, TenantRule,
};
use narthex_telemetry::Events;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const ISSUER: &str = "https://idp.example";
pub(crate) const RESOURCE: &str = "https://gw.example/github";
/// Seconds since the epoch.
pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

pub(crate) fn later(seconds: u64) -> SystemTime {
    now() + Duration::from_secs(seconds)
}

// === keys ===

pub(crate) enum TestKey {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

macro_rules! keys {
    ($($name:ident = $make:expr;)*) => {
        $(pub(crate) fn $name() -> &'static TestKey {
            static KEY: LazyLock<TestKey> = LazyLock::new(|| $make);
            &KEY
        })*
    };
}

keys! {
    rsa = TestKey::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
    p256 = TestKey::P256(EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
    other_p256 = TestKey::P256(EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
    p384 = TestKey::P384(EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap());
    ed25519 = TestKey::Ed25519(Ed25519KeyPair::generate().unwrap());
}

impl TestKey {
    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    pub(crate) fn jwk(&self, id: &str) -> Value {
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa(pair) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
                json!({"kty": "RSA", "kid": id, "use": "sig", "n": b64(n), "e": b64(e)})
            }
            Self::P256(pair) | Self::P384(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let crv = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({"kty": "EC", "kid": id, "use": "sig", "crv": crv, "x": b64(x), "y": b64(y)})
            }
            Self::Ed25519(pair) => {
                let x = pair.public_key().as_ref();
                json!({"kty": "OKP", "kid": id, "use": "sig", "crv": "Ed25519", "x": b64(x)})
            }
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => self.sign_rsa(pair, &signature::RSA_PKCS1_SHA256, message),
            Self::P256(pair) | Self::P384(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    pub(crate) fn sign_rsa(
        &self,
        pair: &RsaKeyPair,
        padding: &'static dyn signature::RsaEncoding,
        message: &[u8],
    ) -> Vec<u8> {
        let mut made = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &SystemRandom::new(), message, &mut made).unwrap();
        made
    }

    /// The private key as PKCS#8 in PEM; of P-256 keys only.
    pub(crate) fn pem(&self) -> String {
        let Self::P256(pair) = self else { panic!("not P-256") };
        pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref())
    }

    /// The public key as SubjectPublicKeyInfo in PEM; of RSA keys only.
    pub(crate) fn public_pem(&self) -> String {
        let Self::Rsa(pair) = self else { panic!("not RSA") };
        pem("PUBLIC KEY", pair.public_key().as_der().unwrap().as_ref())
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

pub(crate) fn jwks(keys: &[Value]) -> Vec<u8> {
    json!({ "keys": keys }).to_string().into_bytes()
}

// === tokens ===

pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": RESOURCE, "sub": "alice", "exp": NOW + 600, "iat": NOW - 10,
        "org_id": "acme", "client_id": "cli", "scope": "mcp:read mcp:write",
    })
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token of any header and payload, signed with `key`.
pub(crate) fn raw_token(header: &str, payload: &str, key: &TestKey) -> String {
    let message = format!("{}.{}", b64(header), b64(payload));
    let signature = b64(key.sign(message.as_bytes()));
    format!("{message}.{signature}")
}

pub(crate) fn token(claims: &Value, key_id: &str, key: &TestKey) -> String {
    let header = json!({"alg": key.algorithm(), "typ": "at+jwt", "kid": key_id});
    raw_token(&header.to_string(), &claims.to_string(), key)
}

/// Header and claims of a token, unverified.
pub(crate) fn peek(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut next = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (next(), next())
}

// === configuration ===

pub(crate) fn issuer(name: &str) -> Issuer {
    Issuer {
        issuer: name.to_owned(),
        keys: KeySource::Discovery,
        algorithms: vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA],
        tenant: TenantRule::Claim(String::from("org_id")),
        introspection: None,
        insecure: false,
    }
}

pub(crate) fn issuer_with_keys(name: &str, keys: &[Value]) -> Issuer {
    Issuer { keys: KeySource::Inline(String::from_utf8(jwks(keys)).unwrap()), ..issuer(name) }
}

pub(crate) fn rules() -> ClaimRules {
    ClaimRules {
        issuer: ISSUER.into(),
        tenant: TenantRule::Claim(String::from("org_id")),
        leeway: Duration::from_secs(30),
        hierarchy: Arc::new(Hierarchy::default()),
    }
}

pub(crate) fn config(issuers: Vec<Issuer>) -> Config {
    let time = Duration::from_secs(10);
    let limits = HttpLimits {
        body: 1 << 20,
        header_block: 32 << 10,
        json_depth: 64,
        connections: 100,
        buffered: 1 << 20,
        streams_per_caller: 8,
        header_timeout: time,
        body_timeout: time,
        idle_timeout: time,
        write_timeout: time,
        ..HttpLimits::default()
    };
    let url = String::from("https://gw.example");
    Config {
        server: Server {
            listen: ([127, 0, 0, 1], 0).into(),
            public_url: PublicUrl { url: url.clone(), origin: url, path: String::new() },
            tls: None,
            allowed_origins: Vec::new(),
            seal_keys: Vec::new(),
            state_dir: "state".into(),
            threads: None,
            grace_period: time,
            limits,
        },
        admin: Admin { listen: ([127, 0, 0, 1], 0).into() },
        auth: Auth { issuers, leeway: Duration::from_secs(30), token_cache: 1000, ..Auth::default() },
        tenants: BTreeMap::new(),
        pins: Pins { file: "pins.json".into(), mode: PinMode::Off },
        secrets: SecretStores::default(),
        store: Store::default(),
        upstreams: BTreeMap::new(),
        routes: BTreeMap::new(),
    }
}

pub(crate) fn events() -> Events {
    Events::register(&prometheus::Registry::new()).unwrap()
}

// === secrets ===

/// One value for every reference, or none.
pub(crate) struct Secrets(Option<String>);

impl Secrets {
    pub(crate) fn of(value: &str) -> Self {
        Self(Some(value.to_owned()))
    }

    pub(crate) fn none() -> Self {
        Self(None)
    }
}

impl SecretSource for Secrets {
    fn read(&self, _: &SecretRef) -> Result<SecretString, String> {
        self.0.clone().map(SecretString::from).ok_or_else(|| String::from("not there"))
    }
}

// === a server ===

/// A server on a loopback port. What it does not know it answers with 404.
pub(crate) struct TestServer {
    pub(crate) base: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    answers: BTreeMap<String, (u16, String)>,
    requests: Vec<String>,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::<Mutex<Shared>>::default();
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Self { base, shared }
    }

    pub(crate) fn answer(&self, path: &str, status: u16, body: impl Into<String>) {
        self.shared.lock().unwrap().answers.insert(path.to_owned(), (status, body.into()));
    }

    pub(crate) fn keys(&self, path: &str, keys: &[Value]) {
        self.answer(path, 200, String::from_utf8(jwks(keys)).unwrap());
    }

    /// The paths asked for, in order.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.requests().iter().map(|text| text.split(' ').nth(1).unwrap().to_owned()).collect()
    }

    /// Whole requests, in order.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.lock().unwrap().requests.clone()
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Mutex<Shared>>) {
    let mut text = Vec::new();
    let complete = |text: &[u8]| {
        let text = String::from_utf8_lossy(text).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap_or(0))
        });
        (body.len() >= length.unwrap_or(0)).then_some(text.clone())
    };
    let request = loop {
        if let Some(request) = complete(&text) {
            break request;
        }
        if stream.read_buf(&mut text).await.is_ok_and(|read| read > 0) {
            continue;
        }
        return;
    };
    let path = request.split(' ').nth(1).unwrap().to_owned();
    let (status, body) = {
        let mut shared = shared.lock().unwrap();
        shared.requests.push(request);
        shared.answers.get(&path).cloned().unwrap_or((404, String::new()))
    };
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
}
