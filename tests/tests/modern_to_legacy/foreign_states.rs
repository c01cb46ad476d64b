//! The `requestState` of a call that waits: for whom it was made, for what it was made, once.

use super::stage::{Client, Setup, Stage, accept, fault, fed, form, gateway, retry, whole};
use narthex_testkit::{Answer, RecordingUpstream};
use serde_json::{Value, json};

const SEAL: &str = "0707070707070707070707070707070707070707070707070707070707070707";

fn answered() -> Value {
    json!({"ask-1": accept()})
}

/// Whether the server was told anything since it was asked for the call.
fn is_untold(stage: &Stage) -> bool {
    let requests = stage.server.upstream().requests();
    requests.iter().map(narthex_testkit::UpstreamRequest::json).all(|m| m["id"] != "e-1")
}

#[tokio::test]
async fn a_state_opens_for_its_caller_route_tool_and_arguments_only() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    let (call, state) = alice.suspended(&stage).await;
    let of = |path, claims| Client::new(&stage.gateway, &stage.idp, path, claims);
    let good = retry(&state, answered());
    let changed = |member: &str, value: Value| {
        let mut params = good.clone();
        params[member] = value;
        params
    };
    let flip = |at: usize| {
        let mut bytes = state.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let mut no_arguments = good.clone();
    no_arguments.as_object_mut().unwrap().remove("arguments");
    let (bob, globex, other) =
        (stage.client("bob"), of("/mcp", json!({"org_id": "globex"})), of("/other", json!({})));
    let cases = [
        ("another subject", &bob, good.clone()),
        ("another tenant", &globex, good.clone()),
        ("another route", &other, good.clone()),
        ("another tool", &alice, changed("name", json!("fed-2"))),
        ("other arguments", &alice, changed("arguments", json!({"n": 2}))),
        ("more arguments", &alice, changed("arguments", json!({"n": 1, "m": 1}))),
        ("no arguments", &alice, no_arguments),
        ("tampered at its start", &alice, changed("requestState", json!(flip(1)))),
        ("tampered in its middle", &alice, changed("requestState", json!(flip(state.len() / 2)))),
        ("tampered at its end", &alice, changed("requestState", json!(flip(state.len() - 2)))),
        ("cut short", &alice, changed("requestState", json!(state[..state.len() - 1]))),
        ("what may be inside", &alice, changed("requestState", json!("narthex:visit"))),
        ("empty", &alice, changed("requestState", json!(""))),
    ];
    for (name, client, params) in cases {
        let answer = client.ask("tools/call", params).await;
        assert_eq!(fault(&answer), (400, json!(-32602)), "{name}: {}", whole(&answer));
        assert!(is_untold(&stage), "{name}: the server was told");
    }
    let prompt = alice.ask("prompts/get", good.clone()).await;
    assert_eq!(fault(&prompt), (400, json!(-32602)), "another method: {}", whole(&prompt));
    assert!(is_untold(&stage));
    assert_eq!(stage.server.upstream().requests_for("tools/call").len(), 1);
    let coming = alice.send("tools/call", good).await;
    stage.server.hears(|m| m["id"] == "e-1").await;
    call.text("after all that");
    assert_eq!(coming.whole().await.tool_text().as_deref(), Some("after all that"));
}

#[tokio::test]
async fn a_state_is_good_once() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    let (call, state) = alice.suspended(&stage).await;
    let coming = alice.send("tools/call", retry(&state, answered())).await;
    stage.server.hears(|m| m["id"] == "e-1").await;
    for _ in 0..2 {
        let again = alice.ask("tools/call", retry(&state, answered())).await;
        assert_eq!(fault(&again), (400, json!(-32602)), "while it goes on: {}", whole(&again));
    }
    call.text("once");
    assert_eq!(coming.whole().await.tool_text().as_deref(), Some("once"));
    let after = alice.ask("tools/call", retry(&state, answered())).await;
    assert_eq!(fault(&after), (400, json!(-32602)), "after its end: {}", whole(&after));
    assert_eq!(stage.server.upstream().requests_for("tools/call").len(), 1);
}

#[tokio::test]
async fn of_retries_that_come_at_once_one_goes_on() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    let (call, state) = alice.suspended(&stage).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (alice, params) = (alice.clone(), retry(&state, answered()));
        tasks.spawn(async move { alice.ask("tools/call", params).await });
    }
    stage.server.hears(|m| m["id"] == "e-1").await;
    call.text("one");
    let answers = tasks.join_all().await;
    let won = answers.iter().filter(|a| a.tool_text().as_deref() == Some("one")).count();
    let refused = answers.iter().filter(|a| fault(a) == (400, json!(-32602))).count();
    assert_eq!((won, refused), (1, 7));
    let responses = stage.server.upstream().requests();
    assert_eq!(responses.iter().filter(|r| r.json()["id"] == "e-1").count(), 1, "one answer for the server");
}

#[tokio::test]
async fn a_state_is_stale_as_soon_as_its_time_is_over() {
    let stage = Stage::limited("    suspend_timeout: 300ms\n").await;
    let (_call, state) = stage.alice().suspended(&stage).await;
    // Time itself is what is awaited here; that the call was swept away comes later and does not matter.
    tokio::time::sleep(std::time::Duration::from_millis(350)).await;
    let answer = stage.alice().ask("tools/call", retry(&state, answered())).await;
    assert_eq!(fault(&answer), (400, json!(-32602)), "{}", whole(&answer));
    assert!(is_untold(&stage));
}

#[tokio::test]
async fn a_state_of_a_server_that_is_passed_through_wakes_nothing() {
    let modern = RecordingUpstream::start().await;
    modern.always(|request| {
        if let Some(account) = Answer::discovered(request) {
            return account;
        }
        let ask = json!({"method": "elicitation/create", "params": form()});
        Answer::result(
            request,
            json!({"resultType": "input_required", "inputRequests": {"ask-1": ask},
            "requestState": "narthex:held:guess:guess"}),
        )
    });
    let setup = Setup { seal_key: Some(SEAL), ..Setup::default() };
    let stage = Stage::with(setup).await;
    let passing = gateway(&stage.idp, &modern.url("/mcp"), setup).await;
    let asked = Client::new(&passing, &stage.idp, "/mcp", json!({})).ask("tools/call", fed()).await;
    let theirs = super::stage::state(&asked);
    // The same keys, caller, route and upstream by name, but a server of another era behind it.
    let (_call, _) = stage.alice().suspended(&stage).await;
    let answer = stage.alice().ask("tools/call", retry(&theirs, answered())).await;
    assert!(answer.status == 400 || answer.status == 503, "{}", whole(&answer));
    assert!(is_untold(&stage));
    assert_eq!(stage.server.upstream().requests_for("tools/call").len(), 1);
}
