//! Clients and servers that mean harm, or break.

use super::client::Client;
use super::stage::{LATEST, Setup, Stage, completed, everything};
use narthex_testkit::{Answer, mcp};
use serde_json::{Value, json};

/// Statuses of a POST, a GET and a DELETE.
async fn used(client: &Client) -> [u16; 3] {
    let post = client.post(&mcp::request(1, "ping", json!({}))).await.status;
    [post, client.listen(None).await.status, client.delete().await.status]
}

fn with_session(mut client: Client, session: &str) -> Client {
    session.clone_into(&mut client.session);
    LATEST.clone_into(&mut client.revision);
    client
}

#[tokio::test]
async fn anybody_elses_session_does_not_exist() {
    let stage = Stage::start().await;
    let alice = stage.open(LATEST, everything()).await;
    let session = alice.session.as_str();
    let count = stage.upstream.count();
    let claims = [json!({"sub": "bob"}), json!({"sub": "Alice"}), json!({"org_id": "globex"})];
    for claims in claims {
        let thief = with_session(stage.client("/mcp", stage.token("/mcp", claims.clone())), session);
        assert_eq!(used(&thief).await, [404; 3], "{claims}");
    }
    let elsewhere = with_session(stage.client("/other", stage.token("/other", json!({}))), session);
    assert_eq!(used(&elsewhere).await, [404; 3], "on another route");
    let flip = |at: usize| {
        let mut bytes = session.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let tampered = [
        flip(0),
        flip(1),
        flip(session.len() / 2),
        flip(session.len() - 2),
        session[..session.len() - 1].to_owned(),
        format!("{session}A"),
        format!("{session}=="),
        "5f2c1c7e-1c3b-4a53-9a56-1c2d3e4f5a6b".to_owned(),
    ];
    for other in tampered {
        assert_eq!(used(&with_session(alice.clone(), &other)).await, [404; 3], "{other}");
    }
    assert_eq!(stage.upstream.count(), count, "none of it reached the server");
    assert_eq!(alice.ask("ping", json!({})).await["result"], json!({}), "and none of it ended the session");
}

#[tokio::test]
async fn nobody_else_can_answer_what_a_client_was_asked() {
    let stage = Stage::start().await;
    let alice = stage.open(LATEST, everything()).await;
    let bob = stage.open_as(json!({"sub": "bob"}), LATEST, everything()).await;
    let second = stage.open(LATEST, everything()).await;
    let ask = json!({"method": "roots/list"});
    stage.server.next("tools/call", move |r| Answer::input_required(r, json!({"k": ask}), json!("s")));
    stage.next_text("done");
    let mut stream = alice.begin_call().await;
    let question = stream.message().await;
    let forged = json!({"roots": [{"uri": "file:///forged"}]});
    // In sessions of their own it is an answer that nobody waits for.
    assert_eq!(bob.respond(&question["id"], forged.clone()).await.status, 202);
    assert_eq!(second.respond(&question["id"], forged.clone()).await.status, 202);
    let thief = with_session(bob.clone(), &alice.session);
    assert_eq!(thief.respond(&question["id"], forged.clone()).await.status, 404);
    // Nor does an id that merely looks like it.
    for id in [json!(1), json!("k"), json!("NARTHEX-1"), json!("narthex-2")] {
        assert_eq!(alice.respond(&id, forged.clone()).await.status, 202);
    }
    assert_eq!(stage.upstream.requests_for("tools/call").len(), 1);
    alice.respond(&question["id"], json!({"roots": []})).await;
    alice.respond(&question["id"], forged).await;
    assert_eq!(stream.message().await["result"]["content"][0]["text"], "done");
    let retry = stage.upstream.requests_for("tools/call").pop().unwrap().json();
    assert_eq!(retry["params"]["inputResponses"], json!({"k": {"roots": []}}), "the first answer counts");
    assert!(!stage.upstream.seen("forged"));
}

#[tokio::test]
async fn a_server_that_asks_without_end_is_cut_off() {
    const MOST: usize = 100;
    let stage = Stage::start().await;
    let client = stage.open(LATEST, everything()).await;
    client.ask("tools/list", json!({})).await;
    stage.server.always("tools/call", |r| Answer::input_required(r, Value::Null, json!("again")));
    let answer = client.call("echo", json!({})).await;
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    let rounds = stage.upstream.requests_for("tools/call").len();
    assert!((2..=MOST).contains(&rounds), "{rounds}");
    // With questions that the client answers, just the same.
    stage.upstream.forget();
    stage.server.always("tools/call", |r| {
        Answer::input_required(r, json!({"k": {"method": "roots/list"}}), json!("again"))
    });
    let mut stream = client.begin_call().await;
    let mut questions = 0;
    let failed = loop {
        let message = stream.message().await;
        if message["method"] != "roots/list" {
            break message;
        }
        questions += 1;
        assert!(questions <= MOST);
        client.respond(&message["id"], json!({"roots": []})).await;
    };
    assert_eq!((&failed["id"], &failed["error"]["code"]), (&json!(7), &json!(-32603)), "{failed}");
    assert_eq!(stage.upstream.requests_for("tools/call").len(), questions + 1);
    assert_eq!(rounds, questions + 1);
}

#[tokio::test]
async fn a_server_that_dies_in_mid_call_is_told_of_on_the_stream() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, json!({})).await;
    let note =
        json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "error", "data": 1}});
    for cut in [true, false] {
        let feed = stage.next_stream();
        let mut stream = client.begin_call().await;
        feed.event(note.to_string());
        assert_eq!(stream.message().await["params"]["data"], 1);
        // Broken off, or ended in good order but without a result.
        if cut {
            feed.cut()
        } else {
            drop(feed)
        }
        let failed = stream.message().await;
        assert_eq!((&failed["id"], &failed["error"]["code"]), (&json!(7), &json!(-32603)), "{failed}");
        assert!(stream.ended().await);
    }
    let calls = stage.upstream.requests_for("tools/call").len();
    assert_eq!(calls, 2, "a call is never sent twice");
}

#[tokio::test]
async fn a_server_that_dies_before_it_says_anything_is_an_error() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, json!({})).await;
    for cut in [true, false] {
        let feed = stage.next_stream();
        let mut answer = client.begin_call().await;
        stage.upstream.wait_for_method("tools/call", 1).await;
        if cut {
            feed.cut()
        } else {
            drop(feed)
        }
        let answer = answer.whole().await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (200, &json!(-32603)),
            "{}",
            answer.text()
        );
        assert_eq!(answer.json()["id"], 7);
    }
}

#[tokio::test]
async fn a_request_on_a_response_stream_is_no_request() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, everything()).await;
    for method in ["roots/list", "sampling/createMessage", "ping"] {
        let mut feed = stage.next_stream();
        let mut answer = client.begin_call().await;
        feed.event(json!({"jsonrpc": "2.0", "id": 99, "method": method, "params": {}}).to_string());
        feed.gone().await;
        let answer = answer.whole().await;
        assert_eq!(answer.json()["error"]["code"], -32603, "{method}: {}", answer.text());
        assert!(!answer.text().contains("99"), "{}", answer.text());
    }
}

#[tokio::test]
async fn what_is_no_message_ends_the_call() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, json!({})).await;
    for data in ["{", "null", "[]", "{\"jsonrpc\":\"1.0\"}", "{\"id\":1,\"id\":2}", "\"text\"", "7"] {
        let feed = stage.next_stream();
        let mut answer = client.begin_call().await;
        feed.event(data);
        drop(feed);
        let answer = answer.whole().await;
        assert_eq!(answer.json()["error"]["code"], -32603, "{data}: {}", answer.text());
    }
    assert_eq!(client.call("echo", json!({})).await["result"]["content"][0]["text"], "echo {}");
}

#[tokio::test]
async fn a_caller_with_too_many_sessions_loses_none_that_it_uses() {
    let stage = Setup::limits(&["sessions_per_caller: 3"]).start().await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(stage.open(LATEST, json!({"roots": {}})).await);
    }
    stage.gateway.wait_for_metric("narthex_bridge_sessions{side=\"client\"}", |open| open == 3.0).await;
    // What was put aside is taken up again, with all that it was opened with.
    for client in &clients {
        client.call("echo", json!({})).await;
        let call = stage.upstream.requests_for("tools/call").pop().unwrap().json();
        assert_eq!(
            call["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"],
            json!({"roots": {}})
        );
    }
    // Of those in use none is put aside: there is no room for a fourth.
    let mut busy = Vec::new();
    for client in &clients[..3] {
        let stream = client.listen(None).await;
        assert_eq!(stream.status, 200);
        busy.push(stream);
    }
    let mut fourth = stage.client("/mcp", stage.token("/mcp", json!({})));
    let answer = fourth.initialize(LATEST, json!({})).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    // Another caller has its own.
    stage.open_as(json!({"sub": "bob"}), LATEST, json!({})).await;
}

#[tokio::test]
async fn a_caller_cannot_hold_streams_without_end() {
    let stage = Setup::limits(&["streams_per_caller: 2"]).start().await;
    let client = stage.open(LATEST, everything()).await;
    client.ask("tools/list", json!({})).await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        let ask = json!({"k": {"method": "roots/list"}});
        stage.server.next("tools/call", move |r| Answer::input_required(r, ask, Value::Null));
        let mut stream = client.begin_call().await;
        stream.message().await;
        streams.push(stream);
    }
    let third = client.post(&mcp::tools_call("echo", json!({}))).await;
    assert_eq!(third.status, 429, "{}", third.text());
    assert_eq!(stage.upstream.requests_for("tools/call").len(), 2, "refused before anything is done");
}

#[tokio::test]
async fn a_message_without_end_is_not_read_to_its_end() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, json!({})).await;
    client.ask("tools/list", json!({})).await;
    stage.server.next("tools/call", |request| Answer::giant(request, 200 << 20));
    let answer = client.call("echo", json!({})).await;
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    let resident = stage.gateway.resident_bytes().unwrap();
    assert!(resident < 200 << 20, "{} MiB", resident >> 20);
}

#[tokio::test]
async fn two_answers_to_one_call_are_one() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, json!({})).await;
    stage.server.next("tools/call", |request| {
        let id = &request.json()["id"];
        let answers = ["first", "second"].map(|text| serde_json::from_str(&completed(id, text)).unwrap());
        Answer::sse_events(&answers)
    });
    let answer = client.post(&mcp::tools_call("echo", json!({}))).await;
    assert_eq!(answer.tool_text().as_deref(), Some("first"), "{}", answer.text());
    assert!(!answer.text().contains("second"));
}
