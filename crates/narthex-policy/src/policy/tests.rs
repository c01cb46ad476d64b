use super::*;
use crate::{Call, Denial, Limited, Permit};
use narthex_config::model::{
    Admin, Auth, Expose, HttpLimits, Inspect, Per, PinMode, Pins, PublicUrl, Rate, ScopeName, SecretStores,
    Selection, Server, Shown, Store, Target, Tenant, UpstreamId,
};
use narthex_identity::Caller;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

/// Scopes held, calls, and what is decided.
type ScopeCase<'a> = (&'a [&'a str], &'a [Call<'a>], Result<(), Denial>);

const LIST: Call<'static> = Call { method: "tools/list", tool: None, name: None, counts: true };

fn tool(name: &str) -> Call<'_> {
    Call { method: "tools/call", tool: Some(name), name: None, counts: true }
}

fn scopes(names: &[&str]) -> collections::BTreeSet<ScopeName> {
    names.iter().map(|name| ScopeName::from(*name)).collect()
}

fn per_minute(count: u32) -> Option<Limits> {
    let count = NonZeroU32::new(count).unwrap();
    Some(Limits {
        requests: Some(Rate { count, window: Duration::from_secs(60) }),
        burst: None,
        concurrent: None,
        per: Per::Tenant,
    })
}

fn tool_rule(patterns: &[&str]) -> ToolRule {
    ToolRule {
        patterns: patterns.iter().map(|pattern| ToolPattern::new(pattern)).collect(),
        scopes: scopes(&[]),
        deny: false,
        limits: None,
    }
}

fn route(id: &str, needed: &[&str], tools: Vec<ToolRule>) -> Route {
    Route {
        id: RouteId::from(id),
        path: format!("/{id}"),
        resource: format!("http://localhost/{id}"),
        target: Target::One(UpstreamId::from("u")),
        expose: Expose::default(),
        instructions: None,
        page_size: 1000,
        inspect: Inspect::default(),
        auth: RouteAuth::Required,
        sender_constrained: None,
        scopes: scopes(needed),
        tools,
        limits: None,
    }
}

/// `acme` may use `github` and `docs`, `globex` only `docs`.
fn config() -> Config {
    let tenant = |routes: &[&str]| Tenant {
        routes: routes.iter().map(|r| RouteId::from(*r)).collect(),
        limits: None,
        ..Tenant::default()
    };
    let rules = vec![
        ToolRule { scopes: scopes(&["mcp:write"]), ..tool_rule(&["create_*", "delete_*"]) },
        ToolRule { scopes: scopes(&["mcp:admin"]), ..tool_rule(&["delete_*"]) },
        ToolRule { deny: true, scopes: scopes(&["mcp:secret"]), ..tool_rule(&["internal_*"]) },
    ];
    let routes = [route("github", &["mcp:read"], rules), route("docs", &[], Vec::new())];
    Config {
        server: server(),
        admin: Admin { listen: "127.0.0.1:9090".parse().unwrap() },
        auth: Auth::default(),
        tenants: [("acme", tenant(&["github", "docs"])), ("globex", tenant(&["docs"]))]
            .map(|(id, tenant)| (TenantId::from(id), tenant))
            .into(),
        pins: Pins { file: "pins.json".into(), mode: PinMode::Off },
        secrets: SecretStores::default(),
        store: Store::default(),
        upstreams: BTreeMap::new(),
        routes: routes.map(|route| (route.id.clone(), route)).into(),
    }
}

fn server() -> Server {
    let second = Duration::from_secs(1);
    Server {
        listen: "127.0.0.1:8080".parse().unwrap(),
        public_url: PublicUrl {
            url: "http://localhost".to_owned(),
            origin: "http://localhost".to_owned(),
            path: String::new(),
        },
        tls: None,
        allowed_origins: Vec::new(),
        seal_keys: Vec::new(),
        state_dir: ".".into(),
        threads: None,
        grace_period: second,
        limits: HttpLimits {
            body: 1,
            header_block: 1,
            json_depth: 1,
            connections: 1,
            buffered: 1,
            streams_per_caller: 1,
            header_timeout: second,
            body_timeout: second,
            idle_timeout: second,
            write_timeout: second,
            ..HttpLimits::default()
        },
    }
}

fn caller(tenant: &str, held: &[&str]) -> Caller {
    Caller {
        scopes: scopes(held).into_iter().collect(),
        subject: "alice".into(),
        ..Caller::anonymous(TenantId::from(tenant))
    }
}

fn ask(
    policy: &Policy,
    route: &str,
    caller: &Caller,
    calls: &[Call<'_>],
    now: Instant,
) -> Result<Permit, Denial> {
    policy.route(&RouteId::from(route)).unwrap().permit(caller, calls, now)
}

fn decide(config: &Config, route: &str, caller: &Caller, calls: &[Call<'_>]) -> Result<(), Denial> {
    let policy = Policy::build(config, None);
    ask(&policy, route, caller, calls, policy.epoch).map(drop)
}

fn missing(required: &[&str]) -> Result<(), Denial> {
    Err(Denial::MissingScopes { required: scopes(required).into_iter().collect() })
}

fn hidden(name: &str) -> Result<(), Denial> {
    Err(Denial::HiddenTool { name: name.to_owned() })
}

#[test]
fn nothing_is_allowed_that_is_not_granted() {
    let all = ["mcp:read", "mcp:write"];
    let cases = [
        ("github", "acme", Ok(())),
        ("docs", "globex", Ok(())),
        ("github", "globex", Err(Denial::RouteNotGranted)),
        ("github", "nobody", Err(Denial::UnknownTenant)),
        ("github", "", Err(Denial::UnknownTenant)),
        ("github", "ACME", Err(Denial::UnknownTenant)),
    ];
    for (route, tenant, want) in cases {
        for calls in [&[][..], &[LIST], &[tool("read")]] {
            assert_eq!(decide(&config(), route, &caller(tenant, &all), calls), want, "{tenant} on {route}");
        }
    }
    assert!(Policy::build(&config(), None).route(&RouteId::from("other")).is_none());
}

#[test]
fn a_tenant_without_routes_may_use_none() {
    let mut config = config();
    config.tenants.insert(TenantId::from("new"), Tenant::default());
    for route in ["github", "docs"] {
        assert_eq!(decide(&config, route, &caller("new", &["mcp:read"]), &[]), Err(Denial::RouteNotGranted));
    }
}

#[test]
fn a_route_without_auth_is_open_to_its_own_tenant_only() {
    let mut config = config();
    let docs = config.routes.get_mut("docs").unwrap();
    docs.auth = RouteAuth::None { tenant: TenantId::from("public") };
    assert_eq!(
        decide(&config, "docs", &Caller::anonymous(TenantId::from("public")), &[LIST]),
        Err(Denial::UnknownTenant)
    );
    config.tenants.insert(TenantId::from("public"), Tenant::default());
    assert_eq!(decide(&config, "docs", &Caller::anonymous(TenantId::from("public")), &[LIST]), Ok(()));
    assert_eq!(
        decide(&config, "github", &Caller::anonymous(TenantId::from("public")), &[LIST]),
        Err(Denial::RouteNotGranted)
    );
}

#[test]
fn all_scopes_that_are_needed_are_told_at_once() {
    let cases: [ScopeCase<'_>; 12] = [
        (&[], &[], missing(&["mcp:read"])),
        (&[], &[LIST], missing(&["mcp:read"])),
        (&["mcp:read"], &[LIST], Ok(())),
        (&["mcp:read"], &[tool("read")], Ok(())),
        (&[], &[tool("create_x")], missing(&["mcp:read", "mcp:write"])),
        (&["mcp:read"], &[tool("create_x")], missing(&["mcp:read", "mcp:write"])),
        (&["mcp:write"], &[tool("create_x")], missing(&["mcp:read", "mcp:write"])),
        (&["mcp:read", "mcp:write"], &[tool("create_x")], Ok(())),
        (&["mcp:read", "mcp:write"], &[tool("delete_x")], missing(&["mcp:admin", "mcp:read", "mcp:write"])),
        (&["mcp:admin", "mcp:read", "mcp:write"], &[tool("delete_x")], Ok(())),
        (&["mcp:read"], &[tool("read"), tool("create_x")], missing(&["mcp:read", "mcp:write"])),
        (
            &["mcp:read"],
            &[tool("create_x"), tool("delete_x")],
            missing(&["mcp:admin", "mcp:read", "mcp:write"]),
        ),
    ];
    for (held, calls, want) in cases {
        assert_eq!(decide(&config(), "github", &caller("acme", held), calls), want, "{held:?} {calls:?}");
    }
}

#[test]
fn a_call_that_does_not_count_needs_its_scopes_all_the_same() {
    let uncounted = Call { counts: false, ..tool("create_x") };
    let want = missing(&["mcp:read", "mcp:write"]);
    assert_eq!(decide(&config(), "github", &caller("acme", &["mcp:read"]), &[uncounted]), want);
}

#[test]
fn a_denied_tool_is_hidden_from_everybody_who_may_use_the_route() {
    let all = ["mcp:admin", "mcp:read", "mcp:secret", "mcp:write"];
    let cases: [ScopeCase<'_>; 5] = [
        (&all, &[tool("internal_x")], hidden("internal_x")),
        (&["mcp:read"], &[tool("internal_x")], hidden("internal_x")),
        (&["mcp:read"], &[tool("create_x"), tool("internal_x")], hidden("internal_x")),
        // Who may not use the route learns neither that the tool is there nor what it needs.
        (&[], &[tool("internal_x")], missing(&["mcp:read"])),
        (&[], &[tool("read")], missing(&["mcp:read"])),
    ];
    for (held, calls, want) in cases {
        assert_eq!(decide(&config(), "github", &caller("acme", held), calls), want, "{held:?} {calls:?}");
    }
}

#[test]
fn a_tool_call_without_a_name_is_not_outside_the_rules() {
    let mut config = config();
    let everything = ToolRule { deny: true, ..tool_rule(&["*"]) };
    config.routes.get_mut("docs").unwrap().tools = vec![everything];
    let nameless = Call { method: "tools/call", tool: None, name: None, counts: true };
    assert_eq!(decide(&config, "docs", &caller("acme", &[]), &[nameless]), hidden(""));
    assert_eq!(decide(&config, "docs", &caller("acme", &[]), &[LIST]), Ok(()));
}

#[test]
fn only_denied_tools_are_left_out_of_lists() {
    let policy = Policy::build(&config(), None);
    let github = policy.route(&RouteId::from("github")).unwrap();
    let acme = TenantId::from("acme");
    assert!(github.hides_tools(&acme));
    for (tool, shown) in [("create_x", true), ("delete_x", true), ("read", true), ("internal_x", false)] {
        assert_eq!(github.may_list(&acme, tool), shown, "{tool}");
    }
    assert!(!policy.route(&RouteId::from("docs")).unwrap().hides_tools(&acme));
}

#[test]
fn what_a_tenant_is_not_shown_does_not_exist_for_it() {
    let mut config = config();
    let some = |include: &[&str], exclude: &[&str]| Selection {
        include: Some(include.iter().map(|p| ToolPattern::new(p)).collect()),
        exclude: exclude.iter().map(|p| ToolPattern::new(p)).collect(),
    };
    let acme = config.tenants.get_mut("acme").unwrap();
    let shown = Shown {
        tools: some(&["read_*"], &["read_all"]),
        prompts: some(&["p"], &[]),
        resources: some(&["a://*"], &[]),
    };
    acme.expose.insert(RouteId::from("docs"), shown);
    config.routes.get_mut("docs").unwrap().expose.shown.tools.exclude = vec![ToolPattern::new("*_b")];
    let policy = Policy::build(&config, None);
    let docs = policy.route(&RouteId::from("docs")).unwrap();
    let (acme, globex) = (TenantId::from("acme"), TenantId::from("globex"));
    for (name, of_acme, of_globex) in
        [("read_a", true, true), ("read_all", false, true), ("write", false, true), ("read_b", false, false)]
    {
        assert_eq!(
            (docs.may_list(&acme, name), docs.may_list(&globex, name)),
            (of_acme, of_globex),
            "{name}"
        );
        let wanted = |may| if may { Ok(()) } else { hidden(name) };
        assert_eq!(decide(&config, "docs", &caller("acme", &[]), &[tool(name)]), wanted(of_acme), "{name}");
        assert_eq!(
            decide(&config, "docs", &caller("globex", &[]), &[tool(name)]),
            wanted(of_globex),
            "{name}"
        );
    }
    let get = |name| Call { method: "prompts/get", tool: None, name: Some(name), counts: true };
    let read = |name| Call { method: "resources/read", tool: None, name: Some(name), counts: true };
    let of = |call| decide(&config, "docs", &caller("acme", &[]), &[call]);
    assert_eq!((of(get("p")), of(read("a://1"))), (Ok(()), Ok(())));
    assert_eq!(of(get("q")), Err(Denial::HiddenPrompt { name: "q".to_owned() }));
    assert_eq!(of(read("b://1")), Err(Denial::HiddenResource { uri: "b://1".to_owned() }));
    assert!(docs.hides_anything(&acme) && docs.hides_tools(&globex));
    assert!(docs.may_list_prompt(&globex, "q") && !docs.may_list_resource(&acme, "b://1"));
    assert!(!docs.may_list(&TenantId::from("nobody"), "read_a"));
}

#[test]
fn who_is_shown_any_tool_of_an_upstream_may_connect_it() {
    let mut config = config();
    let only = |include: &str, exclude: &[&str]| Shown {
        tools: Selection {
            include: Some(vec![ToolPattern::new(include)]),
            exclude: exclude.iter().map(|pattern| ToolPattern::new(pattern)).collect(),
        },
        ..Shown::default()
    };
    for (shown, may) in [
        (Shown::default(), true),
        (only("gh__create_*", &[]), true),
        (only("docs__*", &[]), false),
        (only("*", &["gh__*"]), false),
        (only("*", &["gh__connect"]), false),
    ] {
        config.tenants.get_mut("acme").unwrap().expose.insert(RouteId::from("docs"), shown.clone());
        let policy = Policy::build(&config, None);
        let route = policy.route(&RouteId::from("docs")).unwrap();
        drop(policy);
        let mut docs = Arc::into_inner(route).unwrap();
        docs.connecting.insert("gh__connect".to_owned(), "gh__".to_owned());
        let acme = TenantId::from("acme");
        assert_eq!(docs.may_connect(&acme, "gh__connect"), may, "{shown:?}");
        let called = docs.permit(&caller("acme", &[]), &[tool("gh__connect")], Instant::now());
        assert_eq!(called.is_ok(), may, "{shown:?}");
        // What the upstream itself calls so is another matter.
        let itself = shown.tools.has("gh__connect");
        assert_eq!(docs.may_list(&acme, "gh__connect"), itself, "{shown:?}");
        assert!(!docs.may_connect(&acme, "gh__other") && !docs.may_connect(&acme, "docs__connect"));
    }
}

#[test]
fn a_denial_has_the_reason_that_is_documented() {
    let limited = |window| {
        Denial::Limited(Limited {
            policy: "tenant".into(),
            count: 1,
            window,
            retry_after: Duration::from_secs(1),
        })
    };
    for (denial, reason) in [
        (Denial::UnknownTenant, "unknown_tenant"),
        (Denial::RouteNotGranted, "route_not_granted"),
        (Denial::MissingScopes { required: Vec::new() }, "insufficient_scope"),
        (Denial::HiddenTool { name: String::new() }, "tool_denied"),
        (limited(Some(Duration::from_secs(60))), "rate_limited"),
        (limited(None), "concurrency_limited"),
    ] {
        assert_eq!(denial.reason(), reason);
    }
}

/// How many of 20 calls at `now` pass, and the name of the limit that ends it.
fn pass(policy: &Policy, route: &str, caller: &Caller, call: Call<'_>, now: Instant) -> (usize, String) {
    let mut passed = 0;
    for _ in 0..20 {
        match ask(policy, route, caller, &[call], now) {
            Ok(_) => passed += 1,
            Err(Denial::Limited(limited)) => return (passed, limited.policy.to_string()),
            Err(other) => panic!("{other}"),
        }
    }
    (passed, String::new())
}

/// Limits of the tenant (9), the route (6) and the tools `create_*` (2).
fn limited_config() -> Config {
    let mut config = config();
    config.tenants.get_mut("acme").unwrap().limits = per_minute(9);
    let github = config.routes.get_mut("github").unwrap();
    github.limits = per_minute(6);
    github.tools[0].limits = per_minute(2);
    config
}

#[test]
fn every_limit_that_matches_counts() {
    let policy = Policy::build(&limited_config(), None);
    let now = policy.epoch;
    let acme = caller("acme", &["mcp:read", "mcp:write"]);
    assert_eq!(
        pass(&policy, "github", &acme, tool("create_x"), now),
        (2, "tool:create_*,delete_*".to_owned())
    );
    assert_eq!(pass(&policy, "github", &acme, tool("read"), now), (4, "route".to_owned()));
    assert_eq!(pass(&policy, "docs", &acme, LIST, now), (3, "tenant".to_owned()));
    assert_eq!(pass(&policy, "docs", &caller("globex", &[]), LIST, now), (20, String::new()));
}

#[test]
fn a_call_that_does_not_count_is_never_limited() {
    let policy = Policy::build(&limited_config(), None);
    let acme = caller("acme", &["mcp:read"]);
    let uncounted = Call { counts: false, ..LIST };
    assert_eq!(pass(&policy, "github", &acme, uncounted, policy.epoch), (20, String::new()));
}

#[test]
fn a_denied_call_takes_nothing_from_the_limits() {
    let policy = Policy::build(&limited_config(), None);
    let acme = caller("acme", &["mcp:read"]);
    for _ in 0..20 {
        assert!(ask(&policy, "github", &acme, &[tool("create_x")], policy.epoch).is_err());
    }
    assert_eq!(pass(&policy, "github", &acme, LIST, policy.epoch), (6, "route".to_owned()));
}

#[test]
fn rules_with_the_same_patterns_count_each_for_itself() {
    let mut config = config();
    let rule = ToolRule { limits: per_minute(4), ..tool_rule(&["*"]) };
    config.routes.get_mut("docs").unwrap().tools = vec![rule.clone(), rule];
    let policy = Policy::build(&config, None);
    assert_eq!(pass(&policy, "docs", &caller("acme", &[]), tool("x"), policy.epoch).0, 4);
}

#[test]
fn a_reload_keeps_the_counts_of_unchanged_limits_and_starts_changed_ones_afresh() {
    let mut config = limited_config();
    let before = Policy::build(&config, None);
    let (now, acme) = (before.epoch + Duration::from_secs(1), caller("acme", &["mcp:read"]));
    assert_eq!(pass(&before, "github", &acme, LIST, now).0, 6);
    let same = Policy::build(&config, Some(&before));
    assert_eq!(pass(&same, "github", &acme, LIST, now), (0, "route".to_owned()));
    assert_eq!(pass(&same, "github", &acme, LIST, now + Duration::from_secs(10)).0, 1);
    config.routes.get_mut("github").unwrap().limits = per_minute(7);
    let changed = Policy::build(&config, Some(&same));
    assert_eq!(
        pass(&changed, "github", &acme, LIST, now + Duration::from_secs(10)),
        (3, "tenant".to_owned())
    );
}

#[test]
fn calls_in_flight_across_a_reload_still_count() {
    let mut config = config();
    config.tenants.get_mut("acme").unwrap().limits =
        Some(Limits { requests: None, burst: None, concurrent: NonZeroU32::new(2), per: Per::Subject });
    let before = Policy::build(&config, None);
    let acme = caller("acme", &["mcp:read"]);
    let one = ask(&before, "docs", &acme, &[LIST], before.epoch).unwrap();
    let after = Policy::build(&config, Some(&before));
    drop(before);
    assert_eq!(after.housekeep(after.epoch).keys, 2);
    let two = ask(&after, "github", &acme, &[LIST], after.epoch).unwrap();
    assert!(ask(&after, "docs", &acme, &[LIST], after.epoch).is_err());
    drop((one, two));
    assert!(ask(&after, "docs", &acme, &[LIST], after.epoch).is_ok());
    assert_eq!(after.housekeep(after.epoch).keys, 1);
}

/// Not a test of speed but a way to see it: run with `--ignored --nocapture`, optimised.
#[test]
#[ignore = "prints a measurement"]
fn cost_of_a_decision() {
    for (route, per) in [
        ("docs", Per::Tenant),
        ("docs", Per::Subject),
        ("docs", Per::Tool),
        ("github", Per::Tenant),
        ("github", Per::Subject),
        ("github", Per::Tool),
    ] {
        let mut config = limited_config();
        let plenty = Limits { per, ..per_minute(u32::MAX).unwrap() };
        config.tenants.get_mut("acme").unwrap().limits = Some(plenty.clone());
        config.routes.get_mut(route).unwrap().limits = Some(plenty);
        let policy = Policy::build(&config, None).route(&RouteId::from(route)).unwrap();
        let acme = caller("acme", &["mcp:read", "mcp:write"]);
        let began = Instant::now();
        let rounds = 1_000_000;
        for _ in 0..rounds {
            drop(std::hint::black_box(policy.permit(&acme, &[tool("read_issue")], began)).unwrap());
        }
        println!("{route} {per:?}: {} ns", began.elapsed().as_nanos() / rounds);
    }
}
