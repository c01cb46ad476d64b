use super::*;
use narthex_upstreams::egress::Reach;
use std::net::IpAddr;

fn any() -> MetadataDocuments {
    MetadataDocuments { allow: vec![HostPattern::Any], allow_loopback: false }
}

fn only(hosts: &[&str]) -> MetadataDocuments {
    let allow = hosts.iter().map(|host| HostPattern::parse(host).unwrap()).collect();
    MetadataDocuments { allow, allow_loopback: false }
}

/// Client ids that would have the gateway look inside, or at what is no document, if it believed them.
const INSIDE: [&str; 118] = [
    // Not https.
    "http://app.example/c",
    "ftp://app.example/c",
    "file:///etc/passwd",
    "gopher://app.example/c",
    "data:application/json,{}",
    "javascript:x",
    "ldap://app.example/c",
    "dict://app.example/c",
    "jar:https://app.example/c",
    "//app.example/c",
    "app.example/c",
    "https:/app.example/c",
    // This machine.
    "https://localhost/c",
    "https://localhost:8080/c",
    "https://LOCALHOST/c",
    "https://localhost./c",
    "https://a.localhost/c",
    "https://localhost.localdomain/c",
    "https://127.0.0.1/c",
    "https://127.0.0.1:9090/metrics",
    "https://127.1/c",
    "https://127.0.1/c",
    "https://0177.0.0.1/c",
    "https://0x7f.0.0.1/c",
    "https://0x7f000001/c",
    "https://2130706433/c",
    "https://017700000001/c",
    "https://127.127.127.127/c",
    "https://0/c",
    "https://0.0.0.0/c",
    "https://[::1]/c",
    "https://[::]/c",
    "https://[0:0:0:0:0:0:0:1]/c",
    "https://[::ffff:127.0.0.1]/c",
    "https://[::ffff:7f00:1]/c",
    "https://[::127.0.0.1]/c",
    "https://[64:ff9b::7f00:1]/c",
    "https://[2002:7f00:1::]/c",
    "https://①②⑦.0.0.1/c",
    "https://127。0。0。1/c",
    "https://ⓛocalhost/c",
    // Private networks.
    "https://10.0.0.1/c",
    "https://10.255.255.255/c",
    "https://172.16.0.1/c",
    "https://172.31.255.255/c",
    "https://192.168.0.1/c",
    "https://192.168.255.255/c",
    "https://100.64.0.1/c",
    "https://100.127.0.1/c",
    "https://198.18.0.1/c",
    "https://192.0.0.1/c",
    "https://167772161/c",
    "https://0xa000001/c",
    "https://012.0.0.1/c",
    "https://3232235521/c",
    "https://[fc00::1]/c",
    "https://[fd12:3456::1]/c",
    "https://[fec0::1]/c",
    "https://[::ffff:10.0.0.1]/c",
    "https://[::ffff:c0a8:1]/c",
    "https://[64:ff9b::a00:1]/c",
    "https://[2002:a00:1::]/c",
    "https://[::ffff:0:10.0.0.1]/c",
    "https://[::10.0.0.1]/c",
    "https://[64:ff9b:1::a00:1]/c",
    "https://[2001:0:a00:1::]/c",
    // Link-local, and the metadata services of clouds.
    "https://169.254.169.254/latest/meta-data/",
    "https://169.254.170.2/v2/credentials",
    "https://169.254.0.1/c",
    "https://2852039166/c",
    "https://0xa9fea9fe/c",
    "https://0251.0376.0251.0376/c",
    "https://169.254.43518/c",
    "https://[fe80::1]/c",
    "https://[fe80::1%25eth0]/c",
    "https://[::ffff:169.254.169.254]/c",
    "https://[::ffff:a9fe:a9fe]/c",
    "https://[64:ff9b::a9fe:a9fe]/c",
    "https://[2002:a9fe:a9fe::]/c",
    "https://[fd00:ec2::254]/c",
    "https://[fd20:ce::254]/c",
    "https://100.100.100.200/c",
    "https://192.0.0.192/c",
    "https://168.63.129.16/c",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://metadata/c",
    "https://instance-data/c",
    "https://instance-data.ec2.internal/c",
    // Never servers.
    "https://224.0.0.1/c",
    "https://239.255.255.250/c",
    "https://240.0.0.1/c",
    "https://255.255.255.255/c",
    "https://[ff02::1]/c",
    "https://[ff0e::1]/c",
    // Names of the inside.
    "https://kubernetes/c",
    "https://kubernetes.default.svc.cluster.local/c",
    "https://printer.local/c",
    "https://wiki.corp/c",
    "https://nas.lan/c",
    "https://router.home/c",
    "https://intranet/c",
    "https://x.internal/c",
    "https://1.0.0.127.in-addr.arpa/c",
    "https://host.docker.internal/c",
    "https://x.onion/c",
    "https://consul.service.intranet/c",
    // More than a host and a path, or less.
    "https://app.example",
    "https://app.example/",
    "https://app.example/c?x=1",
    "https://app.example/c#x",
    "https://me@app.example/c",
    "https://me:pw@app.example/c",
    "https://app.example@10.0.0.1/c",
    "https://app.example\\@10.0.0.1/c",
    "https://app.example/a/../c",
    "https://app.example/%2e%2e/c",
    "https://app.example:8443/c",
    "https://app.example:22/c",
];

#[test]
fn no_client_id_has_us_look_inside() {
    for id in INSIDE {
        assert!(url(id, &any()).is_err(), "{id}");
    }
}

#[test]
fn a_name_that_resolves_inside_is_not_connected_to() {
    // What the resolver gives is asked about again, and this is what is asked.
    let inside = [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "::1",
        "fc00::1",
        "fe80::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "224.0.0.1",
        "198.18.0.1",
        "fd00:ec2::254",
        "192.0.2.1",
        "2001:db8::1",
        "::ffff:169.254.169.254",
        "255.255.255.255",
    ];
    for text in inside {
        assert_ne!(Reach::of(text.parse::<IpAddr>().unwrap()), Reach::Public, "{text}");
    }
}

#[test]
fn documents_are_fetched_from_allowed_hosts_only() {
    let allowed = only(&["claude.ai", "*.example.com"]);
    for id in
        ["https://claude.ai/oauth/client.json", "https://a.example.com/c", "https://a.example.com:8443/c"]
    {
        assert!(url(id, &allowed).is_ok(), "{id}");
    }
    for id in [
        "https://example.com/c",
        "https://evil.test/c",
        "https://claude.ai.evil.test/c",
        "https://x.claude.ai/c",
        "https://aexample.com/c",
        "https://evil.test/claude.ai",
    ] {
        assert!(url(id, &allowed).is_err(), "{id}");
    }
}

#[test]
fn loopback_documents_are_for_development() {
    let development = MetadataDocuments { allow: Vec::new(), allow_loopback: true };
    for id in ["http://127.0.0.1:3000/c.json", "http://localhost:3000/c", "https://[::1]:1/c"] {
        assert!(url(id, &development).is_ok(), "{id}");
        assert!(url(id, &any()).is_err(), "{id}");
    }
    for id in
        ["http://10.0.0.1/c", "http://169.254.169.254/c", "http://app.example/c", "https://app.example/c"]
    {
        assert!(url(id, &development).is_err(), "{id}");
    }
}

const ID: &str = "https://app.example/client.json";

fn parse(json: &str) -> Result<Document, &'static str> {
    Document::parse(ID, json.replace("ID", ID).as_bytes(), false)
}

#[test]
fn a_document_is_read() {
    let document = parse(
        r#"{"client_id":"ID","client_name":"App","redirect_uris":["https://app.example/cb","http://127.0.0.1/cb"],
           "grant_types":["authorization_code","refresh_token"],"logo_uri":"http://10.0.0.1/x.png"}"#,
    )
    .unwrap();
    assert_eq!((document.name.as_deref(), document.redirect_uris.len()), (Some("App"), 2));
    assert!(document.refresh && document.keys == Keys::None);
    let keys = parse(
        r#"{"client_id":"ID","redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"private_key_jwt",
           "jwks_uri":"https://app.example/jwks"}"#,
    );
    assert!(matches!(keys.unwrap().keys, Keys::Uri(_)));
}

#[test]
fn a_document_that_is_not_what_it_should_be_is_refused() {
    let with = |members: &str| {
        format!(r#"{{"client_id":"ID","redirect_uris":["https://app.example/cb"]{members}}}"#)
    };
    for json in [
        String::new(),
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"client_id":"ID"}"#.to_owned(),
        r#"{"client_id":"ID","redirect_uris":[]}"#.to_owned(),
        r#"{"client_id":"ID","redirect_uris":"https://app.example/cb"}"#.to_owned(),
        r#"{"client_id":"ID","redirect_uris":["javascript:alert(1)"]}"#.to_owned(),
        r#"{"client_id":"ID","redirect_uris":["https://app.example/cb","http://evil.test/"]}"#.to_owned(),
        r#"{"client_id":"https://app.example/client.json/","redirect_uris":["https://app.example/cb"]}"#
            .to_owned(),
        r#"{"client_id":"https://evil.test/client.json","redirect_uris":["https://app.example/cb"]}"#
            .to_owned(),
        r#"{"client_id":"ID","client_id":"ID","redirect_uris":["https://app.example/cb"]}"#.to_owned(),
        with(r#","client_secret":"x""#),
        with(r#","token_endpoint_auth_method":"client_secret_basic""#),
        with(r#","token_endpoint_auth_method":"client_secret_post""#),
        with(r#","token_endpoint_auth_method":"private_key_jwt""#),
        with(
            r#","token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[]},"jwks_uri":"https://a.example/k""#,
        ),
        with(r#","token_endpoint_auth_method":"private_key_jwt","jwks_uri":"http://a.example/k""#),
        with(r#","token_endpoint_auth_method":"private_key_jwt","jwks_uri":"file:///k""#),
        with(r#","grant_types":["implicit"]"#),
        with(r#","response_types":["token"]"#),
        with(&format!(r#","client_name":"{}""#, "x".repeat(2000))),
    ] {
        assert!(parse(&json).is_err(), "{json}");
    }
}

#[test]
fn a_document_is_believed_for_a_minute_at_least_and_a_day_at_most() {
    for (header, seconds) in [
        (None, 600),
        (Some("max-age=3600"), 3600),
        (Some("public, MAX-AGE=120"), 120),
        (Some("max-age=0"), 60),
        (Some("max-age=99999999"), 86_400),
        (Some("no-store"), 60),
        (Some("no-cache, max-age=3600"), 60),
        (Some("max-age=x"), 600),
        (Some(""), 600),
    ] {
        assert_eq!(freshness(header).as_secs(), seconds, "{header:?}");
    }
}
