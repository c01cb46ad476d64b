//! The gateway's login at the vault: a token, renewed while that goes, got anew where it does not.

use super::answer::{self, Granted, Lookup};
use super::api::Api;
use super::lease::Lease;
use super::problem::VaultProblem;
use crate::secret::{MAX_SECRET, Secret, Secrets};
use narthex_config::model::{SecretRef, Vault as Settings, VaultAuth};
use narthex_telemetry::Events;
use serde::Serialize;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// How soon a renewal that could not be asked for is tried again.
const RENEWAL_PAUSE: Duration = Duration::from_secs(2);

/// Largest file with certificates of authorities that is read, bytes.
const MAX_ROOTS: u64 = 1 << 20;

/// One vault, and the login there. It outlives reloads, for as long as its settings are the same.
#[derive(Debug)]
pub(super) struct Vault {
    pub(super) settings: Settings,
    pub(super) events: Events,
    api: Api,
    /// The content of `settings.ca`.
    roots: Option<Vec<u8>>,
    /// Reads what is needed to log in.
    bootstrap: Secrets,
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    token: Secret,
    lease: Lease,
}

#[derive(Serialize)]
struct AppRoleLogin<'a> {
    role_id: &'a str,
    secret_id: &'a str,
}

#[derive(Serialize)]
struct KubernetesLogin<'a> {
    role: &'a str,
    jwt: &'a str,
}

impl Vault {
    /// Asks nothing yet. `bootstrap` reads files and the environment.
    pub(super) fn open(
        settings: &Settings,
        bootstrap: Secrets,
        events: &Events,
    ) -> Result<Self, VaultProblem> {
        let roots = settings.ca.as_deref().map(read_roots).transpose()?;
        Ok(Self {
            api: Api::new(settings, roots.as_deref())?,
            settings: settings.clone(),
            events: events.clone(),
            roots,
            bootstrap,
            held: Mutex::new(None),
        })
    }

    /// Whether it is what [`open`](Self::open) would make of these settings now.
    pub(super) fn is_for(&self, settings: &Settings) -> bool {
        let roots = || settings.ca.as_deref().map(read_roots).transpose().ok();
        self.settings == *settings && roots().is_some_and(|roots| roots == self.roots)
    }

    /// Reads these fields of a secret, with a token that is good as far as is known.
    pub(super) async fn read(
        &self,
        token: &Secret,
        mount: &str,
        path: &str,
        fields: &[&str],
    ) -> Result<answer::Version, VaultProblem> {
        match self.read_with(token, mount, path, fields).await {
            Err(VaultProblem::Denied) if self.lookup(token).await?.is_none() => {
                let token = self.another(token).await?;
                self.read_with(&token, mount, path, fields).await
            }
            other => other,
        }
    }

    async fn read_with(
        &self,
        token: &Secret,
        mount: &str,
        path: &str,
        fields: &[&str],
    ) -> Result<answer::Version, VaultProblem> {
        let answer = self.api.call(&[mount, "data", path], Some(token), None).await?;
        answer::version(answer, fields)
    }

    /// A token that is good as far as is known.
    pub(super) async fn token(&self) -> Result<Secret, VaultProblem> {
        let mut held = self.held.lock().await;
        if let Some(Held { token, lease }) = held.as_ref()
            && !lease.is_over(Instant::now())
            && !self.is_replaced(token)
        {
            return Ok(token.clone());
        }
        self.log_in(&mut held).await
    }

    /// A token in the place of one that is not good any more.
    async fn another(&self, dead: &Secret) -> Result<Secret, VaultProblem> {
        let mut held = self.held.lock().await;
        match held.as_ref() {
            Some(held) if held.token != *dead => return Ok(held.token.clone()),
            _ if self.is_given() && !self.is_replaced(dead) => {
                return Err(VaultProblem::Login(
                    "the token is not good, or may do nothing at all".to_owned(),
                ));
            }
            _ => {}
        }
        self.log_in(&mut held).await
    }

    /// When the login is to be looked after.
    pub(super) async fn due(&self) -> Option<Instant> {
        self.held.lock().await.as_ref().and_then(|held| held.lease.due())
    }

    /// Renews the login, or logs in anew, if that is due.
    pub(super) async fn renew(&self) -> Result<(), VaultProblem> {
        let mut held = self.held.lock().await;
        let Some(Held { token, lease }) = held.as_mut().filter(|held| held.lease.is_due(Instant::now()))
        else {
            return Ok(());
        };
        if lease.is_renewable() && !lease.is_over(Instant::now()) {
            match self.renewed(token, lease).await {
                Ok(Some(renewed)) => {
                    *lease = renewed;
                    return Ok(());
                }
                Err(problem) if problem.may_pass() => {
                    lease.put_off(RENEWAL_PAUSE, Instant::now());
                    return Err(problem);
                }
                // It has reached its longest life, or is revoked.
                Ok(None) | Err(_) => {}
            }
        }
        let done = self.log_in(&mut held).await;
        if let (Err(_), Some(held)) = (&done, held.as_mut()) {
            held.lease.put_off(RENEWAL_PAUSE, Instant::now());
        }
        done.map(drop)
    }

    /// Gives the login up, unless it is a token that somebody else keeps. Failing is no harm: it ends by itself.
    pub(super) async fn log_out(&self) {
        if self.is_given() {
            return;
        }
        if let Some(held) = self.held.lock().await.take() {
            let path = ["auth", "token", "revoke-self"];
            let _ = self.api.call(&path, Some(&held.token), Some(Zeroizing::new(b"{}".to_vec()))).await;
        }
    }

    async fn renewed(&self, token: &Secret, lease: &Lease) -> Result<Option<Lease>, VaultProblem> {
        let now = Instant::now();
        let path = ["auth", "token", "renew-self"];
        let answer = self.api.call(&path, Some(token), Some(Zeroizing::new(b"{}".to_vec()))).await;
        let granted = answer.and_then(|answer| answer::granted(answer, &[token.expose()]));
        self.events.vault_login(true, granted.is_ok());
        granted.map(|granted| lease.renewed(granted.lease, granted.renewable, now))
    }

    async fn log_in(&self, held: &mut Option<Held>) -> Result<Secret, VaultProblem> {
        let now = Instant::now();
        let granted = self.granted().await;
        self.events.vault_login(false, granted.is_ok());
        let Granted { token, lease, renewable } = granted?;
        let lease = Lease::new(lease, renewable, now);
        tracing::debug!(left = ?lease.left(now), renewable, "logged in to the vault");
        *held = Some(Held { token: token.clone(), lease });
        Ok(token)
    }

    async fn granted(&self) -> Result<Granted, VaultProblem> {
        match &self.settings.auth {
            VaultAuth::Token(_) => self.look_at_token().await,
            VaultAuth::AppRole { role_id, secret_id, mount } => {
                let secret_id = self.bootstrap(secret_id)?;
                let login = AppRoleLogin { role_id, secret_id: secret_id.expose() };
                self.post_login(mount, &login, &secret_id).await
            }
            VaultAuth::Kubernetes { role, jwt, mount } => {
                let jwt = self.bootstrap(&SecretRef::File(jwt.clone()))?;
                self.post_login(mount, &KubernetesLogin { role, jwt: jwt.expose() }, &jwt).await
            }
        }
    }

    async fn post_login(
        &self,
        mount: &str,
        login: &impl Serialize,
        sent: &Secret,
    ) -> Result<Granted, VaultProblem> {
        // Room for all of it at once, so that growing leaves no copies behind.
        let mut body = Zeroizing::new(Vec::with_capacity(2 * MAX_SECRET));
        serde_json::to_writer(&mut *body, login).map_err(|_| VaultProblem::Login("no JSON".to_owned()))?;
        let answer = self.api.call(&["auth", mount, "login"], None, Some(body)).await?;
        answer::granted(answer, &[sent.expose()])
    }

    /// The token that somebody else made, and what it says of itself. One that may not say is taken as it is.
    async fn look_at_token(&self) -> Result<Granted, VaultProblem> {
        let VaultAuth::Token(reference) = &self.settings.auth else {
            return Err(VaultProblem::Login("there is no token".to_owned()));
        };
        let token = self.bootstrap(reference)?;
        let Lookup { ttl, renewable } =
            self.lookup(&token).await?.unwrap_or(Lookup { ttl: 0, renewable: false });
        if ttl > 0 && !renewable {
            tracing::warn!(
                seconds = ttl,
                "the vault's token ends and cannot be renewed: put another in its place"
            );
        }
        Ok(Granted { token, lease: ttl, renewable })
    }

    async fn lookup(&self, token: &Secret) -> Result<Option<Lookup>, VaultProblem> {
        answer::lookup(self.api.call(&["auth", "token", "lookup-self"], Some(token), None).await?)
    }

    /// Whether the token is one that somebody else keeps.
    fn is_given(&self) -> bool {
        matches!(self.settings.auth, VaultAuth::Token(_))
    }

    /// Whether somebody has put another token in the place of this one.
    fn is_replaced(&self, token: &Secret) -> bool {
        let VaultAuth::Token(reference) = &self.settings.auth else { return false };
        self.bootstrap.line(reference).is_ok_and(|now| now != *token)
    }

    fn bootstrap(&self, reference: &SecretRef) -> Result<Secret, VaultProblem> {
        self.bootstrap.line(reference).map_err(|error| VaultProblem::Login(error.to_string()))
    }
}

fn read_roots(path: &Path) -> Result<Vec<u8>, VaultProblem> {
    let failed = |e: std::io::Error| VaultProblem::Setup(format!("{}: {}", path.display(), e.kind()));
    let mut pem = Vec::new();
    File::open(path).map_err(failed)?.take(MAX_ROOTS).read_to_end(&mut pem).map_err(failed)?;
    Ok(pem)
}
