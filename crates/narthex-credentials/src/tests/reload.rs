use super::*;

fn rebuild(previous: &Credentials, all: &BTreeMap<UpstreamId, Upstream>) -> Credentials {
    Credentials::build_with(&secrets(), all, Some(previous), &events().1).unwrap()
}

fn github(credentials: &Credentials) -> Arc<CredentialSource> {
    credentials.upstream(&"github".into()).unwrap()
}

#[tokio::test]
async fn obtained_credentials_outlive_a_reload_that_does_not_touch_them() {
    let server = Server::issuing(600).await;
    let mut all = upstreams(exchange(&server));
    let before = Credentials::build_with(&secrets(), &all, None, &events().1).unwrap();
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
    let before = Credentials::build_with(&secrets(), &all, None, &events().1).unwrap();
    let alice = caller("acme", "alice", 3600);
    github(&before).obtain(&alice, Some("inbound"), at(0)).await.unwrap();

    let mut moved = all.clone();
    moved.get_mut("github").unwrap().transport =
        Transport::Http("https://other.example.com/mcp".parse::<url::Url>().unwrap().into());
    let mut rescoped = all.clone();
    let Credential::TokenExchange(exchange) = &mut rescoped.get_mut("github").unwrap().credential else {
        panic!()
    };
    exchange.scopes.clear();
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
    let before = Credentials::build_with(&secrets(), &all, None, &events().1).unwrap();
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
    let before = Credentials::build_with(&secrets(), &header("KEY"), None, &events().1).unwrap();
    assert!(Credentials::build_with(&secrets(), &header("GONE"), Some(&before), &events().1).is_err());
    let caller = Caller::anonymous("acme".into());
    assert_eq!(value(&github(&before).ready(&caller, None, at(0)).unwrap()), "api-key-canary");
    let after = rebuild(&before, &header("OTHER_KEY"));
    assert_eq!(value(&github(&after).ready(&caller, None, at(0)).unwrap()), "other-key-canary");
}
