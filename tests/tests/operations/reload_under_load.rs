//! Reloads, good and bad, while clients call without a pause: not one of them notices.

use super::stage::{Config, Stage};
use narthex_testkit::{Answer, RawClient, RecordingUpstream, SseFeed, mcp};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CLIENTS: usize = 10;
const STREAMS: usize = 4;
const REWRITES: usize = 30;
const PACE: Duration = Duration::from_millis(160);

/// Calls on one connection until told to stop: how many calls, and what went wrong.
async fn call_until(
    stop: Arc<AtomicBool>,
    address: SocketAddr,
    token: String,
    number: usize,
) -> (usize, Vec<String>) {
    let (mut calls, mut failures) = (0, Vec::new());
    let mut client = RawClient::connect(address).await.unwrap();
    while !stop.load(Ordering::Relaxed) {
        let text = format!("{number}-{calls}");
        let body = mcp::tools_call("echo", json!({"text": text}));
        let answer = match client.send(mcp::post("/tools", Some(&token), &[], &body)).await {
            Ok(()) => client.response().await,
            Err(error) => Err(error),
        };
        calls += 1;
        match answer {
            Ok(answer)
                if answer.status == 200 && answer.tool_text().is_some_and(|said| said.contains(&text)) => {}
            Ok(answer) => failures.push(format!("{text}: {} {}", answer.status, answer.text())),
            Err(error) => {
                failures.push(format!("{text}: {error}"));
                client = RawClient::connect(address).await.unwrap();
            }
        }
    }
    (calls, failures)
}

async fn open_stream(upstream: &RecordingUpstream, address: SocketAddr, token: &str) -> (RawClient, SseFeed) {
    let (answer, feed) = Answer::sse();
    upstream.next(answer);
    let mut client = RawClient::connect(address).await.unwrap();
    client.send(mcp::post("/tools", Some(token), &[], &mcp::tools_call("stream", json!({})))).await.unwrap();
    assert_eq!(client.response_head().await.unwrap().status, 200);
    (client, feed)
}

/// Has every stream carry one event.
async fn pulse(streams: &mut [(RawClient, SseFeed)], beat: usize) {
    for (client, feed) in streams {
        feed.event(
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"beat": beat}})
                .to_string(),
        );
        let event = client.sse_event().await.unwrap().expect("the stream is open");
        assert_eq!(event.json()["params"]["beat"], beat);
    }
}

/// Rewrites the file, good and bad in turn, while the streams go on. In place every third time.
async fn rewrite(stage: &Stage, streams: &mut [(RawClient, SseFeed)]) {
    let begun = Instant::now();
    for number in 0..REWRITES {
        let mut yaml = stage.yaml(&Config { server: format!("  # {number}\n"), ..Config::new() });
        if number % 2 == 1 {
            yaml.push_str("routes: [\n");
        }
        match number % 3 {
            0 => std::fs::write(stage.gateway.place().config(), yaml).unwrap(),
            _ => stage.gateway.write_config(&yaml),
        }
        pulse(streams, number).await;
        // The pace of the rewriting, not a wait for anything.
        tokio::time::sleep((PACE * u32::try_from(number + 1).unwrap()).saturating_sub(begun.elapsed())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_and_no_stream_ends() {
    let stage = Stage::new().await;
    let (address, token) = (stage.gateway.address(), stage.token());
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(open_stream(&stage.upstream, address, &token).await);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(call_until(Arc::clone(&stop), address, token.clone(), number)))
        .collect();
    let begun = Instant::now();
    rewrite(&stage, &mut streams).await;
    stop.store(true, Ordering::Relaxed);
    let (mut calls, mut failures) = (0, Vec::new());
    for client in clients {
        let (made, failed) = client.await.unwrap();
        calls += made;
        failures.extend(failed);
    }
    let seconds = begun.elapsed().as_secs_f64();
    pulse(&mut streams, REWRITES).await;
    let count = async |result| {
        stage.gateway.metric(&format!("narthex_config_reloads_total{{result=\"{result}\"}}")).await
    };
    let (taken, refused) = (count("ok").await.unwrap_or(0.0), count("error").await.unwrap_or(0.0));
    println!(
        "{calls} calls of {CLIENTS} clients in {seconds:.1} s over {REWRITES} rewrites ({taken} loads taken up, \
         {refused} refused): {} failed; {STREAMS} streams open before went on",
        failures.len()
    );
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(calls >= CLIENTS * 20, "only {calls} calls");
    assert!(taken >= 6.0 && refused >= 5.0, "{taken} taken up, {refused} refused");
}
