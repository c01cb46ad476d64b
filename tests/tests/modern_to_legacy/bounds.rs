//! Calls that wait for their client are bounded, in number and in time.

use super::stage::{Setup, Stage, accept, answers, asked, fault, fed, form, retry, state, whole};
use narthex_testkit::Answer;
use serde_json::json;

#[tokio::test]
async fn a_call_that_nobody_comes_back_for_is_cancelled_and_forgotten() {
    let stage = Stage::limited("    suspend_timeout: 4s\n").await;
    let (mut call, state) = stage.alice().suspended(&stage).await;
    stage.gateway.wait_for_metric("narthex_suspended_calls", |n| n == 1.0).await;
    let told = stage.server.hears(|m| m["method"] == "notifications/cancelled").await;
    assert_eq!(told["params"]["requestId"], call.request.json()["id"]);
    call.feed.gone().await;
    stage.gateway.wait_for_metric("narthex_suspended_calls", |n| n == 0.0).await;
    let late = stage.alice().ask("tools/call", retry(&state, json!({"ask-1": accept()}))).await;
    assert_eq!(fault(&late), (400, json!(-32602)), "{}", whole(&late));
    assert_eq!(stage.server.upstream().requests_for("tools/call").len(), 1);
}

#[tokio::test]
async fn a_caller_has_its_share_of_waiting_calls_and_no_one_elses() {
    let stage = Stage::limited("    suspended_per_caller: 2\n").await;
    let alice = stage.alice();
    let (one, first) = alice.suspended(&stage).await;
    let (_two, _) = alice.suspended(&stage).await;
    let (three, coming) = alice.feed(&stage, fed()).await;
    three.ask("third", "elicitation/create", form());
    let refused = coming.whole().await;
    assert_eq!(refused.status, 429, "{}", whole(&refused));
    assert!(refused.header("retry-after").is_some() && refused.rpc()["id"] == 5);
    let told = stage.server.hears(|m| m["method"] == "notifications/cancelled").await;
    assert_eq!(told["params"]["requestId"], three.request.json()["id"], "the refused one, no other");
    // Others have their own share, and what asks for nothing needs none.
    let (bobs, bob) = stage.client("bob").suspended(&stage).await;
    alice.result("tools/call", json!({"name": "echo"})).await;
    for (client, call, state) in [(&alice, one, first), (&stage.client("bob"), bobs, bob)] {
        let coming = client.send("tools/call", retry(&state, json!({"ask-1": accept()}))).await;
        call.text("still there");
        assert_eq!(coming.whole().await.tool_text().as_deref(), Some("still there"));
    }
    // And there is room again.
    alice.suspended(&stage).await;
}

#[tokio::test]
async fn a_place_is_free_again_once_a_call_goes_on() {
    let stage = Stage::limited("    suspended_per_caller: 1\n    suspended_calls: 1\n").await;
    let alice = stage.alice();
    let (call, coming) = alice.feed(&stage, fed()).await;
    call.ask(0, "elicitation/create", form());
    let mut answer = coming.whole().await;
    for n in 1..4 {
        let again = retry(&state(&answer), answers(&answer, &accept()));
        let coming = alice.send("tools/call", again).await;
        call.ask(n, "elicitation/create", form());
        answer = coming.whole().await;
        assert_eq!(asked(&answer).len(), 1);
    }
    let (other, coming) = stage.client("bob").feed(&stage, fed()).await;
    other.ask(9, "elicitation/create", form());
    assert_eq!(coming.whole().await.status, 429, "all places together are bounded too");
}

#[tokio::test]
async fn a_server_that_asks_without_end_is_cut_short() {
    let stage = Stage::start().await;
    let (call, coming) = stage.alice().feed(&stage, fed()).await;
    for n in 0..2000 {
        call.ask(n, "elicitation/create", form());
    }
    let first = coming.whole().await;
    assert!(asked(&first).len() <= 64, "{} questions at once", asked(&first).len());
}

#[tokio::test]
async fn a_server_that_asks_faster_than_it_listens_ties_nothing_up() {
    let stage = Stage::start().await;
    let (call, coming) = stage.alice().feed(&stage, fed()).await;
    stage.server.rule(|request| request.json().get("result").map(|_| Answer::hang()));
    for n in 0..3000 {
        call.ask(n, "ping", json!({}));
    }
    stage.server.hears(|m| m["id"].is_u64() && m["result"] == json!({})).await;
    call.text("done");
    assert_eq!(coming.whole().await.tool_text().as_deref(), Some("done"));
    let open = stage.server.upstream().open_connections();
    assert!(open < 40, "{open} connections are open for replies");
    stage.alice().result("prompts/list", json!({})).await;
}

#[tokio::test]
async fn a_call_that_waits_for_its_client_takes_no_place_among_the_upstreams_calls() {
    // Or a few clients that never answer would close the upstream for all.
    let upstream = "    max_concurrent: 2\n";
    let stage = Stage::with(Setup { upstream, ..Setup::default() }).await;
    let alice = stage.alice();
    let (one, first) = alice.suspended(&stage).await;
    let (_two, _) = alice.suspended(&stage).await;
    alice.result("prompts/list", json!({})).await;
    let coming = alice.send("tools/call", retry(&first, json!({"ask-1": accept()}))).await;
    one.text("done");
    assert_eq!(coming.whole().await.tool_text().as_deref(), Some("done"));
    alice.result("prompts/list", json!({})).await;
}
