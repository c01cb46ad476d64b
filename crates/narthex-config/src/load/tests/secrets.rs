//! A secret that was written literally is refused, and never shown.

use super::{GOOD, parsed};

/// `GOOD` with these keys of the upstream.
fn upstream(keys: &str) -> String {
    GOOD.replace(
        "    url: http://127.0.0.1:9001/mcp\n",
        &format!("    url: http://127.0.0.1:9001/mcp\n{keys}\n"),
    )
}

#[test]
fn a_literal_secret_is_refused_with_the_way_to_write_it() {
    let text = upstream("    credential: { header: { name: X-Api-Key, value: hunter2 } }");
    let shown = parsed(&text).unwrap_err().to_string();
    let expected = "\
error: a secret must not be written in the configuration
 --> conf/gateway.yaml:7:53
  |
7 |     credential: { header: { name: X-Api-Key, value: ***
  |                                                     ^^^
  = help: write where to read it: `{ file: /run/secrets/name }`, `{ env: NAME }` or `{ vault: path#field }`
";
    assert_eq!(shown, expected);
}

#[test]
fn no_mistake_makes_a_literal_secret_appear() {
    let places = [
        "credential: { header: { name: X-Api-Key, value: hunter2 } }",
        "credential: { header: { name: 'bad name', value: hunter2 } }",
        "credential: { header: { nmae: x, value: hunter2 } }",
        "credential: { header: { name: x, vlaue: hunter2 } }",
        "credential: { header: { name: x, value: { text: hunter2 } } }",
        "credential: { header: { name: x, value: { hunter2: x } } }",
        "credential: { header: { name: x, value: [hunter2] } }",
        "credential: { header: { name: x, value: { file: [hunter2] } } }",
        "credential: { header: { name: x, value: { file: a, env: hunter2 } } }",
        "credential: { header: { name: x, value: { vault: hunter2 } } }",
        "credential: { header: { name: x, value: { vault: [hunter2] } } }",
        "credential: { header: { name: x, value: { vault: { hunter2: x } } } }",
        "credential: { header: { name: x, value: { vault: { path: x, hunter2: x } } } }",
        "credential: { header: { name: x, value: { vault: { path: [hunter2] } } } }",
        "credential: { header: { name: x, value: { vault: { value: hunter2 } } } }",
        "credential: { header: hunter2 }",
        "credential: { heeder: hunter2 }",
        "credential: { heeder: { name: x, value: hunter2 } }",
        "credential: hunter2",
        "credential: [hunter2]",
        "credential: { env: { TOKEN: hunter2 } }",
        "credential: { basic: { username: a, password: hunter2 } }",
        "credential: { basic: 'a:hunter2' }",
        "credential: { token_exchange: { token_url: x, client: { id: a, secret: hunter2 } } }",
        "credential: { token_exchange: { token_url: x, client: { id: a, private_key: hunter2 } } }",
        "credential: { token_exchange: { token_url: x, client: hunter2 } }",
        "credential:\n      header:\n        name: 'bad name'\n        value: |\n          hunter2\n          hunter2",
        "credential:\n      header:\n        name: x\n        value:\n          hunter2",
        "credential: { header: { name: x, value: \"hunter2 } }",
        "credential:\n      header:\n        name: x\n        value: |\n          hunter2\n         \tx: [",
        "credential:\n      basic: { username: a, password: hunter2, password: hunter2 }",
        "credentials: { header: { name: x, value: hunter2 } }",
        "credentials: hunter2",
        "credential: { basic: { username: a, password: !hunter2 } }",
        "credential: { basic: { username: a, password: !!hunter2 x } }",
        "credential: { basic: { username: a, password: *hunter2 } }",
        "credential: { basic: { username: a, password: &hunter2 } }",
        "credential:\n      basic:\n        password: hunter2: x",
        "credential:\n      basic:\n        password: %hunter2",
        "credential:\n      basic:\n        password: @hunter2",
        "credential:\n      basic:\n        password: \"\\hunter2\"",
        "credential:\n      basic:\n        password: 'hunter2' hunter2",
        "credential:\n      basic:\n        password: .nan # hunter2",
        "api_token: hunter2",
        "ca: { file: x, token: hunter2 }",
        "command: [server, --token, hunter2]",
        "command: [server, --token, hunter2, '']",
        "command: server --token hunter2",
        "command: { server: hunter2 }",
        "comand: [server, --token, hunter2]",
        "env: { A: hunter2 }",
        "env: { A: hunter2, 1B: x }",
        "env: hunter2",
        "env: [hunter2]",
        "credential: { env: hunter2 }",
        "credential: { env: [hunter2] }",
        "credential: { env: { A B: hunter2 } }",
        "credential: { env: { A: { text: hunter2 } } }",
        "timeout: 3x # and\n    credential: &a { header: { name: x, value: &b hunter2 } }\n    ca: *b",
    ];
    for place in places {
        let found = parsed(&upstream(&format!("    {place}"))).expect_err(place);
        for text in [found.to_string(), found.one_line(), format!("{found:?}")] {
            assert!(!text.contains("hunter2"), "{place}\n{text}");
        }
    }
}

#[test]
fn a_password_or_token_in_a_url_is_not_shown() {
    let urls = [
        "https://me:hunter2@host/",
        "https://hunter2@host/",
        "https://host/?api_key=hunter2",
        "http://insecure.example.com/?x=hunter2",
    ];
    for url in urls {
        let found = parsed(&GOOD.replace("http://127.0.0.1:9001/mcp", &format!("'{url}'"))).expect_err(url);
        assert!(!found.to_string().contains("hunter2"), "{found}");
    }
}

#[test]
fn a_literal_seal_key_is_refused() {
    for keys in ["[hunter2]", "hunter2", "[{ file: a }, 'hunter2']", "[4711]"] {
        let text = GOOD.replace("8080 }", &format!("8080, seal_keys: {keys} }}"));
        let shown = parsed(&text).expect_err(keys).to_string();
        assert!(!shown.contains("hunter2") && !shown.contains("4711"), "{shown}");
    }
}
