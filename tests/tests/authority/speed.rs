//! How many tokens a second: not a test, a measurement. With a release build of both:
//! `cargo test --release -p narthex-tests --test authority -- --ignored --nocapture`.

use super::stage::{SECRET, Stage};
use narthex_testkit::visitor::encode;
use narthex_testkit::{Alg, Jws, RawClient, SigningKeys};
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const CONNECTIONS: usize = 16;
const TIME: Duration = Duration::from_secs(5);

fn post(form: &[(&str, &str)]) -> String {
    let body = encode(form);
    format!(
        "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// CPU time that the gateway has used, seconds, to the hundredth.
fn cpu(stage: &Stage) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", stage.gateway.id())).unwrap();
    // After the name, which is in brackets: fields 14 and 15 of proc_pid_stat(5).
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

fn report(what: &str, count: u32, begun: Instant, cpu: f64) {
    let each = cpu / f64::from(count) * 1e6;
    let rate = f64::from(count) / begun.elapsed().as_secs_f64();
    println!("{what}: {rate:.0} tokens/s, {each:.0} µs of the gateway's CPU each");
}

async fn ask(client: &mut RawClient, form: &[(&str, &str)]) -> Value {
    client.send(post(form)).await.unwrap();
    let answer = client.response().await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn refreshes_a_second() {
    let stage = Stage::start().await;
    let mut tokens = Vec::new();
    for _ in 0..CONNECTIONS {
        tokens.push(stage.tokens("ann").await["refresh_token"].as_str().unwrap().to_owned());
    }
    let address = stage.gateway.address();
    let (before, begun) = (cpu(&stage), Instant::now());
    let workers = tokens.into_iter().map(|mut token| {
        tokio::spawn(async move {
            let mut client = RawClient::connect(address).await.unwrap();
            let mut count = 0_u32;
            while begun.elapsed() < TIME {
                let form = [("grant_type", "refresh_token"), ("refresh_token", &token), ("client_id", "web")];
                token = ask(&mut client, &form).await["refresh_token"].as_str().unwrap().to_owned();
                count += 1;
            }
            count
        })
    });
    let workers: Vec<_> = workers.collect();
    let mut count = 0;
    for worker in workers {
        count += worker.await.unwrap();
    }
    report("refresh", count, begun, cpu(&stage) - before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn assertions_a_second() {
    let keys = SigningKeys::generate("bench");
    let dir = tempfile::tempdir().unwrap();
    let jwks = dir.path().join("jwks.json");
    std::fs::write(&jwks, json!({"keys": [keys.jwk(Alg::ES256)]}).to_string()).unwrap();
    let stage = Stage::with(&format!(
        "    assertions: {{ corp: {{ issuer: https://idp.example, jwks: {{ file: {} }}, tenant: {{ value: acme }}, clients: [probe] }} }}",
        jwks.display()
    ))
    .await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // Signed beforehand: what is measured is the gateway.
    let sign = |number: usize| {
        let claims = json!({
            "iss": "https://idp.example", "sub": format!("user-{number}"), "aud": stage.issuer(), "resource": stage.resource(),
            "client_id": "probe", "jti": format!("jti-{number}"), "iat": now, "exp": now + 500, "scope": "mcp:read",
        });
        let assertion = Jws::new(Alg::ES256, &keys.kid(Alg::ES256), &claims);
        let assertion = assertion.header(json!({"typ": "oauth-id-jag+jwt"})).sign(&keys);
        post(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &assertion),
            ("client_id", "probe"),
            ("client_secret", SECRET),
        ])
    };
    let each = 2500;
    let signed: Vec<Vec<String>> = (0..CONNECTIONS)
        .map(|worker| (0..each).map(|number| sign(worker * each + number)).collect())
        .collect();
    let address = stage.gateway.address();
    let (before, begun) = (cpu(&stage), Instant::now());
    let workers = signed.into_iter().map(|signed| {
        tokio::spawn(async move {
            let mut client = RawClient::connect(address).await.unwrap();
            let mut count = 0_u32;
            for request in signed {
                if begun.elapsed() > TIME {
                    break;
                }
                client.send(request).await.unwrap();
                assert_eq!(client.response().await.unwrap().status, 200);
                count += 1;
            }
            count
        })
    });
    let workers: Vec<_> = workers.collect();
    let mut count = 0;
    for worker in workers {
        count += worker.await.unwrap();
    }
    report("ID-JAG", count, begun, cpu(&stage) - before);
}
