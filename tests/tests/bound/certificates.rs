//! Tokens that are bound to a TLS client certificate (RFC 8705).

use super::stage::{Setup, Stage, echo, post, whole};
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use narthex_testkit::{Leaf, Pki, RawClient, RawResponse, mcp};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A gateway with TLS that lets clients in as `clients` says, and the route `/certified` (`mtls`).
pub(crate) fn tls_setup(pki: &Pki, clients: &str, authorities: &Pki) -> Setup {
    let leaf = pki.leaf(&["localhost"]);
    Setup {
        server: format!(
            "  tls: {{ cert: {{ file: \"{{dir}}/cert.pem\" }}, key: {{ file: \"{{dir}}/key.pem\" }}, {clients} }}\n"
        ),
        routes: "  certified: { path: /certified, upstream: main, auth: { sender_constrained: mtls } }\n"
            .into(),
        files: vec![
            ("cert.pem", leaf.cert_pem),
            ("key.pem", leaf.key_pem),
            ("clients.pem", authorities.ca_pem()),
        ],
        ..Setup::default()
    }
}

async fn with_tls(pki: &Pki, clients: &str, authorities: &Pki) -> Stage {
    tls_setup(pki, clients, authorities).start().await
}

pub(crate) const OPTIONAL: &str = "client_ca: { file: \"{dir}/clients.pem\" }, client_auth: optional";

impl Stage {
    /// Sends over TLS, as the client with this certificate.
    pub(crate) async fn tls(
        &self,
        pki: &Pki,
        identity: Option<&Leaf>,
        bytes: &[u8],
    ) -> std::io::Result<RawResponse> {
        let config = pki.client_config(identity, &["http/1.1"]);
        let mut client = RawClient::connect_tls(self.gateway.address(), "localhost", config).await?;
        client.send(bytes).await?;
        client.response().await
    }

    fn certified_token(&self, path: &str, leaf: &Leaf) -> String {
        self.token(path, json!({"x5t#S256": leaf.thumbprint()}))
    }
}

pub(crate) fn bearer(path: &str, token: &str) -> Vec<u8> {
    post(path, &format!("Bearer {token}"), &[], &echo())
}

#[tokio::test]
async fn a_token_is_good_with_the_certificate_that_it_is_bound_to_and_with_no_other() {
    let (pki, clients) = (Pki::new(), Pki::new());
    let stage = with_tls(&pki, OPTIONAL, &clients).await;
    let (mine, thiefs) = (clients.leaf(&["agent"]), clients.leaf(&["agent"]));
    for path in ["/free", "/certified", "/either"] {
        let token = stage.certified_token(path, &mine);
        for round in 0..2 {
            let answer = stage.tls(&pki, Some(&mine), &bearer(path, &token)).await.unwrap();
            assert_eq!(answer.status, 200, "{path} {round}: {}", whole(&answer));
        }
        for (case, identity, reason) in
            [("none", None, "no_certificate"), ("another", Some(&thiefs), "other_certificate")]
        {
            let answer = stage.tls(&pki, identity, &bearer(path, &token)).await.unwrap();
            assert_eq!(answer.status, 401, "{path}, {case}");
            assert_eq!(stage.reason(&answer).await, reason, "{path}, {case}");
        }
    }
    assert_eq!(stage.upstream.requests_for("tools/call").len(), 6);
}

#[tokio::test]
async fn no_header_stands_for_a_certificate() {
    let (pki, clients) = (Pki::new(), Pki::new());
    let stage = with_tls(&pki, OPTIONAL, &clients).await;
    let mine = clients.leaf(&["agent"]);
    let token = stage.certified_token("/certified", &mine);
    let one_line = mine.cert_pem.replace('\n', "%0A");
    let der = mine.cert_pem.lines().filter(|line| !line.starts_with("---")).collect::<String>();
    for (name, value) in [
        ("X-Client-Cert", one_line.clone()),
        ("X-SSL-Client-Cert", one_line.clone()),
        ("SSL-Client-Cert", one_line.clone()),
        ("X-Forwarded-Client-Cert", format!("Hash={};Cert=\"{one_line}\"", mine.thumbprint())),
        ("Client-Cert", format!(":{der}:")),
        ("Client-Cert-Chain", format!(":{der}:")),
        ("X-Amzn-Mtls-Clientcert", one_line),
        ("X-Client-Cert-Thumbprint", mine.thumbprint()),
    ] {
        let authorization = format!("Bearer {token}");
        let headers = [("Authorization", authorization.as_str()), (name, value.as_str())];
        let bytes = mcp::post("/certified", None, &headers, &echo());
        let answer = stage.tls(&pki, None, &bytes).await.unwrap();
        assert_eq!((answer.status, stage.reason(&answer).await.as_str()), (401, "no_certificate"), "{name}");
    }
    assert_eq!(stage.upstream.count(), 0);
}

#[tokio::test]
async fn a_certificate_does_not_make_an_unbound_token_a_bound_one() {
    let (pki, clients) = (Pki::new(), Pki::new());
    let stage = with_tls(&pki, OPTIONAL, &clients).await;
    let mine = clients.leaf(&["agent"]);
    let unbound = stage.idp.token(&stage.url("/certified"));
    let keyed = stage.keyed_token("/certified");
    let answer = stage.tls(&pki, Some(&mine), &bearer("/certified", &unbound)).await.unwrap();
    assert_eq!((answer.status, stage.reason(&answer).await.as_str()), (401, "binding_required"));
    assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer resource_metadata="));
    let proof = stage.key.proof("POST", &stage.url("/certified"), Some(&keyed));
    let with_proof = post("/certified", &format!("DPoP {keyed}"), &[&proof], &echo());
    let answer = stage.tls(&pki, Some(&mine), &with_proof).await.unwrap();
    assert_eq!(
        (answer.status, stage.reason(&answer).await.as_str()),
        (401, "binding_required"),
        "bound to a key"
    );
    let free = stage.idp.token(&stage.url("/free"));
    assert_eq!(stage.tls(&pki, None, &bearer("/free", &free)).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_token_that_is_bound_to_both_needs_both() {
    let (pki, clients) = (Pki::new(), Pki::new());
    let stage = with_tls(&pki, OPTIONAL, &clients).await;
    let mine = clients.leaf(&["agent"]);
    let cnf = json!({"jkt": stage.key.thumbprint(), "x5t#S256": mine.thumbprint()});
    let token = stage.token("/either", cnf);
    let request = |proven: bool| {
        let proof = stage.key.proof("POST", &stage.url("/either"), Some(&token));
        let proofs: &[&str] = if proven { &[&proof] } else { &[] };
        post("/either", &format!("DPoP {token}"), proofs, &echo())
    };
    for (proven, identity, status) in
        [(true, Some(&mine), 200), (false, Some(&mine), 401), (true, None, 401), (false, None, 401)]
    {
        let answer = stage.tls(&pki, identity, &request(proven)).await.unwrap();
        assert_eq!(answer.status, status, "{proven} {}", identity.is_some());
    }
}

#[tokio::test]
async fn over_http_2_the_certificate_is_that_of_the_connection_too() {
    let (pki, clients) = (Pki::new(), Pki::new());
    let stage = with_tls(&pki, OPTIONAL, &clients).await;
    let (mine, thiefs) = (clients.leaf(&["agent"]), clients.leaf(&["agent"]));
    let token = stage.certified_token("/certified", &mine);
    for (identity, status) in [(Some(&mine), 200), (Some(&thiefs), 401), (None, 401)] {
        let config = pki.client_config(identity, &["h2"]);
        let tcp = TcpStream::connect(stage.gateway.address()).await.unwrap();
        let tls = TlsConnector::from(config).connect("localhost".try_into().unwrap(), tcp).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..2 {
            let call = hyper::Request::post("https://localhost/certified")
                .header("authorization", format!("Bearer {token}"))
                .header("content-type", "application/json")
                .header("accept", "application/json, text/event-stream")
                .header("mcp-protocol-version", mcp::STATEFUL)
                .body(Full::<Bytes>::from(echo()))
                .unwrap();
            assert_eq!(sender.send_request(call).await.unwrap().status(), status);
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_resumed_has_the_certificate_that_it_began_with() {
    let (pki, clients) = (Pki::new(), Pki::new());
    let stage = with_tls(&pki, OPTIONAL, &clients).await;
    let mine = clients.leaf(&["agent"]);
    let token = stage.certified_token("/certified", &mine);
    let config = pki.client_config(Some(&mine), &["http/1.1"]);
    for round in 0..3 {
        let address = stage.gateway.address();
        let mut client = RawClient::connect_tls(address, "localhost", config.clone()).await.unwrap();
        for _ in 0..2 {
            client.send(bearer("/certified", &token)).await.unwrap();
            let answer = client.response().await.unwrap();
            assert_eq!(answer.status, 200, "{round}: {}", whole(&answer));
        }
    }
}

#[tokio::test]
async fn self_signed_certificates_are_taken_where_any_is_and_nowhere_else() {
    let (pki, clients) = (Pki::new(), Pki::new());
    let own = Pki::self_signed("agent");
    let any = with_tls(&pki, "client_auth: any", &clients).await;
    let token = any.certified_token("/certified", &own);
    assert_eq!(any.tls(&pki, Some(&own), &bearer("/certified", &token)).await.unwrap().status, 200);
    let other = Pki::self_signed("agent");
    for identity in [Some(&other), None] {
        let answer = any.tls(&pki, identity, &bearer("/certified", &token)).await.unwrap();
        assert_eq!(answer.status, 401);
    }
    let listed = with_tls(&pki, OPTIONAL, &clients).await;
    let token = listed.certified_token("/certified", &own);
    let refused = listed.tls(&pki, Some(&own), &bearer("/certified", &token)).await;
    assert!(refused.is_err(), "the handshake fails: {refused:?}");
    assert_eq!(listed.upstream.count(), 0);
}

#[tokio::test]
async fn a_stolen_certificate_without_its_key_opens_no_connection() {
    let pki = Pki::new();
    let stage = with_tls(&pki, "client_auth: any", &pki).await;
    let mine = Pki::self_signed("agent");
    let forged = mine.with_key_of(&Pki::self_signed("agent"));
    let token = stage.certified_token("/certified", &mine);
    assert_eq!(forged.thumbprint(), mine.thumbprint());
    let refused = stage.tls(&pki, Some(&forged), &bearer("/certified", &token)).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(stage.upstream.count(), 0);
}

#[tokio::test]
async fn the_metadata_says_that_certificates_are_looked_at() {
    let pki = Pki::new();
    let stage = with_tls(&pki, "client_auth: any", &pki).await;
    for (path, has_algorithms) in [("/certified", false), ("/free", true)] {
        let url = format!("/.well-known/oauth-protected-resource{path}");
        let document = stage.tls(&pki, None, &mcp::bodiless("GET", &url, None, &[])).await.unwrap().json();
        assert_eq!(document["tls_client_certificate_bound_access_tokens"], true, "{path}");
        assert_eq!(document.get("dpop_signing_alg_values_supported").is_some(), has_algorithms, "{path}");
    }
}
