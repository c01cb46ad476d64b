use super::*;
use crate::model::{
    Algorithm, ClientAuth, Credential, Dpop, HttpLimits, Instances, KeySource, LegacyRevision,
    OAuthClientAuth, Per, PinMode, Pins, ProcessLimits, Protocol, Rate, RouteAuth, SecretRef,
    SenderConstrained, Target, TenantRule, ToolPattern,
};
use std::time::Duration;

mod authority;
mod bound;
mod consent;
mod exchange;
mod hostile;
mod inspect;
mod login;
mod merged;
mod mistakes;
mod secrets;
mod stdio;
mod store;
mod vault;
mod warnings;

const EVERY_KEY: &str = include_str!("../../tests/fixtures/every-key.yaml");

/// A small configuration that is right; tests add to it or replace lines of it.
const GOOD: &str = "\
server: { public_url: http://localhost:8080 }
auth: { embedded: development }
tenants: { acme: { routes: [demo] } }
upstreams:
  demo:
    url: http://127.0.0.1:9001/mcp
routes:
  demo:
    path: /mcp
    upstream: demo
";

fn parsed(text: &str) -> Result<(Config, Diagnostics), Diagnostics> {
    parse_in(Path::new("conf/gateway.yaml"), text, None)
}

/// What is reported of a text that must not load.
fn refused(text: &str) -> Diagnostics {
    match parsed(text) {
        Ok(_) => panic!("this was accepted:\n{text}"),
        Err(found) => found,
    }
}

#[test]
fn the_configuration_of_make_run_loads_without_a_warning() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../gateway.yaml");
    let loaded = load(&path).unwrap_or_else(|found| panic!("{found}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let beside = |file: &str| path.parent().unwrap().join(file);
    assert_eq!(loaded.files, [beside(".narthex/demo-key"), beside("narthex.pins.json")]);
    assert_eq!(loaded.fingerprint.len(), 64);
    assert!(loaded.config.auth.embedded_development);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# yaml-language-server: $schema=./docs/gateway.schema.json\n"));
}

#[test]
fn every_key_of_the_contract_loads_as_written() {
    let (config, warnings) = parsed(EVERY_KEY).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(warnings.len(), 2, "{warnings}");
    server_as_written(&config);
    store::as_written(&config);
    vault::as_written(&config);
    auth_as_written(&config);
    upstreams_as_written(&config);
    other_upstreams_as_written(&config);
    routes_as_written(&config);
    merged_route_as_written(&config);
}

fn server_as_written(config: &Config) {
    let server = &config.server;
    assert_eq!(server.listen.to_string(), "[::1]:8443");
    assert_eq!(server.public_url.url, "https://gateway.example.com/mcp-gw");
    assert_eq!(server.public_url.origin, "https://gateway.example.com");
    assert_eq!(server.public_url.path, "/mcp-gw");
    let tls = server.tls.as_ref().unwrap();
    assert_eq!(tls.cert, Path::new("conf/tls/cert.pem"));
    assert_eq!(tls.key, Path::new("/etc/narthex/key.pem"));
    assert_eq!(tls.client_auth, ClientAuth::Optional("conf/tls/ca.pem".into()));
    assert_eq!(server.allowed_origins, ["https://app.example.com", "http://localhost:6274"]);
    assert_eq!(server.seal_keys[1], SecretRef::Env("OLD_SEAL".into()));
    assert_eq!(server.state_dir, Path::new("conf/state"));
    assert_eq!((server.threads, server.grace_period), (Some(3), Duration::from_secs(45)));
    let limits = &server.limits;
    assert_eq!((limits.body, limits.header_block, limits.buffered), (8 << 20, 16 << 10, 128 << 20));
    assert_eq!((limits.json_depth, limits.connections, limits.streams_per_caller), (32, 5000, 16));
    assert_eq!((limits.suspended_calls, limits.suspended_per_caller), (500, 4));
    assert_eq!((limits.sessions, limits.sessions_per_caller), (2000, 20));
    assert_eq!((limits.events_per_stream, limits.event_bytes_per_session), (64, 256 << 10));
    assert_eq!((limits.suspend_timeout.as_secs(), limits.session_idle.as_secs()), (120, 3600));
    let timeouts = [limits.header_timeout, limits.body_timeout, limits.idle_timeout, limits.write_timeout];
    assert_eq!(timeouts.map(|timeout| timeout.as_millis()), [5_000, 20_000, 120_000, 1_500]);
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9191");
    assert_eq!(config.pins.file, Path::new("conf/reviewed/pins.json"));
}

fn auth_as_written(config: &Config) {
    let auth = &config.auth;
    assert!(auth.embedded_development);
    assert_eq!((auth.leeway, auth.token_cache), (Duration::ZERO, 5000));
    let algorithms = vec![Algorithm::ES256, Algorithm::PS512];
    let window = Duration::from_secs(120);
    assert_eq!(auth.dpop, Dpop { nonce: true, window, algorithms, replay_cache: 20_000 });
    assert_eq!(auth.scope_hierarchy["mcp:write"], ["mcp:read".into()]);
    let [idp, internal, partner] = auth.issuers.as_slice() else { panic!("three issuers") };
    assert_eq!((idp.issuer.as_str(), idp.algorithms.len()), ("https://idp.example.com", 9));
    assert_eq!(idp.keys, KeySource::Discovery);
    assert_eq!(idp.tenant, TenantRule::Claim("org_id".into()));
    let introspection = idp.introspection.as_ref().unwrap();
    assert_eq!(introspection.cache, Duration::from_secs(30));
    assert!(matches!(introspection.client.auth, OAuthClientAuth::Post(SecretRef::File(_))));
    assert!(
        internal.insecure && matches!(&internal.keys, KeySource::Uri(url) if url.path() == "/realms/a/keys")
    );
    assert_eq!(internal.tenant, TenantRule::Value("acme".into()));
    assert_eq!(internal.algorithms.len(), 3, "the default");
    assert_eq!(partner.keys, KeySource::File("conf/partner.jwks".into()));
    assert_eq!(partner.issuer, "https://partner.example.com/", "kept byte by byte");
}

fn upstreams_as_written(config: &Config) {
    let github = &config.upstreams["github"];
    let Credential::TokenExchange(exchange) = &github.credential else { panic!("token exchange") };
    assert_eq!(exchange.wanted.scopes.len(), 2);
    assert_eq!(exchange.subject_token_type, "urn:ietf:params:oauth:token-type:jwt");
    assert!(
        matches!(&exchange.client.auth, OAuthClientAuth::PrivateKeyJwt { key_id: Some(id), .. } if id == "k1")
    );
    assert_eq!((github.keepalive, github.max_concurrent.get()), (Duration::ZERO, 100));
    assert_eq!((github.breaker.failures.get(), github.breaker.cooldown.as_secs()), (3, 20));
    assert_eq!(github.protocol, Protocol::Both(LegacyRevision::V2025_11_25), "the newest with sessions");
    assert_eq!(config.upstreams["docs"].protocol, Protocol::Auto);
    assert_eq!(config.upstreams["legacy"].protocol, Protocol::HttpSse);
    assert!(github.allow_link_local && !github.insecure);
    assert_eq!((github.pins, config.upstreams["docs"].pins), (PinMode::Locked, PinMode::TrustOnFirstUse));
    let header = Credential::Header { name: "x-api-key".into(), value: SecretRef::Env("DOCS_KEY".into()) };
    assert_eq!(config.upstreams["docs"].credential, header);
    let basic = Credential::Basic {
        username: "narthex".into(),
        password: SecretRef::File("conf/legacy.password".into()),
    };
    assert_eq!(config.upstreams["legacy"].credential, basic);
    let machine = &config.upstreams["machine"].credential;
    let Credential::ClientCredentials(machine) = machine else { panic!("client credentials") };
    assert_eq!(machine.wanted.audience, ["machine"]);
    assert_eq!(config.upstreams["open"].credential, Credential::None);
    assert_eq!(config.upstreams["open"].timeout, Duration::from_secs(60), "the default");
}

fn other_upstreams_as_written(config: &Config) {
    let files = &config.upstreams["files"];
    let stdio = files.transport.stdio().unwrap();
    assert_eq!((stdio.program.as_str(), stdio.arguments.len()), ("npx", 3));
    assert_eq!(stdio.cwd.as_deref(), Some(Path::new("conf/files")));
    assert_eq!(stdio.env["LANG"], "C.UTF-8");
    assert_eq!(stdio.instances, Instances::PerCaller);
    let limits = ProcessLimits {
        memory: 512 << 20,
        cpu: Some(Duration::from_secs(600)),
        files: 256.try_into().unwrap(),
        message: 4 << 20,
    };
    assert_eq!(stdio.limits, limits);
    assert_eq!((stdio.restart.min.as_millis(), stdio.restart.max.as_secs()), (250, 60));
    let secrets = [("API_TOKEN".into(), SecretRef::File("conf/files.token".into()))];
    assert_eq!(files.credential, Credential::Env(secrets.into()));
    let replicas = &config.upstreams["replicas"];
    let endpoints: Vec<&str> = replicas.transport.endpoints().unwrap().iter().map(url::Url::as_str).collect();
    assert_eq!(endpoints, ["https://a.example.com/mcp", "https://b.example.com/mcp"]);
    assert_eq!((replicas.health.interval.as_secs(), replicas.health.timeout.as_secs()), (5, 1));
    let catalogue = &replicas.catalogue;
    assert_eq!((catalogue.ttl.as_secs(), catalogue.timeout.as_secs()), (120, 3));
    assert_eq!((catalogue.items, catalogue.bytes), (500, 1 << 20));
}

fn merged_route_as_written(config: &Config) {
    let all = &config.routes["all"];
    let Target::Merged(merged) = &all.target else { panic!("several upstreams") };
    assert_eq!(merged.upstreams, ["replicas".into(), "files".into()]);
    assert!(merged.names.prefixing);
    assert_eq!(merged.names.separator, ".");
    assert_eq!(merged.names.prefix(&"replicas".into()), "web");
    assert_eq!(merged.names.prefix(&"files".into()), "files");
    let shown = &all.expose.shown;
    assert!(shown.tools.has("web.search") && shown.tools.has("find") && !shown.tools.has("web.rm"));
    assert!(!shown.tools.has("other"), "it is not included");
    assert!(shown.prompts.has("web.help") && !shown.prompts.has("files.help"));
    assert!(!shown.resources.has("file:///etc/passwd") && shown.resources.has("https://x"));
    assert_eq!(all.expose.rename["files.search_files"], "find");
    assert_eq!(all.expose.describe["find"], "Finds files by name.");
    assert!(all.inspect.given && all.inspect.results.max_description == 8 << 10);
    assert_eq!(all.inspect.results.patterns[0].name, "ticket");
    assert_eq!(all.inspect.results.max_result, 4 << 20);
    assert_eq!(all.inspect.arguments.secrets, narthex_inspect::Action::Refuse);
    assert_eq!((all.instructions.as_deref(), all.page_size), (Some("Search first.\nThen read.\n"), 50));
    let tenant = &config.tenants["acme"].expose["all"];
    assert!(tenant.tools.has("web.search") && !tenant.tools.has("find"));
    assert!(tenant.prompts.is_everything() && !tenant.resources.has("https://x"));
    let docs = &config.routes["docs"];
    assert_eq!(docs.target, Target::One("docs".into()));
    assert_eq!((docs.instructions.as_ref(), docs.page_size), (None, 1000), "the defaults");
}

fn routes_as_written(config: &Config) {
    let github = &config.routes["github"];
    assert_eq!(github.resource, "https://gateway.example.com/mcp-gw/github");
    assert_eq!(github.auth, RouteAuth::Required);
    assert_eq!(github.sender_constrained, Some(SenderConstrained::Any));
    let rule = &github.tools[0];
    assert_eq!(rule.patterns, [ToolPattern::new("create_*"), ToolPattern::new("delete_*")]);
    let limits = rule.limits.as_ref().unwrap();
    let rate = Rate { count: 10.try_into().unwrap(), window: Duration::from_secs(60) };
    assert_eq!((limits.requests, limits.per), (Some(rate), Per::Subject));
    assert!(github.tools[1].deny);
    assert_eq!(github.limits.as_ref().unwrap().concurrent.unwrap().get(), 32);
    assert_eq!(config.routes["docs"].auth, RouteAuth::None { tenant: "globex".into() });
    assert_eq!(config.routes["tools"].resource, "https://gateway.example.com/mcp-gw", "no trailing slash");
    let acme = config.tenants["acme"].limits.as_ref().unwrap();
    assert_eq!((acme.burst.unwrap().get(), acme.concurrent.unwrap().get()), (100, 64));
    assert!(config.tenants["nobody"].routes.is_empty(), "default deny");
}

#[test]
fn what_an_upstream_speaks_is_found_out_or_said() {
    use LegacyRevision::{V2025_03_26, V2025_06_18, V2025_11_25};
    let url = "    url: http://127.0.0.1:9001/mcp\n";
    for (written, protocol) in [
        ("", Protocol::Auto),
        ("    protocol: auto\n", Protocol::Auto),
        ("    protocol: 2026-07-28\n", Protocol::Modern),
        ("    protocol: '2026-07-28'\n", Protocol::Modern),
        ("    protocol: 2025-11-25\n", Protocol::Legacy(V2025_11_25)),
        ("    protocol: 2025-06-18\n", Protocol::Legacy(V2025_06_18)),
        ("    protocol: 2025-03-26\n", Protocol::Legacy(V2025_03_26)),
        ("    protocol: 2024-11-05\n", Protocol::HttpSse),
        ("    protocol: [2024-11-05]\n", Protocol::HttpSse),
        ("    protocol: [2026-07-28]\n", Protocol::Modern),
        ("    protocol: [2025-06-18, 2025-11-25]\n", Protocol::Legacy(V2025_11_25)),
        ("    protocol: [2025-03-26, 2026-07-28]\n", Protocol::Both(V2025_03_26)),
    ] {
        let (config, warnings) = parsed(&GOOD.replace(url, &format!("{url}{written}"))).unwrap();
        assert_eq!(config.upstreams["demo"].protocol, protocol, "{written}");
        assert!(warnings.is_empty(), "{warnings}");
    }
}

#[test]
fn every_file_that_is_referred_to_is_listed_for_the_watcher() {
    let (config, _) = parsed(EVERY_KEY).unwrap();
    let files: Vec<String> = files_of(&config).iter().map(|path| path.display().to_string()).collect();
    let expected = [
        "/etc/narthex/key.pem",
        "/run/secrets/narthex",
        "/run/secrets/redis",
        "/run/secrets/seal",
        "/run/secrets/store",
        "/run/secrets/vault",
        "conf/ca.pem",
        "conf/client.pem",
        "conf/files.token",
        "conf/legacy.password",
        "conf/partner.jwks",
        "conf/redis-ca.pem",
        "conf/reviewed/pins.json",
        "conf/tls/ca.pem",
        "conf/tls/cert.pem",
        "conf/vault-ca.pem",
    ];
    assert_eq!(files, expected);
}

#[test]
fn the_state_directory_is_systemds_if_it_gives_one() {
    let state_dir = |given: Option<&str>| {
        let parsed = parse_in(Path::new("conf/gateway.yaml"), GOOD, given.map(OsString::from));
        parsed.unwrap().0.server.state_dir
    };
    assert_eq!(state_dir(None), Path::new("conf/.narthex"));
    assert_eq!(state_dir(Some("/var/lib/narthex")), Path::new("/var/lib/narthex"));
    assert_eq!(state_dir(Some("/var/lib/a:/var/lib/b")), Path::new("/var/lib/a"));
    assert_eq!(state_dir(Some("")), Path::new("conf/.narthex"));
}

#[test]
fn what_cannot_be_of_use_is_a_warning() {
    let (_, warnings) = parsed(&GOOD.replace("routes: [demo]", "limits: { concurrent: 1 }")).unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(warnings.to_string().starts_with("warning: no caller may use route `demo`"), "{warnings}");
}

#[test]
fn the_smallest_configuration_gets_all_defaults() {
    let (config, _) = parsed("server: { public_url: https://h }").unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9090");
    assert_eq!(config.server.limits, HttpLimits::default());
    assert_eq!(config.auth.leeway, Duration::from_secs(30));
    assert_eq!(config.auth.token_cache, 100_000);
    assert_eq!(config.pins, Pins { file: "conf/narthex.pins.json".into(), mode: PinMode::Off });
}

#[test]
fn an_upstream_is_pinned_as_it_says_or_as_all_are() {
    use PinMode::{Locked, Off, TrustOnFirstUse};
    let url = "    url: http://127.0.0.1:9001/mcp\n";
    for (all, own, mode) in [
        ("", "", Off),
        ("", "locked", Locked),
        ("pins: {}\n", "", TrustOnFirstUse),
        ("pins: {}\n", "off", Off),
        ("pins: { file: p.json }\n", "", TrustOnFirstUse),
        ("pins: { mode: locked }\n", "", Locked),
        ("pins: { mode: locked }\n", "trust-on-first-use", TrustOnFirstUse),
        ("pins: { mode: off }\n", "", Off),
        ("pins: { mode: 'off' }\n", "locked", Locked),
    ] {
        let own = if own.is_empty() { String::new() } else { format!("    pins: {own}\n") };
        let (config, warnings) =
            parsed(&format!("{all}{}", GOOD.replace(url, &format!("{url}{own}")))).unwrap();
        assert_eq!(config.upstreams["demo"].pins, mode, "{all:?} {own:?}");
        assert!(warnings.is_empty(), "{warnings}");
    }
}
