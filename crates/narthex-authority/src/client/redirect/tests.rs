use super::*;
use proptest::prelude::*;

/// What nobody may register.
const HOSTILE: [&str; 96] = [
    "",
    "/cb",
    "cb",
    "//app.example/cb",
    "https:",
    "https:/app.example/cb",
    "https:app.example/cb",
    "https:///app.example/cb",
    "https://",
    "https:///cb",
    "https://?x",
    "https://app.example/cb#",
    "https://app.example/cb#code",
    "https://app.example#@evil.test/",
    "https://user@app.example/cb",
    "https://user:pw@app.example/cb",
    "https://@app.example/cb",
    "https://:@app.example/cb",
    "https://app.example@evil.test/cb",
    "https://app.example%40evil.test/cb",
    "https://app.example\\@evil.test/cb",
    "https://app.example\\.evil.test/cb",
    "https:\\\\app.example/cb",
    "https://app.example/cb\\..\\x",
    "https://app.example/a/../cb",
    "https://app.example/a/./cb",
    "https://app.example/..",
    "https://app.example/%2e%2e/cb",
    "https://app.example/%2E%2E/cb",
    "https://app.example/.%2e/cb",
    "https://app.example/a%2f..%2fcb",
    "https://app.example/a%5ccb",
    "https://app.example/cb%00",
    "https://app.example/cb%0d%0aLocation:x",
    "https://app.example/cb\r\nLocation: x",
    "https://app.example/cb\n",
    "https://app.example/c\tb",
    " https://app.example/cb",
    "https://app.example/cb ",
    "https://app.example/c b",
    "https://app.example/\u{0}",
    "https://app.example/é",
    "https://аpp.example/cb",
    "https://app。example/cb",
    "https://app.example\u{200b}/cb",
    "https://APP.example/cb",
    "HTTPS://app.example/cb",
    "https://app.example:443/cb",
    "https://app.example:/cb",
    "https://app.example:0x50/cb",
    "https://app.example:99999/cb",
    "https://app.example./cb",
    "https://*.example/cb",
    "https://app.example/*",
    "https://app.example/cb?x=*",
    "https://0x7f.1/cb",
    "https://2130706433/cb",
    "https://127.1/cb",
    "https://0177.0.0.1/cb",
    "https://[::ffff:127.0.0.1]/cb",
    "https://[::1/cb",
    "https://ex ample/cb",
    "https://app.example/\"onload=x",
    "https://app.example/<script>",
    "https://app.example/{x}",
    "https://app.example/|",
    "https://app.example/`",
    "https://app.example/^",
    "http://app.example/cb",
    "http://10.0.0.1/cb",
    "http://169.254.169.254/latest",
    "http://0.0.0.0/cb",
    "http://127.0.0.2/cb",
    "http://127.1/cb",
    "http://2130706433/cb",
    "http://localhost.evil.test/cb",
    "http://localhost./cb",
    "http://LOCALHOST/cb",
    "http://sub.localhost/cb",
    "http://localhost@evil.test/cb",
    "http://127.0.0.1@evil.test/cb",
    "http://[::]/cb",
    "http://[::ffff:7f00:1]/cb",
    "http://127.0.0.1:80/cb",
    "javascript:alert(1)",
    "javascript://app.example/%0aalert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://app.example/x",
    "view-source:https://app.example/",
    "ws://127.0.0.1/",
    "intent://x#Intent;end",
    "myapp:/cb",
    "myapp://cb",
];

#[test]
fn what_could_lead_elsewhere_cannot_be_registered() {
    for text in HOSTILE {
        assert!(RedirectUri::parse(text, Source::Client).is_err(), "{text:?}");
    }
    assert!(RedirectUri::parse(&format!("https://a.example/{}", "x".repeat(1100)), Source::Client).is_err());
}

#[test]
fn what_clients_have_can_be_registered() {
    for text in [
        "https://app.example/cb",
        "https://app.example",
        "https://app.example:8443/cb?x=y",
        "https://claude.ai/api/mcp/auth_callback",
        "http://127.0.0.1/cb",
        "http://127.0.0.1:33418/",
        "http://localhost:3334/oauth/callback",
        "http://[::1]:1234/cb",
        "com.example.app:/oauth2redirect/example-provider",
        "com.example.app://cb",
    ] {
        assert!(RedirectUri::parse(text, Source::Client).is_ok(), "{text}");
    }
    for text in ["cursor://anysphere.cursor-mcp/oauth/callback", "vscode://vscode.mcp/cb"] {
        assert!(RedirectUri::parse(text, Source::Client).is_err(), "{text}");
        assert!(RedirectUri::parse(text, Source::Operator).is_ok(), "{text}");
    }
    assert!(RedirectUri::parse("javascript:alert(1)", Source::Operator).is_err());
}

/// What a client that registered `https://app.example/cb` may not have.
const ELSEWHERE: [&str; 24] = [
    "https://app.example/cb/",
    "https://app.example/cb/../evil",
    "https://app.example/cb?",
    "https://app.example/cb?x=1",
    "https://app.example/cb#x",
    "https://app.example/CB",
    "https://app.example/%63b",
    "https://app.example/cb%20",
    "https://APP.example/cb",
    "https://app.example:443/cb",
    "https://app.example:8443/cb",
    "https://app.example./cb",
    "https://x.app.example/cb",
    "https://app.example.evil.test/cb",
    "https://app.exampleevil.test/cb",
    "https://evil.test/app.example/cb",
    "https://evil.test#app.example/cb",
    "https://app.example@evil.test/cb",
    "https://evil.test\\app.example/cb",
    "http://app.example/cb",
    "https:app.example/cb",
    "//app.example/cb",
    " https://app.example/cb",
    "https://app.example/cb\n",
];

#[test]
fn a_web_page_matches_itself_only() {
    let registered = RedirectUri::parse("https://app.example/cb", Source::Client).unwrap();
    assert!(registered.matches("https://app.example/cb"));
    for asked in ELSEWHERE.iter().chain(&HOSTILE) {
        assert!(!registered.matches(asked), "{asked:?}");
    }
}

#[test]
fn a_loopback_address_matches_on_every_port_and_nowhere_else() {
    let registered = RedirectUri::parse("http://127.0.0.1/cb?a=b", Source::Client).unwrap();
    for asked in ["http://127.0.0.1/cb?a=b", "http://127.0.0.1:1/cb?a=b", "http://127.0.0.1:65535/cb?a=b"] {
        assert!(registered.matches(asked), "{asked}");
    }
    for asked in [
        "http://localhost:1/cb?a=b",
        "http://[::1]:1/cb?a=b",
        "https://127.0.0.1:1/cb?a=b",
        "http://127.0.0.1:1/cb",
        "http://127.0.0.1:1/cb?a=b&c=d",
        "http://127.0.0.1:1/cb/x?a=b",
        "http://127.0.0.1:1/CB?a=b",
        "http://127.0.0.1:0x50/cb?a=b",
        "http://127.0.0.1:1@evil.test/cb?a=b",
        "http://127.0.0.1.evil.test:1/cb?a=b",
        "http://127.0.0.1:99999/cb?a=b",
        "http://127.0.0.1:1/cb?a=b#x",
    ] {
        assert!(!registered.matches(asked), "{asked}");
    }
    let localhost = RedirectUri::parse("http://localhost:3000/", Source::Client).unwrap();
    assert!(localhost.matches("http://localhost:9999/"));
    assert!(!localhost.matches("http://127.0.0.1:9999/"));
}

#[test]
fn there_are_enough_of_them() {
    let mut all: Vec<&str> = HOSTILE.iter().chain(&ELSEWHERE).copied().collect();
    all.sort_unstable();
    all.dedup();
    assert!(all.len() >= 80 + 24, "{}", all.len());
}

proptest! {
    #[test]
    fn what_matches_goes_to_the_registered_host(asked in "(http|https)://[a-z0-9@:/.\\[\\]%#?-]{0,40}") {
        let registered = RedirectUri::parse("http://127.0.0.1/cb", Source::Client).unwrap();
        if registered.matches(&asked) {
            let url = Url::parse(&asked).unwrap();
            prop_assert_eq!((url.scheme(), url.host_str(), url.path()), ("http", Some("127.0.0.1"), "/cb"));
        }
    }
}
