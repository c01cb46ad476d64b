use super::*;
use narthex_config::model::{Instances, ProcessLimits, Restart, Stdio};

fn rebuild(previous: &Credentials, all: &BTreeMap<UpstreamId, Upstream>) -> Credentials {
    build_all(all, Some(previous), &events().1, &Context::default()).unwrap()
}

fn github(credentials: &Credentials) -> Arc<CredentialSource> {
    credentials.upstream(&"github".into()).unwrap()
}

#[tokio::test]
async fn obtained_credentials_outlive_a_reload_that_does_not_touch_them() {
    let server = Server::issuing(600).await;
    let mut all = upstreams(exchange(&server));
    let before = build_all(&all, None, &events().1, &Context::default()).unwrap();
    let alice = caller("acme", "alice", 3600);
    let held = github(&before).obtain(&alice, Some("inbound"), at(0)).await.unwrap();
    all.get_mut("github").unwrap().timeout = Duration::from_secs(1);
    all.insert("docs".into(), upstream(Credential::None));
    let after = rebuild(&before, &all);
    assert!(github(&after).ready(&alice, Some("inbound"), at(1)).unwrap().is(&held));
}

#[tokio::test]
async fn a_changed_definition_or_origin_starts_without_old_credentials() {
    let server = Server::issuing(600).await;
    let all = upstreams(exchange(&server));
    let before = build_all(&all, None, &events().1, &Context::default()).unwrap();
    let alice = caller("acme", "alice", 3600);
    github(&before).obtain(&alice, Some("inbound"), at(0)).await.unwrap();

    let mut moved = all.clone();
    moved.get_mut("github").unwrap().transport =
        Transport::Http("https://other.example.com/mcp".parse::<url::Url>().unwrap().into());
    let mut rescoped = all.clone();
    let Credential::TokenExchange(exchange) = &mut rescoped.get_mut("github").unwrap().credential else {
        panic!()
    };
    exchange.wanted.scopes.clear();
    for changed in [moved, rescoped] {
        assert!(github(&rebuild(&before, &changed)).ready(&alice, Some("inbound"), at(1)).is_none());
    }
    assert!(rebuild(&before, &BTreeMap::new()).upstream(&"github".into()).is_none());
}

#[test]
fn a_changed_secret_takes_effect_at_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "first").unwrap();
    let secret = SecretRef::File(file.path().to_owned());
    let all = upstreams(Credential::Header { name: "x-api-key".into(), value: secret });
    let before = build_all(&all, None, &events().1, &Context::default()).unwrap();
    let caller = Caller::anonymous("acme".into());
    let sent = |credentials: &Credentials| value(&github(credentials).ready(&caller, None, at(0)).unwrap());
    assert_eq!(sent(&before), "first");
    std::fs::write(file.path(), "second\n").unwrap();
    let after = rebuild(&before, &all);
    assert_eq!((sent(&before), sent(&after)), ("first".into(), "second".into()));
}

#[test]
fn a_reload_with_a_bad_secret_leaves_the_old_credentials_alone() {
    let header = |name| upstreams(Credential::Header { name: "x-api-key".into(), value: env(name) });
    let before = build_all(&header("KEY"), None, &events().1, &Context::default()).unwrap();
    assert!(build_all(&header("GONE"), Some(&before), &events().1, &Context::default()).is_err());
    let caller = Caller::anonymous("acme".into());
    assert_eq!(value(&github(&before).ready(&caller, None, at(0)).unwrap()), "api-key-canary");
    let after = rebuild(&before, &header("OTHER_KEY"));
    assert_eq!(value(&github(&after).ready(&caller, None, at(0)).unwrap()), "other-key-canary");
}

#[test]
fn a_changed_variable_of_a_child_process_is_another_credential_and_the_same_is_not() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "first\n").unwrap();
    let variables =
        [("TOKEN".to_owned(), SecretRef::File(file.path().to_owned())), ("KEY".to_owned(), env("KEY"))];
    let mut all = upstreams(Credential::Env(variables.into()));
    all.get_mut("github").unwrap().transport = Transport::Stdio(child());
    let caller = Caller::anonymous("acme".into());
    let given = |credentials: &Credentials| {
        let credential = github(credentials).ready(&caller, None, at(0)).unwrap();
        let variables = credential.environment_for("stdio:github").unwrap();
        variables.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    let before = build_all(&all, None, &events().1, &Context::default()).unwrap();
    assert_eq!(given(&before), "KEY=api-key-canary TOKEN=first");
    assert!(Arc::ptr_eq(&github(&before), &github(&rebuild(&before, &all))));
    std::fs::write(file.path(), "second").unwrap();
    let after = rebuild(&before, &all);
    assert!(!Arc::ptr_eq(&github(&before), &github(&after)));
    assert_eq!(given(&after), "KEY=api-key-canary TOKEN=second");
    assert!(!format!("{:?}", github(&after)).contains("canary"));
}

fn child() -> Stdio {
    Stdio {
        program: "server".into(),
        arguments: Vec::new(),
        cwd: None,
        env: BTreeMap::new(),
        instances: Instances::Shared,
        limits: ProcessLimits { memory: 1, cpu: None, files: NonZeroU32::MIN, message: 1 },
        restart: Restart { min: Duration::ZERO, max: Duration::ZERO },
    }
}
