//! Users who connect, call, and end what they connected.

use super::*;
use crate::tests::env;
use narthex_config::model::{OAuthClient, OAuthClientAuth};
use serde_json::json;

#[tokio::test]
async fn a_user_who_connected_calls_with_their_own_token() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    let consent = replica.wanted(ALICE, 0).await;
    assert!(consent.url.as_str().starts_with("https://gw.example.com/connect/"));
    assert_eq!(
        (&*consent.title, consent.upstream.as_str(), &consent.scopes[..]),
        ("Git Hub", "github", &[][..])
    );
    assert!(!consent.url.as_str().contains(&*consent.id) && !format!("{consent:?}").contains(link(&consent)));
    let there = ALICE.at_browser();
    let offered = replica.credentials.look(&there.visitor(), link(&consent), at(0)).await.unwrap();
    assert_eq!((&*offered.title, offered.host.as_str(), offered.expires), ("Git Hub", "127.0.0.1", at(600)));
    assert_eq!(offered.authorization_host.as_deref(), Some("127.0.0.1"));
    let bob = BOB.at_browser();
    let others = replica.credentials.look(&bob.visitor(), link(&consent), at(0)).await;
    assert_eq!(others, Err(ConnectError::NotYours));
    let url = replica.begin(ALICE, link(&consent), 0).await.unwrap();
    let asked = query(&url);
    assert_eq!(asked["redirect_uri"], "https://gw.example.com/connect/callback");
    assert_eq!(asked["resource"], site.mcp().as_str());
    assert!(!asked.contains_key("scope") && !asked.contains_key("prompt"));
    let answer = site.approve(&url).await;
    let connected = replica.finish(ALICE, &answer, 0).await.unwrap();
    assert_eq!(connected.connected_at, Some(at(0)));
    assert_eq!((connected.host.as_str(), connected.expires), ("127.0.0.1", None));
    let first = replica.obtain(ALICE, 1).await.unwrap();
    // The same user with a token of the gateway's own authority has the same connection.
    let own = replica.source.obtain(&ALICE.own_caller(), None, at(1)).await.unwrap();
    assert_eq!(token(&own), first);
    let form = site.asked()[0].parameters()["resource"].to_owned();
    assert_eq!(form, site.mcp().as_str());
    // Nobody else has it.
    assert_eq!(replica.reason(BOB, 1).await, "consent_required");
    assert_eq!(replica.reason(User { tenant: "globex", ..ALICE }, 1).await, "consent_required");
    assert_eq!(site.asked().len(), 1);
}

#[tokio::test]
async fn a_kept_token_is_there_without_asking_anybody() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    assert!(replica.source.ready(&ALICE.caller(), None, at(1)).is_none());
    let first = replica.source.obtain(&ALICE.caller(), Some("inbound"), at(1)).await.unwrap();
    for inbound in [None, Some("inbound"), Some("another token of hers")] {
        assert!(replica.source.ready(&ALICE.caller(), inbound, at(30)).unwrap().is_same(&first));
        assert!(replica.source.ready(&ALICE.own_caller(), inbound, at(30)).unwrap().is_same(&first));
    }
    for other in [BOB.caller(), User { tenant: "globex", ..ALICE }.caller(), Caller::anonymous("acme".into())]
    {
        assert!(replica.source.ready(&other, None, at(2)).is_none());
    }
    // After half a minute the vault is looked into again, and nobody else is asked.
    assert!(replica.source.ready(&ALICE.caller(), None, at(31)).is_none());
    let count = site.server().count();
    assert_eq!(token(&replica.source.obtain(&ALICE.caller(), None, at(31)).await.unwrap()), token(&first));
    assert_eq!(site.server().count(), count);
    assert!(replica.source.wants_consent() && replica.source.is_renewable());
    assert!(!replica.source.needs_subject_token());
    let nobody = Caller::anonymous("acme".into());
    let error = replica.source.obtain(&nobody, None, at(2)).await.unwrap_err();
    assert_eq!(error.reason(), "no_subject_token");
}

#[tokio::test]
async fn a_token_is_refreshed_shortly_before_its_end_and_the_new_refresh_token_kept() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    let first = replica.obtain(ALICE, 0).await.unwrap();
    assert_eq!(replica.obtain(ALICE, 3569).await.unwrap(), first);
    let second = replica.obtain(ALICE, 3570).await.unwrap();
    assert_ne!(first, second);
    let third = replica.obtain(ALICE, 3570 + 3570).await.unwrap();
    assert_ne!(second, third);
    let sent: Vec<_> = site
        .asked()
        .iter()
        .map(|asked| asked.parameters().get("refresh_token").map(ToString::to_string))
        .collect();
    assert_eq!(sent.len(), 3);
    assert!(sent[1].is_some() && sent[2].is_some() && sent[1] != sent[2], "{sent:?}");
    assert_eq!(site.asked()[1].parameters()["resource"], site.mcp().as_str());
}

#[tokio::test]
async fn a_server_that_does_not_rotate_keeps_its_refresh_token() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    site.change(|state| state.rotates = false);
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    for seconds in [4000, 8000, 12_000] {
        replica.obtain(ALICE, seconds).await.unwrap();
    }
    let mut sent: Vec<_> =
        site.asked()[1..].iter().map(|asked| asked.parameters()["refresh_token"].to_owned()).collect();
    sent.dedup();
    assert_eq!(sent.len(), 1);
}

#[tokio::test]
async fn a_token_that_ends_at_once_is_good_for_the_call_that_refreshed_it() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    site.change(|state| state.lifetime = Some(1));
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    let late = at(10) + Duration::from_millis(950);
    let first = replica.source.obtain(&ALICE.caller(), None, late).await.unwrap();
    let second = replica.source.obtain(&ALICE.caller(), None, late).await.unwrap();
    assert_ne!(token(&first), token(&second));
    assert_eq!(site.asked().len(), 3);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    let first = replica.source.obtain(&ALICE.caller(), None, at(1)).await.unwrap();
    let second = replica.source.renew(&first, &ALICE.caller(), None, at(2)).await.unwrap();
    assert_ne!(token(&first), token(&second));
    // One that comes late with the old one gets the new one.
    let late = replica.source.renew(&first, &ALICE.caller(), None, at(2)).await.unwrap();
    assert_eq!(token(&late), token(&second));
    assert_eq!(site.asked().len(), 2);
    let error = replica.source.renew(&second, &ALICE.caller(), None, at(3)).await.unwrap_err();
    assert_eq!(error.reason(), "not_renewable");
    assert_eq!(site.asked().len(), 2);
}

#[tokio::test]
async fn a_refused_token_is_not_handed_out_again_because_somebody_has_just_read_it() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    let first = replica.source.obtain(&ALICE.caller(), None, at(1)).await.unwrap();
    // Read again from the vault, and so another one with the same token.
    let again = replica.source.obtain(&ALICE.caller(), None, at(40)).await.unwrap();
    assert!(!again.is_same(&first) && token(&again) == token(&first));
    let renewed = replica.source.renew(&first, &ALICE.caller(), None, at(41)).await.unwrap();
    assert_ne!(token(&renewed), token(&first));
}

#[tokio::test]
async fn without_a_refresh_token_the_user_connects_again() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    site.change(|state| state.refresh = false);
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    assert_eq!(replica.connection(ALICE).await.expires, Some(at(3600)));
    replica.obtain(ALICE, 3000).await.unwrap();
    assert_eq!(replica.reason(ALICE, 3600).await, "consent_required");
    gateway.wait(Duration::from_secs(3601));
    assert_eq!(replica.connection(ALICE).await.connected_at, None, "it ended in the vault, too");
    // One without an end is used until the upstream refuses it.
    site.change(|state| state.lifetime = None);
    replica.connect(ALICE, &site, 4000).await;
    let held = replica.source.obtain(&ALICE.caller(), None, at(100_000)).await.unwrap();
    let error = replica.source.renew(&held, &ALICE.caller(), None, at(100_000)).await.unwrap_err();
    assert!(error.consent().is_some());
}

#[tokio::test]
async fn a_token_that_nobody_can_refresh_is_used_to_its_end() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    site.change(|state| (state.refresh, state.lifetime) = (false, Some(8 * 3600)));
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    for seconds in [3569, 3571, 8 * 3600 - 1] {
        replica.obtain(ALICE, seconds).await.unwrap();
    }
    assert_eq!(replica.reason(ALICE, 8 * 3600).await, "consent_required");
    assert_eq!(site.asked().len(), 1);
}

#[tokio::test]
async fn a_refresh_token_that_is_good_no_more_is_forgotten() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    let mut changes = replica.source.changed().unwrap();
    site.change(|state| state.alive.clear());
    let consent = replica.wanted(ALICE, 4000).await;
    assert_eq!(consent.upstream.as_str(), "github");
    assert_eq!(replica.connection(ALICE).await.connected_at, None);
    assert!(!changes.try_recv().unwrap().connected);
    assert_eq!(replica.reason(ALICE, 4002).await, "consent_required");
    assert_eq!(site.asked().len(), 2, "it is not tried again");
}

#[tokio::test]
async fn an_outage_of_the_authorization_server_costs_nobody_their_connection() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    let first = replica.obtain(ALICE, 1).await.unwrap();
    site.change(|state| state.instead = Some(crate::tests::server::json(503, "{}")));
    // As long as the token lasts, it is used.
    assert_eq!(replica.obtain(ALICE, 3580).await.unwrap(), first);
    assert_eq!(replica.obtain(ALICE, 3599).await.unwrap(), first);
    assert_eq!(replica.reason(ALICE, 3600).await, "exchange_unreachable");
    site.change(|state| state.instead = None);
    let second = replica.obtain(ALICE, 3610).await.unwrap();
    assert_ne!(first, second);
}

#[tokio::test]
async fn what_a_user_ends_is_over_here_and_at_the_server() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let (replica, other) = (gateway.replica(&site), gateway.replica(&site));
    replica.connect(ALICE, &site, 0).await;
    let mut changes = replica.source.changed().unwrap();
    replica.obtain(ALICE, 1).await.unwrap();
    other.obtain(ALICE, 1).await.unwrap();
    replica.revoke(ALICE, 2).await;
    let changed = changes.try_recv().unwrap();
    assert!(!changed.connected && changed.concerns(&ALICE.caller()) && changed.concerns(&ALICE.own_caller()));
    assert!(!changed.concerns(&BOB.caller()));
    assert!(!changed.concerns(&User { tenant: "globex", ..ALICE }.caller()));
    assert!(replica.source.ready(&ALICE.caller(), None, at(2)).is_none());
    assert_eq!(replica.reason(ALICE, 2).await, "consent_required");
    site.change(|state| {
        assert_eq!(state.revoked.len(), 1);
        assert!(state.alive.is_empty());
    });
    // The other replica notices within half a minute.
    assert!(other.source.ready(&ALICE.caller(), None, at(30)).is_some());
    assert!(other.source.ready(&ALICE.caller(), None, at(31)).is_none());
    assert_eq!(other.reason(ALICE, 31).await, "consent_required");
    // Ending what is over is no error.
    replica.revoke(ALICE, 40).await;
}

#[tokio::test]
async fn a_connection_is_told_of_at_once() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    let mut changes = replica.source.changed().unwrap();
    assert_eq!(replica.reason(ALICE, 0).await, "consent_required");
    replica.connect(ALICE, &site, 0).await;
    assert!(changes.try_recv().unwrap().connected);
    // Although the failure was remembered.
    assert!(replica.obtain(ALICE, 0).await.is_ok());
}

#[tokio::test]
async fn the_gateway_is_the_client_that_the_server_takes() {
    let cimd = "https://gw.example.com/oauth/client.json";
    for (what, said, change, client, registered) in [
        ("document", json!(true), None, cimd, 0),
        ("registered", json!(false), None, "client-1", 1),
        ("by hand", json!(true), Some("by-hand"), "by-hand", 0),
    ] {
        let (site, gateway) = (Site::new().await, Gateway::new());
        site.say("client_id_metadata_document_supported", said);
        site.change(|state| state.know("by-hand", Some("api-key-canary")));
        let replica = gateway.with(&site, |code| {
            code.client = change
                .map(|id: &str| OAuthClient { id: id.into(), auth: OAuthClientAuth::Basic(env("KEY")) });
        });
        let consent = replica.wanted(ALICE, 0).await;
        let url = replica.begin(ALICE, link(&consent), 0).await.unwrap();
        assert_eq!(query(&url)["client_id"], client, "{what}");
        assert_eq!(site.asked_at("POST /as/register").len(), registered, "{what}");
        let answer = site.approve(&url).await;
        replica.finish(ALICE, &answer, 0).await.unwrap();
        replica.obtain(ALICE, 4000).await.unwrap();
    }
}

#[tokio::test]
async fn the_gateway_registers_once_as_what_it_is() {
    let (site, mut gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    replica.connect(BOB, &site, 0).await;
    gateway.replica(&site).connect(User { tenant: "globex", ..BOB }, &site, 0).await;
    let all = site.asked_at("POST /as/register");
    assert_eq!(all.len(), 1);
    let said = all[0].json();
    assert_eq!(said["redirect_uris"], json!(["https://gw.example.com/connect/callback"]));
    assert_eq!(said["application_type"], "web");
    assert_eq!(said["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(said["token_endpoint_auth_method"], "client_secret_basic");
    // On a developer's machine it is a native application, which has no document to show either.
    gateway.public_url = "http://localhost:8080";
    site.say("client_id_metadata_document_supported", json!(true));
    let here = gateway.replica(&site);
    let carol = User { name: "carol", ..ALICE };
    let consent = here.wanted(carol, 0).await;
    here.begin(carol, link(&consent), 0).await.unwrap();
    let said = site.asked_at("POST /as/register")[1].json();
    assert_eq!(said["application_type"], "native");
    assert_eq!(said["redirect_uris"], json!(["http://localhost:8080/connect/callback"]));
}

#[tokio::test]
async fn the_client_authenticates_the_way_that_the_server_takes() {
    for (methods, header, body) in [
        (json!(null), true, false),
        (json!(["client_secret_basic", "client_secret_post"]), true, false),
        (json!(["client_secret_post"]), false, true),
        (json!(["none"]), false, false),
    ] {
        let (site, gateway) = (Site::new().await, Gateway::new());
        site.change(|state| state.secrets = methods != json!(["none"]));
        site.say("token_endpoint_auth_methods_supported", methods.clone());
        let replica = gateway.replica(&site);
        replica.connect(ALICE, &site, 0).await;
        replica.obtain(ALICE, 4000).await.unwrap();
        for asked in site.asked() {
            assert_eq!(asked.header("authorization").is_some(), header, "{methods}");
            assert_eq!(asked.parameters().contains_key("client_secret"), body, "{methods}");
        }
    }
    // One that takes nothing that can be registered.
    let (site, gateway) = (Site::new().await, Gateway::new());
    site.say("token_endpoint_auth_methods_supported", json!(["tls_client_auth"]));
    let replica = gateway.replica(&site);
    let consent = replica.wanted(ALICE, 0).await;
    assert!(matches!(replica.begin(ALICE, link(&consent), 0).await, Err(ConnectError::Internal(_))));
}

#[tokio::test]
async fn a_registration_that_the_server_lost_is_made_anew() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    site.change(|state| state.forget_clients());
    assert_eq!(replica.reason(ALICE, 4000).await, "consent_required");
    replica.connect(ALICE, &site, 4002).await;
    assert_eq!(site.asked_at("POST /as/register").len(), 2);
    assert!(replica.obtain(ALICE, 4003).await.is_ok());
}

#[tokio::test]
async fn the_scopes_asked_for_are_those_that_were_named_first() {
    let of = |scopes: &[&str]| scopes.join(" ");
    for (configured, challenged, supported, server, expected) in [
        (&["conf"][..], Some("chal"), json!(["sup"]), json!(["offline_access"]), Some(of(&["conf"]))),
        (&[], Some("chal other"), json!(["sup"]), json!([]), Some(of(&["chal", "other"]))),
        (&[], None, json!(["sup", "sup2"]), json!(["sup"]), Some(of(&["sup", "sup2"]))),
        (&[], None, json!([]), json!(["everything"]), None),
        (&[], Some("chal"), json!([]), json!(["offline_access", "x"]), Some(of(&["chal", "offline_access"]))),
        (&[], None, json!([]), json!(["offline_access"]), None),
    ] {
        let (site, gateway) = (Site::new().await, Gateway::new());
        site.say("scopes_supported", server);
        site.change(|state| {
            state.challenge = challenged.map(ToOwned::to_owned);
            state.resource.insert("scopes_supported".into(), supported.clone());
        });
        let replica =
            gateway.with(&site, |code| code.scopes = configured.iter().map(|s| (*s).into()).collect());
        let consent = replica.wanted(ALICE, 0).await;
        assert_eq!(consent.scopes.join(" "), expected.clone().unwrap_or_default());
        let url = replica.begin(ALICE, link(&consent), 0).await.unwrap();
        assert_eq!(query(&url).get("scope"), expected.as_ref());
        let asks = expected.is_some_and(|scopes| scopes.contains("offline_access"));
        assert_eq!(query(&url).get("prompt").map(String::as_str), asks.then_some("consent"));
    }
}

#[tokio::test]
async fn more_scopes_are_asked_for_together_with_those_held() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    site.change(|state| state.challenge = Some("read".into()));
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    let challenge = |scope: &str| format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
    let step_up =
        async |scope: &str, now| replica.source.step_up(&ALICE.caller(), &challenge(scope), at(now)).await;
    let consent = step_up("write", 10).await.consent().cloned().unwrap();
    assert_eq!(consent.scopes, ["read", "write"]);
    let url = replica.begin(ALICE, link(&consent), 10).await.unwrap();
    assert_eq!(query(&url)["scope"], "read write");
    // The user, or the server, grants less than was asked for: that is not asked for again at once.
    site.change(|state| state.grants = Some("read".into()));
    let answer = site.approve(&url).await;
    assert_eq!(replica.finish(ALICE, &answer, 10).await.unwrap().scopes, ["read"]);
    let vain = step_up("write", 11).await;
    assert_eq!((vain.reason(), vain.consent()), ("scope_not_granted", None));
    assert!(step_up("write", 400).await.consent().is_some());
    // And not without end.
    site.change(|state| state.grants = None);
    for (i, scope) in ["a", "b"].into_iter().enumerate() {
        let now = 20 + i as u64;
        let consent = step_up(scope, now).await.consent().cloned().unwrap();
        let url = replica.begin(ALICE, link(&consent), now).await.unwrap();
        let answer = site.approve(&url).await;
        replica.finish(ALICE, &answer, now).await.unwrap();
    }
    assert_eq!(step_up("c", 30).await.reason(), "scope_not_granted");
    assert!(step_up("c", 4000).await.consent().is_some());
    for odd in [
        "",
        "Bearer",
        "Bearer error=\"invalid_token\", scope=\"x\"",
        "Bearer error=\"insufficient_scope\"",
        "Basic realm=\"x\"",
    ] {
        let error = replica.source.step_up(&ALICE.caller(), odd, at(5000)).await;
        assert_eq!(error.reason(), "scope_not_granted", "{odd}");
    }
    let many = (0..100).map(|i| i.to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(step_up(&many, 5000).await.reason(), "scope_not_granted");
}

#[tokio::test]
async fn the_resource_is_named_as_the_server_wants_it() {
    for (way, parameter) in [
        (ResourceParameter::Resource, Some("resource")),
        (ResourceParameter::Audience, Some("audience")),
        (ResourceParameter::None, None),
    ] {
        let (site, gateway) = (Site::new().await, Gateway::new());
        let replica = gateway.with(&site, |code| {
            code.resource_parameter = way;
            code.resource = Some("api://github".into());
        });
        let consent = replica.wanted(ALICE, 0).await;
        let url = replica.begin(ALICE, link(&consent), 0).await.unwrap();
        let answer = site.approve(&url).await;
        replica.finish(ALICE, &answer, 0).await.unwrap();
        replica.obtain(ALICE, 4000).await.unwrap();
        for name in ["resource", "audience"] {
            let expected = (parameter == Some(name)).then_some("api://github");
            assert_eq!(query(&url).get(name).map(String::as_str), expected);
            for asked in site.asked() {
                assert_eq!(asked.parameters().get(name).copied(), expected);
            }
        }
    }
}

#[tokio::test]
async fn one_link_is_out_for_one_user() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    let first = replica.wanted(ALICE, 0).await;
    assert_eq!(replica.wanted(ALICE, 300).await, first);
    assert_ne!(replica.wanted(BOB, 300).await.url, first.url);
    // One that is nearly over is not handed out again.
    let next = replica.wanted(ALICE, 481).await;
    assert_ne!(next.url, first.url);
    // One that was used is not either, wherever it was used.
    let other = gateway.replica(&site);
    let url = other.begin(ALICE, link(&next), 482).await.unwrap();
    let answer = site.approve(&url).await;
    other.finish(ALICE, &answer, 482).await.unwrap();
    other.revoke(ALICE, 483).await;
    assert_ne!(replica.wanted(ALICE, 485).await.url, next.url);
}

#[tokio::test]
async fn an_upstream_at_another_url_is_another_upstream() {
    let (site, elsewhere, gateway) = (Site::new().await, Site::new().await, Gateway::new());
    gateway.replica(&site).connect(ALICE, &site, 0).await;
    let moved = gateway.replica(&elsewhere);
    assert_eq!(moved.reason(ALICE, 1).await, "consent_required");
    assert!(gateway.replica(&site).obtain(ALICE, 1).await.is_ok());
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn a_user_connects_from_the_page_of_connections_too() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    let there = ALICE.at_browser();
    let before = replica.connection(ALICE).await;
    assert_eq!((before.connected_at, &before.scopes[..]), (None, &[][..]));
    let link = replica.credentials.offer(&there.visitor(), &"github".into(), at(0)).await.unwrap();
    let url = replica.begin(ALICE, &link, 0).await.unwrap();
    let answer = site.approve(&url).await;
    replica.finish(ALICE, &answer, 0).await.unwrap();
    // Calls with a token of the identity provider, and with one of the gateway's own, find it.
    assert!(replica.obtain(ALICE, 0).await.is_ok());
    assert!(replica.source.obtain(&ALICE.own_caller(), None, at(0)).await.is_ok());
    for unknown in ["gitlab", ""] {
        let outcome = replica.credentials.offer(&there.visitor(), &unknown.into(), at(0)).await;
        assert_eq!(outcome, Err(ConnectError::Unknown));
    }
}
