//! `secrets.vault`, and the references that lead there.

use super::mistakes::{each_is_refused, upstream};
use super::{GOOD, parsed};
use crate::model::{Config, Credential, SecretRef, Vault, VaultAuth, VaultRef};
use std::time::Duration;

fn reference(mount: &str, path: &str, field: &str) -> VaultRef {
    VaultRef { mount: mount.to_owned(), path: path.to_owned(), field: field.to_owned() }
}

/// What `every-key.yaml` says.
pub(super) fn as_written(config: &Config) {
    let keys = &config.server.seal_keys;
    let found = [reference("kv", "narthex/seal", "key"), reference("team", "narthex/seal", "old #1")];
    assert_eq!(keys[2..], found.clone().map(SecretRef::Vault));
    assert_eq!(config.secrets.references, found.into());
    let vault = config.secrets.vault.as_ref().unwrap();
    let expected = Vault {
        address: "https://vault.example.com:8200".parse().unwrap(),
        ca: Some("conf/vault-ca.pem".into()),
        namespace: Some("team/a".to_owned()),
        auth: VaultAuth::AppRole {
            role_id: "narthex".to_owned(),
            secret_id: SecretRef::File("/run/secrets/vault".into()),
            mount: "machines".to_owned(),
        },
        refresh: Duration::from_secs(30),
    };
    assert_eq!(*vault, expected);
}

const VAULT: &str =
    "secrets: { vault: { address: https://vault.example.com, auth: { token: { env: VAULT_TOKEN } } } }\n";

/// A configuration with a vault, whose one credential is `value`.
fn with_value(value: &str) -> String {
    format!("{VAULT}{}", upstream(&format!("credential: {{ header: {{ name: x-key, value: {value} }} }}")))
}

/// A configuration with a reference, whose `secrets.vault` is `vault`.
fn with_vault(vault: &str) -> String {
    let text = upstream("credential: { header: { name: x-key, value: { vault: 'a#b' } } }");
    format!("secrets: {{ vault: {vault} }}\n{text}")
}

fn auth(auth: &str) -> String {
    with_vault(&format!("{{ address: https://v, auth: {auth} }}"))
}

#[test]
fn both_forms_of_a_reference_say_the_same() {
    for (value, expected) in [
        ("{ vault: 'narthex/docs#key' }", reference("secret", "narthex/docs", "key")),
        ("{ vault: narthex/docs#key }", reference("secret", "narthex/docs", "key")),
        ("{ vault: { path: narthex/docs, field: key } }", reference("secret", "narthex/docs", "key")),
        ("{ vault: { path: a, field: b, mount: teams/x } }", reference("teams/x", "a", "b")),
        ("{ vault: 'a#b#c' }", reference("secret", "a", "b#c")),
        ("{ vault: 'über/straße 7#größe' }", reference("secret", "über/straße 7", "größe")),
    ] {
        let (config, warnings) =
            parsed(&with_value(value)).unwrap_or_else(|found| panic!("{value}: {found}"));
        assert!(warnings.is_empty(), "{value}: {warnings}");
        assert_eq!(config.secrets.references, [expected.clone()].into(), "{value}");
        let header = Credential::Header { name: "x-key".into(), value: SecretRef::Vault(expected) };
        assert_eq!(config.upstreams["demo"].credential, header);
    }
}

#[test]
fn what_is_no_reference_is_refused_with_its_place() {
    let cases = [
        ("{ vault: narthex/docs }", "names no field"),
        ("{ vault: '#key' }", "no empty segments"),
        ("{ vault: 'a#' }", "1 to 512 bytes"),
        ("{ vault: '/a#b' }", "no slash at its ends"),
        ("{ vault: 'a/#b' }", "no slash at its ends"),
        ("{ vault: 'a//c#b' }", "no empty segments"),
        ("{ vault: 'a/../c#b' }", "no `.` and `..`"),
        ("{ vault: './c#b' }", "no `.` and `..`"),
        ("{ vault: 'a%2fc#b' }", "a path is of letters"),
        ("{ vault: 'a?version=1#b' }", "a path is of letters"),
        ("{ vault: 'a/*#b' }", "a path is of letters"),
        ("{ vault: 'a/+/c#b' }", "a path is of letters"),
        ("{ vault: \"a\\nb#c\" }", "a path is of letters"),
        ("{ vault: \"a#b\\0\" }", "no control characters"),
        ("{ vault: {} }", "`path` is missing"),
        ("{ vault: { path: a } }", "`field` is missing"),
        ("{ vault: { field: a } }", "`path` is missing"),
        ("{ vault: { path: a, field: b, moutn: c } }", "unknown key in a reference"),
        ("{ vault: { path: a, field: b, mount: '' } }", "no empty segments"),
        ("{ vault: { path: a, field: [b] } }", "expected text"),
        ("{ vault: { path: a, field: 1 } }", "expected text"),
        ("{ vault: [a, b] }", "expected the path and field of a secret, found a list"),
        ("{ vault: 7 }", "expected the path and field of a secret"),
    ];
    each_is_refused(&cases.map(|(value, says)| (with_value(value), says)));
    let long = format!("{{ vault: '{}#b' }}", "a".repeat(513));
    each_is_refused(&[(with_value(&long), "at most 512 bytes")]);
}

#[test]
fn a_reference_without_a_vault_is_an_error_where_it_stands() {
    let text = upstream("credential: { header: { name: x-key, value: { vault: 'a#b' } } }");
    let found = parsed(&text).unwrap_err();
    let first = found.iter().next().unwrap();
    assert_eq!((found.len(), first.line, first.col), (1, 7, 49), "{found}");
    assert!(first.message.contains("there is no vault to read this from"), "{found}");
    each_is_refused(&[
        (format!("secrets: {{}}\n{text}"), "no vault to read this from"),
        // The mistake is in the vault; that there is none would be no second one.
        (with_vault("7"), "expected a mapping"),
    ]);
}

#[test]
fn a_mistake_in_the_vault_is_refused() {
    let vault = |keys: &str| with_vault(&format!("{{ auth: {{ token: {{ env: T }} }}, {keys} }}"));
    each_is_refused(&[
        (with_vault("{ address: https://v }"), "`auth` is missing"),
        (vault("refresh: 1m"), "`address` is missing"),
        (vault("address: http://vault.example.com"), "plain `http`"),
        (vault("address: https://v/v1/"), "does not end in `/v1`"),
        (vault("address: 'https://v/?a=b'"), "has no query"),
        (vault("address: 'https://me:pw@v/'"), "must not contain a user name"),
        (vault("address: https://v, refresh: 0s"), "every `1s` to every `24h`"),
        (vault("address: https://v, refresh: 999ms"), "every `1s` to every `24h`"),
        (vault("address: https://v, refresh: 25h"), "every `1s` to every `24h`"),
        (vault("address: https://v, namespace: ''"), "no empty segments"),
        (vault("address: https://v, mount: /kv"), "no slash at its ends"),
        (vault("address: https://v, ca: ca.pem"), "{ file: path }"),
        (vault("address: https://v, adress: x"), "did you mean `address`?"),
        (auth("{ token: { vault: 'a#b' } }"), "cannot be read from it"),
        (auth("{ approle: { role_id: a, secret_id: { vault: 'a#b' } } }"), "cannot be read from it"),
        (auth("{ approle: { role_id: a } }"), "`secret_id` is missing"),
        (auth("{ approle: { secret_id: { env: A } } }"), "`role_id` is missing"),
        (auth("{ approle: { role_id: a, secret_id: { env: A }, mount: a//b } }"), "no empty segments"),
        (auth("{ kubernetes: { jwt: { file: a } } }"), "`role` is missing"),
        (auth("{ kubernetes: { role: a, jwt: { env: A } } }"), "expected `file`"),
        (auth("{ userpass: { a: b } }"), "expected `token`, `approle` or `kubernetes`"),
        (auth("{ token: { env: T }, kubernetes: { role: a } }"), "exactly one of"),
    ]);
    assert!(parsed(&vault("address: http://127.0.0.1:8200")).is_ok());
    assert!(parsed(&vault("address: http://vault.internal:8200, insecure: true")).is_ok());
}

#[test]
fn no_mistake_makes_what_opens_the_vault_appear() {
    for written in [
        "{ token: hunter2 }",
        "{ token: [hunter2] }",
        "{ token: { text: hunter2 } }",
        "{ token: { vault: hunter2 } }",
        "{ toke: hunter2 }",
        "hunter2",
        "[hunter2]",
        "{ approle: hunter2 }",
        "{ approle: { role_id: a, secret_id: hunter2 } }",
        "{ approle: { role_id: a, secret: hunter2 } }",
    ] {
        let found = parsed(&auth(written)).expect_err(written);
        for text in [found.to_string(), found.one_line(), format!("{found:?}")] {
            assert!(!text.contains("hunter2"), "{written}\n{text}");
        }
    }
}

#[test]
fn a_kubernetes_login_finds_its_token_where_kubernetes_puts_it() {
    let (config, _) = parsed(&auth("{ kubernetes: { role: narthex } }")).unwrap();
    let expected = VaultAuth::Kubernetes {
        role: "narthex".to_owned(),
        jwt: "/var/run/secrets/kubernetes.io/serviceaccount/token".into(),
        mount: "kubernetes".to_owned(),
    };
    assert_eq!(config.secrets.vault.unwrap().auth, expected);
}

#[test]
fn a_path_that_begins_like_the_api_and_a_vault_of_no_use_are_warned_of() {
    for (text, says) in [
        (with_value("{ vault: 'data/narthex#key' }"), "begins with `data/`"),
        (with_value("{ vault: 'secret/narthex#key' }"), "begins with `secret/`"),
        (format!("{VAULT}{GOOD}"), "nothing is read from this vault"),
    ] {
        let (_, warnings) = parsed(&text).unwrap();
        assert_eq!(warnings.len(), 1, "{warnings}");
        assert!(warnings.to_string().contains(says), "{warnings}");
    }
}
