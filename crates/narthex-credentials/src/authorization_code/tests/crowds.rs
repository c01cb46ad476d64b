//! Many at once.

use super::super::Person;
use super::super::record::Connection;
use super::*;
use tokio::task::JoinSet;

async fn crowd(replicas: &[&Replica], count: usize, now: u64) -> Vec<Result<String, CredentialError>> {
    let mut crowd = JoinSet::new();
    for i in 0..count {
        let source = Arc::clone(&replicas[i % replicas.len()].source);
        crowd.spawn(async move {
            let got = source.obtain(&ALICE.caller(), Some(&format!("inbound-{i}")), at(now)).await;
            got.map(|got| token(&got))
        });
    }
    crowd.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_first_calls_of_one_user_make_one_refresh() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    let mut tokens: Vec<_> = crowd(&[&replica], 1000, 4000).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(tokens.len(), 1000);
    tokens.dedup();
    assert_eq!(tokens.len(), 1);
    assert_eq!(site.asked().len(), 2, "the code and one refresh");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_refresh_at_once_do_not_lose_a_token_that_is_good_once() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replicas = [gateway.replica(&site), gateway.replica(&site), gateway.replica(&site)];
    replicas[0].connect(ALICE, &site, 0).await;
    for round in 1..5 {
        let now = round * 4000;
        site.server().hold();
        let waiting = tokio::spawn({
            let sources: Vec<_> = replicas.iter().map(|replica| Arc::clone(&replica.source)).collect();
            async move {
                let mut crowd = JoinSet::new();
                for i in 0..60 {
                    let source = Arc::clone(&sources[i % sources.len()]);
                    crowd.spawn(async move { source.obtain(&ALICE.caller(), None, at(now)).await });
                }
                crowd.join_all().await
            }
        });
        site.server().until_asked(site.server().count() + 1).await;
        site.server().release();
        let mut tokens: Vec<_> = waiting.await.unwrap().into_iter().map(|got| token(&got.unwrap())).collect();
        tokens.sort();
        tokens.dedup();
        assert_eq!(tokens.len(), 1, "round {round}");
        assert_eq!(site.asked().len(), 1 + round as usize, "one refresh in each round");
        site.change(|state| assert_eq!(state.alive.len(), 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_first_calls_of_an_unconnected_user_get_one_link() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    let mut links: Vec<_> = crowd(&[&replica], 1000, 0)
        .await
        .into_iter()
        .map(|got| got.unwrap_err().consent().unwrap().url.clone())
        .collect();
    links.dedup();
    assert_eq!(links.len(), 1);
    assert_eq!(site.server().count(), 3, "found out once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_register_at_once_are_one_client() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replicas = [gateway.replica(&site), gateway.replica(&site)];
    let (alice, bob) = (replicas[0].wanted(ALICE, 0).await, replicas[1].wanted(BOB, 0).await);
    let (one, other) =
        tokio::join!(replicas[0].begin(ALICE, link(&alice), 0), replicas[1].begin(BOB, link(&bob), 0));
    assert_eq!(query(&one.unwrap())["client_id"], query(&other.unwrap())["client_id"]);
}

#[tokio::test]
async fn a_connection_that_is_ended_while_it_is_refreshed_stays_ended() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    let before = site.server().count();
    site.server().hold();
    let source = Arc::clone(&replica.source);
    let waiting = tokio::spawn(async move { source.obtain(&ALICE.caller(), None, at(3580)).await });
    site.server().until_asked(before + 1).await;
    let other = gateway.replica(&site);
    let ended = tokio::spawn(async move { other.revoke(ALICE, 3581).await });
    // Gone from the vault before the server was asked to revoke it.
    while replica.connection(ALICE).await.connected_at.is_some() {
        tokio::task::yield_now().await;
    }
    site.server().release();
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.reason(), "consent_required");
    ended.await.unwrap();
    assert_eq!(replica.connection(ALICE).await.connected_at, None);
    site.change(|state| assert!(state.alive.is_empty(), "what the refresh gave was given back"));
}

/// Run with `cargo test --release -p narthex-credentials -- --ignored --nocapture cached_cost`.
#[tokio::test]
#[ignore = "prints a figure"]
async fn cached_cost() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    replica.obtain(ALICE, 1).await.unwrap();
    for caller in [ALICE.caller(), ALICE.own_caller()] {
        let (rounds, started) = (2_000_000_u32, Instant::now());
        for _ in 0..rounds {
            let got = replica.source.ready(std::hint::black_box(&caller), Some("inbound"), at(2));
            assert!(std::hint::black_box(got).is_some());
        }
        println!("ready() of {}: {:?} each", caller.issuer, started.elapsed() / rounds);
    }
}

#[tokio::test]
async fn a_refresh_that_a_dead_replica_had_begun_is_made_by_another() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    let person = Person { tenant: ALICE.tenant, issuer: IDP, subject: ALICE.name };
    let lease = Connection::lease(person, "github", site.mcp().as_str());
    assert!(gateway.vault.put_if_absent(&lease, b"", Duration::from_secs(30)).await.unwrap());
    let source = Arc::clone(&replica.source);
    let waiting =
        tokio::spawn(
            async move { source.obtain(&ALICE.caller(), None, at(4000)).await.map(|got| token(&got)) },
        );
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    gateway.wait(Duration::from_secs(31));
    waiting.await.unwrap().unwrap();
    assert_eq!(site.asked().len(), 2, "the code and one refresh");
    // And the lease is given back.
    assert!(gateway.vault.put_if_absent(&lease, b"", Duration::ZERO).await.unwrap());
}
