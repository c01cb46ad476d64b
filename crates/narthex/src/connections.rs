//! What users connect, as the pages of the gateway's own authority see it.

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use bytes::Bytes;
use narthex_authority::connections::{ConnectProblem, Connection, Connections, Ticket};
use narthex_authority::login::User;
use narthex_config::Config;
use narthex_config::model::{Credential, TenantId, UpstreamId};
use narthex_credentials::{ConnectError, Connected, Credentials, Offered, Visitor, client_document};
use narthex_proxy::{Content, Document};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;
use url::Url;

/// The connections of the configuration in use. The same over all reloads.
#[derive(Default)]
pub(crate) struct Desk {
    current: ArcSwapOption<Current>,
    next: Mutex<Option<Current>>,
}

/// What one configuration says of them.
pub(crate) struct Current {
    credentials: Arc<Credentials>,
    /// What the users of each tenant may connect: the upstreams of its routes.
    tenants: HashMap<TenantId, Vec<UpstreamId>>,
}

// === impl Current ===

impl Current {
    pub(crate) fn new(config: &Config, credentials: Arc<Credentials>) -> Self {
        let tenants = config.tenants.keys().map(|id| (id.clone(), connectable(config, id)));
        Self { credentials, tenants: tenants.collect() }
    }

    fn may_connect(&self, user: &User, upstream: &UpstreamId) -> Result<(), ConnectProblem> {
        let known = self.tenants.get(&user.tenant).is_some_and(|upstreams| upstreams.contains(upstream));
        if known { Ok(()) } else { Err(ConnectProblem::Unknown) }
    }
}

/// The upstreams that the users of a tenant connect, each once.
fn connectable(config: &Config, tenant: &TenantId) -> Vec<UpstreamId> {
    let granted = config.tenants.get(tenant).into_iter().flat_map(|tenant| &tenant.routes);
    let used =
        granted.filter_map(|route| config.routes.get(route)).flat_map(|route| route.target.upstreams());
    let used: Vec<&UpstreamId> = used.collect();
    let connected = config.upstreams.iter().filter(|(id, upstream)| {
        matches!(upstream.credential, Credential::AuthorizationCode(_)) && used.contains(id)
    });
    connected.map(|(id, _)| id.clone()).collect()
}

/// The gateway's client metadata document, if an upstream's authorization server may want it.
pub(crate) fn document(config: &Config) -> Option<Document> {
    let wants = |credential: &Credential| match credential {
        Credential::AuthorizationCode(code) => code.client.is_none() && code.metadata_document,
        _ => false,
    };
    let public_url = &config.server.public_url;
    let wanted = config.upstreams.values().any(|upstream| wants(&upstream.credential));
    let (path, body) = client_document(&public_url.url).filter(|_| wanted)?;
    Some(Document {
        path: format!("{}{path}", public_url.path),
        content_type: "application/json",
        body: Content::Fixed(Bytes::from(body)),
    })
}

// === impl Desk ===

impl Desk {
    /// What is to be seen once the configuration that says so is in use.
    pub(crate) fn prepare(&self, next: Current) {
        *self.next.lock() = Some(next);
    }

    /// Forgets what was prepared: its configuration is not to be used.
    pub(crate) fn discard(&self) {
        *self.next.lock() = None;
    }

    /// Has the pages see what was prepared last.
    pub(crate) fn take_up(&self) {
        if let Some(next) = self.next.lock().take() {
            self.current.store(Some(Arc::new(next)));
        }
    }

    fn current(&self) -> Result<Arc<Current>, ConnectProblem> {
        self.current
            .load_full()
            .ok_or_else(|| ConnectProblem::Internal("nothing is configured yet".to_owned()))
    }
}

#[async_trait]
impl Connections for Desk {
    async fn list(&self, user: &User, _now: SystemTime) -> Result<Vec<Connection>, ConnectProblem> {
        let current = self.current()?;
        let mut all = Vec::new();
        for upstream in current.tenants.get(&user.tenant).into_iter().flatten() {
            let connected = current.credentials.connection(&visitor(user), upstream).await;
            all.push(connection(connected.map_err(problem)?));
        }
        Ok(all)
    }

    async fn look(&self, user: &User, ticket: &str, now: SystemTime) -> Result<Ticket, ConnectProblem> {
        let current = self.current()?;
        let offered = current.credentials.look(&visitor(user), ticket, now).await.map_err(problem)?;
        current.may_connect(user, &offered.upstream)?;
        Ok(shown(offered))
    }

    async fn begin(
        &self,
        user: &User,
        browser: &str,
        ticket: &str,
        now: SystemTime,
    ) -> Result<Url, ConnectProblem> {
        let current = self.current()?;
        let offered = current.credentials.look(&visitor(user), ticket, now).await.map_err(problem)?;
        current.may_connect(user, &offered.upstream)?;
        current.credentials.begin(&visitor(user), browser, ticket, now).await.map_err(problem)
    }

    async fn offer(&self, user: &User, upstream: &str, now: SystemTime) -> Result<String, ConnectProblem> {
        let (current, upstream) = (self.current()?, UpstreamId::from(upstream));
        current.may_connect(user, &upstream)?;
        current.credentials.offer(&visitor(user), &upstream, now).await.map_err(problem)
    }

    async fn finish(
        &self,
        user: &User,
        browser: &str,
        params: &[(String, String)],
        now: SystemTime,
    ) -> Result<Connection, ConnectProblem> {
        let current = self.current()?;
        let finished = current.credentials.finish(&visitor(user), browser, params, now).await;
        finished.map(connection).map_err(problem)
    }

    async fn revoke(&self, user: &User, upstream: &str, now: SystemTime) -> Result<(), ConnectProblem> {
        let (current, upstream) = (self.current()?, UpstreamId::from(upstream));
        current.may_connect(user, &upstream)?;
        current.credentials.revoke(&visitor(user), &upstream, now).await.map_err(problem)
    }
}

fn visitor(user: &User) -> Visitor<'_> {
    Visitor {
        tenant: &user.tenant,
        subject: &user.subject,
        provider_issuer: &user.provider_issuer,
        provider_subject: &user.provider_subject,
    }
}

fn connection(connected: Connected) -> Connection {
    Connection {
        upstream: connected.upstream.as_str().to_owned(),
        title: connected.title.to_string(),
        host: connected.host,
        scopes: connected.scopes,
        connected_at: connected.connected_at,
        expires: connected.expires,
    }
}

fn shown(offered: Offered) -> Ticket {
    Ticket {
        upstream: offered.upstream.as_str().to_owned(),
        title: offered.title.to_string(),
        host: offered.host,
        authorization_host: offered.authorization_host,
        scopes: offered.scopes,
        expires: offered.expires,
    }
}

fn problem(error: ConnectError) -> ConnectProblem {
    match error {
        ConnectError::NotYours => ConnectProblem::NotYours,
        ConnectError::Expired => ConnectProblem::Expired,
        ConnectError::Refused(why) => ConnectProblem::Refused(why),
        ConnectError::Unreachable(why) => ConnectProblem::Unreachable(why),
        ConnectError::Unknown => ConnectProblem::Unknown,
        ConnectError::Internal(why) => ConnectProblem::Internal(why),
        other => ConnectProblem::Internal(other.to_string()),
    }
}
