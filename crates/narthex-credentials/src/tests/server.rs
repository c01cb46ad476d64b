//! A token endpoint that records what it is asked and answers as told.

use super::ACCESS_TOKEN;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use url::Url;

/// One request that came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) form: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// A token endpoint on 127.0.0.1.
pub(crate) struct Server {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    asked: watch::Sender<Vec<Asked>>,
    answer: Mutex<Answer>,
    /// An answer is held back until there is a permit.
    gate: Semaphore,
}

/// What is answered: the n-th request (from 1) and its form make status, content type and body.
type Answer = Box<dyn Fn(usize, &Asked) -> String + Send>;

impl Server {
    /// Answers with `token-1`, `token-2`, … good for `expires_in` seconds.
    pub(crate) async fn issuing(expires_in: u64) -> Self {
        Self::answering(move |n, _| success(&format!("token-{n}"), expires_in)).await
    }

    pub(crate) async fn answering(answer: impl Fn(usize, &Asked) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            asked: watch::Sender::new(Vec::new()),
            answer: Mutex::new(Box::new(answer)),
            gate: Semaphore::new(1_000_000),
        });
        let for_connections = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&for_connections)));
            }
        });
        Self { port, shared }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self) -> Url {
        format!("http://127.0.0.1:{}/token?tenant=a", self.port).parse().unwrap()
    }

    pub(crate) fn answer(&self, answer: impl Fn(usize, &Asked) -> String + Send + 'static) {
        *self.shared.answer.lock().unwrap() = Box::new(answer);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.borrow().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.shared.asked.borrow().len()
    }

    /// Holds all answers back until [`release`](Self::release).
    pub(crate) fn hold(&self) {
        self.shared.gate.forget_permits(usize::MAX >> 3);
    }

    pub(crate) fn release(&self) {
        self.shared.gate.add_permits(1_000_000);
    }

    /// Waits until so many requests have come.
    pub(crate) async fn until_asked(&self, count: usize) {
        self.shared.asked.subscribe().wait_for(|asked| asked.len() >= count).await.unwrap();
    }
}

impl Asked {
    /// `GET /path`, without the query.
    pub(crate) fn line(&self) -> &str {
        let line = self.head.lines().next().unwrap_or_default();
        line.split(['?']).next().unwrap().trim_end_matches(" HTTP/1.1")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The form's parameters; a repeated one is an error.
    pub(crate) fn parameters(&self) -> BTreeMap<&str, &str> {
        let map: BTreeMap<&str, &str> = self.form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(map.len(), self.form.len(), "a parameter was sent twice: {:?}", self.form);
        map
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// A good answer of an exchange.
pub(crate) fn success(token: &str, expires_in: u64) -> String {
    json(
        200,
        &format!(
            r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{expires_in},"issued_token_type":"{ACCESS_TOKEN}"}}"#
        ),
    )
}

pub(crate) fn json(status: u16, body: &str) -> String {
    answer(status, "application/json", "", body)
}

pub(crate) fn answer(status: u16, content_type: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n{body}"
    )
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let asked = read(&mut stream).await;
    let mut number = 0;
    shared.asked.send_modify(|all| {
        all.push(asked.clone());
        number = all.len();
    });
    shared.gate.acquire().await.unwrap().forget();
    let answer = (shared.answer.lock().unwrap())(number, &asked);
    // The gateway may have hung up on an answer that is too large.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut TcpStream) -> Asked {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut asked = Asked { head, form: Vec::new(), body: Vec::new() };
    let length: usize = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + 4 + length {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
    }
    asked.body = bytes.split_off(end + 4);
    asked.form = url::form_urlencoded::parse(&asked.body).into_owned().collect();
    asked
}
