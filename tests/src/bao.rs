//! A real OpenBao.

use crate::{Peer, installed};
use narthex_testkit::{free_port, mcp};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A server with a KV version 2 engine at `secret/`. Dropping it ends it.
pub struct Bao {
    peer: Peer,
    /// The token that may do everything.
    pub root: String,
    /// Of one that forgets nothing: where it keeps its data, and what unseals it.
    durable: Option<(TempDir, String)>,
}

/// A role that logs in by AppRole.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its id.
    pub role_id: String,
    /// Its secret id, good for any number of logins.
    pub secret_id: String,
}

impl Bao {
    /// In development mode: unsealed, and all is in memory.
    pub async fn start() -> Self {
        let program = installed(PROGRAM);
        let root = "bao-root-token-canary";
        let peer = Peer::listening(|port| {
            let mut command = Command::new(&program);
            command.args(["server", "-dev", "-dev-no-store-token", &format!("-dev-root-token-id={root}")]);
            command.arg(format!("-dev-listen-address=127.0.0.1:{port}"));
            quiet(command)
        })
        .await;
        let bao = Self { peer, root: root.to_owned(), durable: None };
        bao.until_active().await;
        bao.until_kv().await;
        bao
    }

    /// Keeps its data in files, so that it can be killed, started again and unsealed.
    ///
    /// # Panics
    /// It cannot be set up.
    pub async fn durable() -> Self {
        let (program, dir) = (installed(PROGRAM), tempfile::tempdir().unwrap_or_else(|e| panic!("{e}")));
        let peer = Peer::listening(|port| {
            let _ = fs::write(dir.path().join("bao.hcl"), configuration(&dir, port, free_port()));
            let mut command = Command::new(&program);
            command.arg("server").arg("-config").arg(dir.path().join("bao.hcl"));
            quiet(command)
        })
        .await;
        let mut bao = Self { peer, root: String::new(), durable: None };
        let (_, made) =
            bao.api("POST", "sys/init", Some(json!({"secret_shares": 1, "secret_threshold": 1}))).await;
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        bao.root = text(&made["root_token"]);
        bao.durable = Some((dir, text(&made["keys"][0])));
        bao.unseal().await;
        bao.done("POST", "sys/mounts/secret", json!({"type": "kv", "options": {"version": "2"}})).await;
        bao.until_kv().await;
        bao
    }

    /// Its `address`, as a configuration has it.
    #[must_use]
    pub fn address(&self) -> String {
        self.peer.url("")
    }

    /// Calls its API with the root token: the status, and the body or `null`.
    ///
    /// # Panics
    /// It does not answer.
    pub async fn api(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let (root, len) = (&self.root, body.len());
        let request = format!(
            "{method} /v1/{path} HTTP/1.1\r\nHost: bao\r\nX-Vault-Token: {root}\r\nContent-Length: {len}\r\n\
             Content-Type: application/json\r\nConnection: close\r\n\r\n{body}"
        );
        let port = self.peer.port();
        let answer = mcp::exchange(SocketAddr::from(([127, 0, 0, 1], port)), request.as_bytes()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    /// Calls its API, which must do it.
    ///
    /// # Panics
    /// It does not.
    pub async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.api(method, path, Some(body)).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Writes a version of the secret at `path`.
    pub async fn put(&self, path: &str, data: Value) {
        self.done("POST", &format!("secret/data/{path}"), json!({"data": data})).await;
    }

    /// Writes a policy.
    pub async fn policy(&self, name: &str, text: &str) {
        self.done("PUT", &format!("sys/policies/acl/{name}"), json!({"policy": text})).await;
    }

    /// A policy that lets read just this secret, beside what every token may.
    pub async fn policy_for(&self, name: &str, path: &str) {
        self.policy(name, &format!("path \"secret/data/{path}\" {{ capabilities = [\"read\"] }}")).await;
    }

    /// A token with this policy and `more` members of the request.
    ///
    /// # Panics
    /// There is none.
    pub async fn token(&self, policy: &str, more: Value) -> String {
        let mut wanted = json!({"policies": [policy]});
        if let (Some(wanted), Value::Object(more)) = (wanted.as_object_mut(), more) {
            wanted.extend(more);
        }
        let answer = self.done("POST", "auth/token/create", wanted).await;
        answer["auth"]["client_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// A role for AppRole with this policy, whose tokens live for `ttl`, at most `max`.
    ///
    /// # Panics
    /// It cannot be made.
    pub async fn approle(&self, policy: &str, ttl: &str, max: &str) -> Role {
        // It may be there from before.
        let _ = self.api("POST", "sys/auth/approle", Some(json!({"type": "approle"}))).await;
        let role = json!({"token_policies": policy, "token_ttl": ttl, "token_max_ttl": max});
        self.done("POST", "auth/approle/role/narthex", role).await;
        let (_, id) = self.api("GET", "auth/approle/role/narthex/role-id", None).await;
        let secret = self.done("POST", "auth/approle/role/narthex/secret-id", json!({})).await;
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned();
        Role { role_id: text(&id["data"]["role_id"]), secret_id: text(&secret["data"]["secret_id"]) }
    }

    /// The accessors of all tokens that it has issued and not revoked, but for the root's.
    pub async fn logins(&self) -> Vec<String> {
        let (_, own) = self.api("GET", "auth/token/lookup-self", None).await;
        let (_, all) = self.api("GET", "auth/token/accessors?list=true", None).await;
        let all = all["data"]["keys"].as_array().cloned().unwrap_or_default();
        let others = all.iter().filter(|accessor| **accessor != own["data"]["accessor"]);
        others.filter_map(|accessor| accessor.as_str().map(str::to_owned)).collect()
    }

    /// Revokes every token but the root's.
    pub async fn revoke_logins(&self) {
        for accessor in self.logins().await {
            self.done("POST", "auth/token/revoke-accessor", json!({"accessor": accessor})).await;
        }
    }

    /// Seals it.
    pub async fn seal(&self) {
        self.done("PUT", "sys/seal", json!({})).await;
    }

    /// Unseals a durable one, and waits until it is active.
    pub async fn unseal(&self) {
        if let Some((_, key)) = &self.durable {
            self.done("PUT", "sys/unseal", json!({"key": key})).await;
        }
        self.until_active().await;
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.peer.kill();
    }

    /// Starts again what was killed; a durable one is sealed then, another empty.
    pub async fn restart(&mut self) {
        self.peer.restart().await;
        if self.durable.is_none() {
            self.until_active().await;
            self.until_kv().await;
        }
    }

    /// A new engine first says that it is being upgraded to versions.
    async fn until_kv(&self) {
        let end = Instant::now() + PATIENCE;
        while self.api("POST", "secret/data/ready", Some(json!({"data": {}}))).await.0 != 200 {
            assert!(Instant::now() < end, "the KV engine does not get ready");
            tokio::time::sleep(POLL).await;
        }
    }

    async fn until_active(&self) {
        let end = Instant::now() + PATIENCE;
        while self.api("GET", "sys/health", None).await.0 != 200 {
            assert!(Instant::now() < end, "it does not get active");
            tokio::time::sleep(POLL).await;
        }
    }
}

fn configuration(dir: &TempDir, port: u16, cluster_port: u16) -> String {
    let data = dir.path().join("data");
    let _ = fs::create_dir_all(&data);
    format!(
        "storage \"raft\" {{\n  path = \"{}\"\n  node_id = \"one\"\n  performance_multiplier = 1\n}}\n\
         listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  cluster_address = \"127.0.0.1:{cluster_port}\"\n  \
         tls_disable = true\n}}\napi_addr = \"http://127.0.0.1:{port}\"\n\
         cluster_addr = \"https://127.0.0.1:{cluster_port}\"\n",
        data.display()
    )
}

fn quiet(mut command: Command) -> Command {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A script that becomes the program.
const PROGRAM: &str = ".venv-openbao/bin/bao";
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
