//! Servers of a merged route that die and come back, one after the other, while clients call tools of all.

use narthex_testkit::{RawClient, mcp};
use narthex_tests::{Front, Peer, servers};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Servers, in the order of the route: name, tool, arguments.
const TOOLS: [(&str, &str, &str); 5] = [
    ("python-2", "python-2__test_simple_text", "{}"),
    ("python-1", "python-1__test_simple_text", "{}"),
    ("fastmcp", "fastmcp__greet", r#"{"name": "you"}"#),
    ("npm", "npm__echo", r#"{"message": "hi"}"#),
    ("rmcp", "rmcp__echo", r#"{"text": "hi"}"#),
];
/// Who calls at the same time.
const CLIENTS: usize = 4;
/// Between two calls of one client: all of them stay below the limit for a subject.
const PAUSE: Duration = Duration::from_millis(50);
/// Calls of the others that are waited for before and while one is dead.
const CALLS: usize = 80;
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_costs_the_others_of_its_route_nothing() {
    let key = tempfile::tempdir().unwrap();
    let mut peers = peers(&key).await;
    let urls: Vec<_> = peers.iter().map(|peer| peer.url("/mcp")).collect();
    let upstreams: Vec<_> =
        TOOLS.iter().zip(&urls).map(|((name, ..), url)| (*name, url.as_str(), "auto")).collect();
    let front = Front::merging(&upstreams, "{}").await;
    let client = Client::of(&front);
    client.until_whole().await;
    let load = Load::begin(&client);
    println!("| killed | calls of the others | p50 ms before | p50 ms dead | p99 ms before | p99 ms dead |");
    for (index, (name, tool, _)) in TOOLS.iter().enumerate() {
        let before = load.others(index, CALLS).await;
        let mut told = client.listen().await;
        peers[index].kill();
        let dead = client.list_until(|list| list["_meta"][DEGRADED] == json!([name])).await;
        let (gone, rest) = (has(&dead, tool), TOOLS.iter().filter(|(_, tool, _)| has(&dead, tool)).count());
        assert_eq!((gone, rest), (false, TOOLS.len() - 1), "{dead}");
        until_tools_changed(&mut told, &format!("{name} died"), &front).await;
        let while_dead = load.others(index, CALLS).await;
        let refused = client.call(index).await;
        assert!(refused.is_err(), "{name} is dead: {refused:?}");
        peers[index].restart().await;
        until_tools_changed(&mut told, &format!("{name} came back"), &front).await;
        let back = client.list_until(|list| list["_meta"][DEGRADED].is_null()).await;
        assert!(has(&back, tool), "{back}");
        client.until_answering(index).await;
        println!("{}", line(name, before, while_dead));
    }
    let failures = load.end().await;
    assert!(failures.is_empty(), "{}\n{}", failures.join("\n"), front.gateway.output());
}

const DEGRADED: &str = "dev.narthex/degraded";

async fn peers(key: &TempDir) -> Vec<Peer> {
    let key_file = key.path().join("key");
    fs::write(&key_file, Front::KEY).unwrap();
    let (python_2, python_1, fastmcp, npm, rmcp) = tokio::join!(
        servers::python(),
        servers::python_1(),
        servers::fastmcp(),
        servers::npm(),
        servers::demo(&key_file),
    );
    vec![python_2, python_1, fastmcp, npm, rmcp]
}

fn has(list: &Value, tool: &str) -> bool {
    list["tools"].as_array().into_iter().flatten().any(|listed| listed["name"] == tool)
}

/// Reads until a notification says that the list of tools has changed.
async fn until_tools_changed(stream: &mut RawClient, when: &str, front: &Front) {
    let changed = async {
        while let Some(event) = stream.sse_event().await.unwrap() {
            if event.data.contains("notifications/tools/list_changed") {
                return;
            }
        }
        panic!("the stream ended");
    };
    let told = tokio::time::timeout(PATIENCE, changed).await;
    told.unwrap_or_else(|_| panic!("nobody says that {when}\n{}", front.gateway.output()));
}

/// A client of 2026-07-28.
#[derive(Clone)]
struct Client {
    gateway: SocketAddr,
    token: Arc<str>,
}

impl Client {
    fn of(front: &Front) -> Self {
        Self { gateway: front.gateway.address(), token: front.token("mcp").into() }
    }

    fn request(&self, method: &str, name: Option<&str>, params: Value) -> Vec<u8> {
        let body = mcp::stateless_request(1, method, params);
        mcp::post("/mcp", Some(&self.token), &mcp::stateless_headers(method, name), &body)
    }

    /// Calls the tool of a server; what went wrong, if it is not answered rightly.
    async fn call(&self, index: usize) -> Result<(), String> {
        let (server, tool, arguments) = TOOLS[index];
        let arguments: Value = serde_json::from_str(arguments).unwrap();
        let params = json!({"name": tool, "arguments": arguments});
        let request = self.request("tools/call", Some(tool), params);
        let answer =
            mcp::exchange(self.gateway, &request).await.map_err(|error| format!("{server}: {error}"))?;
        if answer.status == 200 && answer.tool_text().is_some() && answer.rpc()["result"]["isError"] != true {
            return Ok(());
        }
        Err(format!("{server}: {} {}", answer.status, answer.text()))
    }

    async fn list(&self) -> Value {
        let answer = mcp::exchange(self.gateway, &self.request("tools/list", None, json!({}))).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.rpc()["result"].clone()
    }

    async fn list_until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let list = self.list().await;
            if wanted(&list) {
                return list;
            }
            assert!(Instant::now() < end, "{}", list["_meta"]);
            tokio::time::sleep(POLL).await;
        }
    }

    async fn until_whole(&self) {
        let all = |list: &Value| TOOLS.iter().all(|(_, tool, _)| has(list, tool));
        self.list_until(all).await;
    }

    async fn until_answering(&self, index: usize) {
        let end = Instant::now() + PATIENCE;
        while let Err(error) = self.call(index).await {
            assert!(Instant::now() < end, "{error}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// A stream of changes of the list of tools.
    async fn listen(&self) -> RawClient {
        let mut stream = RawClient::connect(self.gateway).await.unwrap();
        let params = json!({"notifications": {"toolsListChanged": true}});
        stream.send(self.request("subscriptions/listen", None, params)).await.unwrap();
        let head = stream.response_head().await.unwrap();
        assert_eq!(head.status, 200);
        let first = stream.sse_event().await.unwrap().unwrap();
        assert!(first.data.contains("acknowledged"), "{}", first.data);
        stream
    }
}

/// A call: which server's, when it began, how long it took, and what went wrong.
struct Call {
    index: usize,
    begun: Instant,
    took: Duration,
    wrong: Option<String>,
}

/// Clients that call tools of all servers in turn.
struct Load {
    calls: Arc<Mutex<Vec<Call>>>,
    /// Of the server that is dead or comes back, nothing is expected.
    excused: Mutex<Vec<(usize, Instant, Instant)>>,
    over: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Load {
    fn begin(client: &Client) -> Self {
        let (calls, over) = (Arc::<Mutex<Vec<Call>>>::default(), Arc::<AtomicBool>::default());
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let (client, calls, over) = (client.clone(), Arc::clone(&calls), Arc::clone(&over));
            clients.spawn(async move {
                let mut index = number;
                while !over.load(Ordering::Relaxed) {
                    index = (index + 1) % TOOLS.len();
                    let begun = Instant::now();
                    let wrong = client.call(index).await.err();
                    calls.lock().unwrap().push(Call { index, begun, took: begun.elapsed(), wrong });
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        Self { calls, excused: Mutex::default(), over, clients }
    }

    /// Latencies of the next `count` calls of others than the server `but`, whose own failures are excused from
    /// the first of them on.
    async fn others(&self, but: usize, count: usize) -> Vec<Duration> {
        let (begun, end) = (Instant::now(), Instant::now() + PATIENCE);
        loop {
            let took: Vec<_> = {
                let calls = self.calls.lock().unwrap();
                let new = calls.iter().filter(|call| call.index != but && call.begun >= begun);
                new.map(|call| call.took).collect()
            };
            if took.len() >= count {
                self.excused.lock().unwrap().push((but, begun, Instant::now()));
                return took;
            }
            assert!(Instant::now() < end, "only {} calls are answered", took.len());
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends it. What went wrong with servers that were alive.
    async fn end(mut self) -> Vec<String> {
        self.over.store(true, Ordering::Relaxed);
        while self.clients.join_next().await.is_some() {}
        let calls = self.calls.lock().unwrap();
        let excused = self.excused.lock().unwrap();
        // From the round before the server was killed until that of the next one.
        let round = |index: usize| {
            let of = |(but, ..): &&(usize, Instant, Instant)| *but == index;
            let first = excused.iter().find(of).map(|(_, begun, _)| *begun);
            let next = excused.iter().find(|(but, ..)| *but == index + 1).map(|(_, _, ended)| *ended);
            (first, next)
        };
        let is_excused = |call: &Call| {
            let (from, to) = round(call.index);
            from.is_some_and(|from| call.begun >= from) && to.is_none_or(|to| call.begun <= to)
        };
        let wrong = calls.iter().filter(|call| !is_excused(call));
        wrong.filter_map(|call| call.wrong.clone()).collect()
    }
}

fn line(name: &str, mut before: Vec<Duration>, mut dead: Vec<Duration>) -> String {
    let calls = before.len() + dead.len();
    let ms = |latencies: &mut Vec<Duration>, percent: usize| {
        latencies.sort_unstable();
        let rank = (latencies.len() * percent).div_ceil(100).max(1) - 1;
        latencies[rank].as_secs_f64() * 1e3
    };
    let [p50, p50_dead] = [ms(&mut before, 50), ms(&mut dead, 50)];
    let [p99, p99_dead] = [ms(&mut before, 99), ms(&mut dead, 99)];
    format!("| {name} | {calls} | {p50:.1} | {p50_dead:.1} | {p99:.1} | {p99_dead:.1} |")
}
