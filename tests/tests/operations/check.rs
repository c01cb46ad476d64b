//! `narthex check` on bad files: exit 1, and each mistake with its line and column.

use super::cli::{Ended, dir_with, embedded, narthex};

/// A literal secret in every file that has one; nothing may repeat it.
const SECRET: &str = "hunter2-literal-secret";

/// A bad file: its name, how it is made from a good one, where the mistake is, and words of the message.
struct Bad {
    name: &'static str,
    from: &'static str,
    to: &'static str,
    at: (usize, usize),
    says: &'static str,
}

fn bad(
    name: &'static str,
    from: &'static str,
    to: &'static str,
    at: (usize, usize),
    says: &'static str,
) -> Bad {
    Bad { name, from, to, at, says }
}

fn under_server_and_auth() -> Vec<Bad> {
    vec![
        bad(
            "unknown key",
            "  listen: 127.0.0.1:8080",
            "  lisen: 127.0.0.1:8080",
            (2, 3),
            "did you mean `listen`?",
        ),
        bad("unknown section", "tenants:", "tennants:", (8, 1), "unknown key `tennants`"),
        bad(
            "duplicate key",
            "auth:\n",
            "auth: { embedded: development }\nauth:\n",
            (7, 1),
            "duplicate key `auth`",
        ),
        bad("key without a value", "  embedded: development\n", "  embedded:\n", (7, 11), "no value"),
        bad("address without a port", "127.0.0.1:8080", "localhost", (2, 11), "not an address and port"),
        bad(
            "public URL with a query",
            "http://localhost:8080",
            "'http://localhost:8080?a=b'",
            (3, 15),
            "no query",
        ),
        bad(
            "public URL of another scheme",
            "http://localhost:8080",
            "ftp://localhost",
            (3, 15),
            "not an `http`",
        ),
        bad(
            "a public URL that is missing",
            "  public_url: http://localhost:8080\n",
            "",
            (2, 3),
            "`public_url` is missing",
        ),
        bad(
            "embedded issuer for all the world",
            "listen: 127.0.0.1:8080",
            "listen: 0.0.0.0:8080",
            (7, 13),
            "loopback",
        ),
        bad(
            "issuer over plain http",
            "  embedded: development\n",
            "  issuers: [{ issuer: http://i, tenant: { claim: t } }]\n",
            (7, 23),
            "plain `http`",
        ),
        bad(
            "unsigned tokens",
            "  embedded: development\n",
            "  issuers: [{ issuer: https://i, tenant: { claim: t }, algorithms: [none] }]\n",
            (7, 69),
            "never accepted",
        ),
        bad(
            "HMAC",
            "  embedded: development\n",
            "  issuers: [{ issuer: https://i, tenant: { claim: t }, algorithms: [HS256] }]\n",
            (7, 69),
            "never accepted",
        ),
        bad(
            "issuer without a tenant",
            "  embedded: development\n",
            "  issuers: [{ issuer: https://i }]\n",
            (7, 13),
            "`tenant` is missing",
        ),
        bad("nobody trusted", "auth:\n  embedded: development\n", "", (13, 3), "nobody is trusted"),
        bad(
            "duration without a unit",
            "  embedded: development\n",
            "  embedded: development\n  leeway: 30\n",
            (8, 11),
            "not a duration",
        ),
    ]
}

fn under_tenants_and_upstreams() -> Vec<Bad> {
    vec![
        bad("tenant naming an unknown route", "[demo]", "[demmo]", (10, 14), "did you mean `demo`?"),
        bad(
            "a rate of zero",
            "[demo]\n",
            "[demo]\n    limits: { requests: 0/1m }\n",
            (11, 25),
            "a rate of zero",
        ),
        bad("limits that limit nothing", "[demo]\n", "[demo]\n    limits: {}\n", (11, 13), "limit nothing"),
        bad("upstream with an empty host", "http://127.0.0.1:9/mcp", "'http:///mcp'", (13, 10), "no host"),
        bad(
            "upstream over plain http",
            "http://127.0.0.1:9/mcp",
            "http://mcp.internal/mcp",
            (13, 10),
            "plain `http`",
        ),
        bad(
            "metadata service",
            "http://127.0.0.1:9/mcp",
            "https://169.254.169.254/mcp",
            (13, 10),
            "link-local",
        ),
        bad(
            "password in a URL",
            "http://127.0.0.1:9/mcp",
            "http://a:hunter2-literal-secret@127.0.0.1/",
            (13, 10),
            "user name or password",
        ),
        bad(
            "token in a URL",
            "http://127.0.0.1:9/mcp",
            "'http://127.0.0.1/?api_key=hunter2-literal-secret'",
            (13, 10),
            "token or key",
        ),
        bad(
            "literal secret",
            "9/mcp\n",
            "9/mcp\n    credential: { header: { name: x-key, value: hunter2-literal-secret } }\n",
            (14, 49),
            "must not be written",
        ),
        bad(
            "literal password",
            "9/mcp\n",
            "9/mcp\n    credential: { basic: { username: a, password: hunter2-literal-secret } }\n",
            (14, 51),
            "must not be written",
        ),
        bad(
            "literal secret under a wrong key",
            "9/mcp\n",
            "9/mcp\n    api_token: hunter2-literal-secret\n",
            (14, 5),
            "unknown key `api_token`",
        ),
        bad(
            "a header of the gateway's own",
            "9/mcp\n",
            "9/mcp\n    credential: { header: { name: Host, value: { env: A } } }\n",
            (14, 35),
            "gateway's own",
        ),
        bad("no time at all", "9/mcp\n", "9/mcp\n    timeout: 0s\n", (14, 14), "cannot be zero"),
        bad(
            "a command with a header",
            "    url: http://127.0.0.1:9/mcp\n",
            "    command: [npx, server]\n    credential: { basic: { username: a, password: { env: A } } }\n",
            (14, 17),
            "a `command` gets none",
        ),
    ]
}

fn under_routes_and_no_yaml_at_all() -> Vec<Bad> {
    vec![
        bad(
            "two routes on one path",
            "    scopes: [mcp:read]\n",
            "  again:\n    path: /mcp\n    upstream: demo\n",
            (19, 11),
            "two routes have the path `/mcp`",
        ),
        bad(
            "route to an unknown upstream",
            "upstream: demo\n",
            "upstream: deno\n",
            (17, 15),
            "did you mean `demo`?",
        ),
        bad("path with a dot segment", "path: /mcp", "path: /a/../b", (16, 11), "`..`"),
        bad(
            "path of the gateway itself",
            "path: /mcp",
            "path: /.well-known/x",
            (16, 11),
            "the gateway itself",
        ),
        bad(
            "open route without a tenant",
            "    scopes: [mcp:read]\n",
            "    auth: none\n",
            (15, 3),
            "needs a `tenant`",
        ),
        bad("a scope with a space", "[mcp:read]", "['a b']", (18, 14), "not a scope"),
        bad(
            "a tool rule that changes nothing",
            "    scopes: [mcp:read]\n",
            "    tools: [{ match: [a] }]\n",
            (18, 13),
            "changes nothing",
        ),
        bad(
            "merged upstreams, one of them unknown",
            "upstream: demo\n",
            "upstreams: [demo, gone]\n",
            (17, 23),
            "there is no upstream `gone`",
        ),
        bad("a bracket too few", "[mcp:read]", "[mcp:read", (18, 13), "not valid YAML"),
        bad("tabs", "  demo:\n    path", "\tdemo:\n\t\tpath", (15, 2), "tabs"),
        bad("an alias of nothing", "upstream: demo\n", "upstream: *nothing\n", (17, 15), "does not exist"),
        bad("several documents", "routes:\n", "---\nroutes:\n", (15, 1), "one YAML document"),
    ]
}

fn checked(yaml: &str) -> Ended {
    let dir = dir_with(yaml);
    let checked = narthex(dir.path(), &["check"]);
    assert_eq!((checked.code, checked.stdout.as_str()), (Some(1), ""), "{checked:?}\nof:\n{yaml}");
    assert!(!checked.stderr.contains(SECRET), "{}", checked.stderr);
    checked
}

#[test]
fn each_mistake_is_refused_with_its_place() {
    let good = embedded(8080, 9090);
    let mut failures = Vec::new();
    let mut cases = under_server_and_auth();
    cases.extend(under_tenants_and_upstreams());
    cases.extend(under_routes_and_no_yaml_at_all());
    for Bad { name, from, to, at: (line, column), says } in &cases {
        assert!(good.contains(from), "{name}: {from:?}");
        let shown = checked(&good.replacen(from, to, 1)).stderr;
        if !shown.contains(&format!("--> gateway.yaml:{line}:{column}\n")) || !shown.contains(says) {
            failures.push(format!("{name}: {line}:{column} {says:?} is not in:\n{shown}"));
        }
    }
    println!("{} bad files", cases.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn bombs_are_refused_at_once() {
    let aliases = (1..=9).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |bomb, level| {
        let below = format!("*a{}, ", level - 1).repeat(9);
        format!("{bomb}a{level}: &a{level} [{below}]\n")
    });
    for (name, text) in [
        ("aliases of aliases", aliases),
        ("deep nesting", "[".repeat(100_000)),
        ("two mebibytes", format!("# {}\n", "x".repeat(2 << 20))),
        ("a long key", format!("{}: 1\n", "k".repeat(900_000))),
    ] {
        let begun = std::time::Instant::now();
        let shown = checked(&text).stderr;
        assert!(shown.contains("--> gateway.yaml:"), "{name}: {}", &shown[..shown.len().min(2000)]);
        assert!(shown.len() < 20_000, "{name}: {} bytes of errors", shown.len());
        assert!(begun.elapsed().as_secs() < 5, "{name}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_file_that_cannot_be_read_is_refused_with_its_name() {
    let dir = dir_with("");
    for (name, path) in [("no such file", "elsewhere.yaml"), ("a directory", "."), ("empty", "gateway.yaml")]
    {
        let refused = narthex(dir.path(), &["check", "--config", path]);
        assert_eq!(refused.code, Some(1), "{name}: {refused:?}");
        assert!(refused.stderr.contains(&format!("--> {path}:1:1\n")), "{name}: {refused:?}");
    }
}

#[test]
fn every_mistake_of_a_file_is_said_at_once_each_with_its_line() {
    let yaml = "\
server: { listen: nowhere, public_url: ftp://x, colour: blue }
auth: { leeway: 10m, issuers: [{ issuer: http://idp.example.com, algorithms: [none] }] }
tenants: { acme: { routes: [gone], limits: {} } }
upstreams:
  x: { url: 'http:///x', timeout: soon, credential: { header: { name: Host, value: hunter2-literal-secret } } }
routes:
  one: { path: one, upstream: y, scopes: ['a b'] }
  two: { path: /two, upstream: x, colour: red }
";
    let shown = checked(yaml).stderr;
    let found = shown.matches("error: ").count();
    assert!(found >= 14, "{found} errors:\n{shown}");
    for line in [1, 2, 3, 5, 7, 8] {
        assert!(shown.contains(&format!("--> gateway.yaml:{line}:")), "line {line}:\n{shown}");
    }
}

#[test]
fn a_file_that_is_refused_by_check_is_refused_by_run() {
    let dir = dir_with(&embedded(8080, 9090).replace("[demo]", "[demmo]"));
    let (checked, ran) = (narthex(dir.path(), &["check"]), narthex(dir.path(), &["run"]));
    assert_eq!((checked.code, ran.code), (Some(1), Some(1)));
    assert_eq!(checked.stderr, ran.stderr);
}
