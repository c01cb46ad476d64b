//! The way to one upstream, on behalf of one caller.

use super::reader::Reader;
use crate::forward::{self, ForwardError, Outbound};
use crate::gateway::Shared;
use crate::record::Visit;
use crate::refusal::Refusal;
use crate::snapshot::RouteEntry;
use crate::stage::permit::Permitted;
use crate::stage::route::bind;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use narthex_credentials::UpstreamCredential;
use narthex_identity::Caller;
use narthex_mcp::seal::Binding;
use narthex_policy::Call;
use narthex_upstreams::{Slot, Upstream};
use pingora::http::RequestHeader;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use zeroize::Zeroizing;

const NOWHERE: &str = "a way that leads nowhere";

/// Fields of a request that differ from call to call.
pub(crate) type Fields = Vec<(HeaderName, HeaderValue)>;

/// Who asks, on which route, for whatever upstream answers. Nothing of it is the client's to choose.
#[derive(Clone)]
pub(crate) struct Ways {
    pub(crate) shared: Arc<Shared>,
    /// The route that the client came by: what it is given is bound to it.
    pub(crate) door: Arc<RouteEntry>,
    pub(crate) caller: Arc<Caller>,
    /// The caller's token, to be exchanged, also once more should an upstream refuse the credential.
    token: Option<Arc<Zeroizing<String>>>,
    common: Arc<Fields>,
}

/// Where requests of one caller go, and what they carry.
#[derive(Clone)]
pub(crate) struct Link {
    ways: Ways,
    /// The way to the upstream.
    pub(crate) route: Arc<RouteEntry>,
    /// Without one, nothing can be sent.
    credential: Option<UpstreamCredential>,
    /// Keeps sessions of one caller apart: those of an older client are its own.
    pub(crate) lane: Option<Arc<str>>,
}

/// An answer whose header is read.
pub(crate) struct Heard {
    pub(crate) status: StatusCode,
    /// `Mcp-Session-Id`
    pub(crate) session: Option<HeaderValue>,
    pub(crate) reader: Reader,
}

impl Ways {
    /// For the request that is being answered.
    pub(crate) fn of(shared: &Arc<Shared>, permitted: &Permitted<'_>, visit: &Visit) -> Self {
        let identified = &permitted.routed.scanned.identified;
        Self {
            shared: Arc::clone(shared),
            door: Arc::clone(&identified.inbound.route),
            caller: Arc::clone(&identified.caller),
            token: identified.token().map(|token| Arc::new(Zeroizing::new(token.to_owned()))),
            common: Arc::new(common_fields(&identified.inbound.facts, visit)),
        }
    }

    /// For work of the gateway's own.
    pub(crate) fn own(shared: &Arc<Shared>, door: &Arc<RouteEntry>, caller: Arc<Caller>) -> Self {
        let (shared, door) = (Arc::clone(shared), Arc::clone(door));
        Self { shared, door, caller, token: None, common: Arc::default() }
    }

    /// The same for work that goes on after the request: without the caller's token.
    pub(crate) fn detached(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// The way to one upstream of the route, with a credential for it.
    ///
    /// # Errors
    /// None can be had.
    pub(crate) async fn to(&self, route: &Arc<RouteEntry>) -> Result<Link, Refusal> {
        let (source, now) = (&route.credentials, SystemTime::now());
        let token = self.token.as_ref().map(|token| token.as_str());
        let credential = match source.ready(&self.caller, token, now) {
            Some(ready) => ready,
            None => source.obtain(&self.caller, token, now).await.map_err(Refusal::Credential)?,
        };
        let (ways, route) = (self.clone(), Arc::clone(route));
        Ok(Link { ways, route, credential: Some(credential), lane: None })
    }

    /// The way to one upstream without a credential: nothing can be sent on it.
    pub(crate) fn toward(&self, route: &Arc<RouteEntry>) -> Link {
        Link { ways: self.clone(), route: Arc::clone(route), credential: None, lane: None }
    }

    /// A way that leads nowhere yet: nothing can be sent on it.
    pub(crate) fn nowhere(self) -> Link {
        let route = Arc::clone(&self.door);
        Link { ways: self, route, credential: None, lane: None }
    }

    /// Whom handles given to this caller on this route are bound to.
    pub(crate) fn binding(&self) -> Binding<'_> {
        bind(&self.door, &self.caller)
    }

    /// Whose share of what is bounded is used.
    pub(crate) fn whose(&self) -> String {
        let parts = [self.caller.tenant.as_str(), &self.caller.issuer, &self.caller.subject];
        parts.map(|part| format!("{}:{part}", part.len())).concat()
    }

    /// Whom what is kept for this caller on a merged route belongs to.
    pub(crate) fn door_owner(&self) -> String {
        self.owner_of(&[self.door.id.as_str()])
    }

    fn owner_of(&self, place: &[&str]) -> String {
        let parts = place.iter().map(|part| format!("{}:{part}", part.len()));
        self.whose() + &parts.collect::<String>()
    }

    /// Whether the caller may still call that tool: asked again whenever something of an earlier call is
    /// wanted.
    ///
    /// # Errors
    /// It may not.
    pub(crate) fn may_call(&self, tool: &str) -> Result<(), Refusal> {
        let call = Call { method: "tools/call", tool: Some(tool), name: None, counts: false };
        let permit = self.door.policy.permit(&self.caller, &[call], Instant::now());
        permit.map(drop).map_err(Refusal::Denied)
    }
}

impl Deref for Link {
    type Target = Ways;

    fn deref(&self) -> &Ways {
        &self.ways
    }
}

impl Link {
    /// For the request that is being answered.
    pub(crate) fn of(
        shared: &Arc<Shared>,
        permitted: &Permitted<'_>,
        credential: &UpstreamCredential,
        visit: &Visit,
    ) -> Self {
        let ways = Ways::of(shared, permitted, visit);
        let route = Arc::clone(&ways.door);
        Self { ways, route, credential: Some(credential.clone()), lane: None }
    }

    /// The same for work that goes on after the request: without the caller's token.
    pub(crate) fn detached(&self) -> Self {
        Self { ways: self.ways.detached(), ..self.clone() }
    }

    /// The trace that its requests belong to.
    pub(crate) fn traceparent(&self) -> Option<&str> {
        self.common.iter().find(|(name, _)| name == "traceparent").and_then(|(_, value)| value.to_str().ok())
    }

    pub(crate) fn upstream(&self) -> &Arc<Upstream> {
        &self.route.upstream
    }

    /// The variables of its credential, if the upstream is a child process.
    ///
    /// # Errors
    /// The credential is another upstream's.
    pub(crate) fn environment(&self) -> Result<Vec<(&str, &str)>, Refusal> {
        let credential = self.credential.as_ref().ok_or(Refusal::Internal(NOWHERE))?;
        credential.environment_for(&self.upstream().origin).map_err(Refusal::Credential)
    }

    /// Takes a place among the upstream's calls.
    ///
    /// # Errors
    /// It is taken for down, or saturated.
    pub(crate) fn enter(&self) -> Result<Slot, Refusal> {
        self.upstream().enter(Instant::now()).map_err(Refusal::Busy)
    }

    /// Whom what is kept for this caller belongs to: no two callers, routes or servers share one.
    pub(crate) fn owner(&self) -> String {
        let upstream = self.upstream();
        let route = self.route.id.as_str();
        self.owner_of(&[route, upstream.id.as_str(), &upstream.origin, &upstream.path])
    }

    /// Sends a message and reads the header of the answer.
    ///
    /// # Errors
    /// The upstream cannot be reached, does not answer, or accepts no credential of ours.
    pub(crate) async fn post(
        &mut self,
        fields: &Fields,
        body: String,
        replayable: bool,
    ) -> Result<Heard, Refusal> {
        self.exchange(Method::POST, None, fields, body.into(), replayable).await
    }

    /// [`Link::post`], to another path of the same origin.
    ///
    /// # Errors
    /// Likewise.
    pub(crate) async fn post_to(
        &mut self,
        path: &str,
        fields: &Fields,
        body: String,
    ) -> Result<Heard, Refusal> {
        self.exchange(Method::POST, Some(path), fields, body.into(), false).await
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// Likewise.
    pub(crate) async fn get(&mut self, fields: &Fields) -> Result<Heard, Refusal> {
        self.exchange(Method::GET, None, fields, Bytes::new(), true).await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// Likewise.
    pub(crate) async fn delete(&mut self, fields: &Fields) -> Result<Heard, Refusal> {
        self.exchange(Method::DELETE, None, fields, Bytes::new(), true).await
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: Option<&str>,
        fields: &Fields,
        body: Bytes,
        replayable: bool,
    ) -> Result<Heard, Refusal> {
        let mut renewed = false;
        loop {
            let header = self.header(&method, path, fields, &body)?;
            let request = Outbound { header, body: body.clone(), replayable };
            let connections = &self.shared.connections;
            let answer = forward::send_unwatched(self.upstream(), connections, &request).await;
            let answer = answer.map_err(Refusal::Forward)?;
            let header = answer.header().map_err(Refusal::Forward)?;
            let (status, session) = (header.status, header.headers.get("mcp-session-id").cloned());
            let content = header.headers.get(CONTENT_TYPE).cloned();
            let renews = status == StatusCode::UNAUTHORIZED && !renewed;
            let lacks = if renews { None } else { self.lacking(status, &header.headers) };
            if !renews && lacks.is_none() {
                let upstream = Arc::clone(self.upstream());
                let reader = Reader::new(Arc::clone(&self.shared), upstream, answer, content.as_ref());
                return Ok(Heard { status, session, reader });
            }
            self.shared.connections.abandon(answer.connection);
            if let Some(challenge) = lacks {
                let source = &self.route.credentials;
                let error = source.step_up(&self.caller, &challenge, SystemTime::now()).await;
                return Err(Refusal::Credential(error));
            }
            // A 401 comes before anything is done, so this is not a second execution.
            self.renew().await?;
            renewed = true;
        }
    }

    /// What the upstream wants the user to consent to besides, in its own words; `None`: it does not say so, or
    /// users have no say in it.
    fn lacking(&self, status: StatusCode, headers: &HeaderMap) -> Option<String> {
        let refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if !refused || !self.route.credentials.wants_consent() {
            return None;
        }
        let said = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenge = said.collect::<Vec<_>>().join(", ");
        challenge.contains("insufficient_scope").then_some(challenge)
    }

    /// Whether it carries the very credential that the other does.
    pub(crate) fn carries_that_of(&self, other: &Self) -> bool {
        let both = self.credential.as_ref().zip(other.credential.as_ref());
        both.is_some_and(|(one, other)| one.is_same(other))
    }

    /// Has the credential replaced, which the upstream refused.
    ///
    /// # Errors
    /// No other can be had.
    pub(crate) async fn renew(&mut self) -> Result<(), Refusal> {
        let source = &self.route.credentials;
        if !source.is_renewable() {
            return Err(Refusal::CredentialRejected { status: StatusCode::UNAUTHORIZED });
        }
        self.shared.metrics.credential_renewed(self.upstream().id.as_str());
        let token = self.token.as_ref().map(|token| token.as_str());
        let Some(rejected) = &self.credential else { return Err(Refusal::Internal(NOWHERE)) };
        let renewed = source.renew(rejected, &self.caller, token, SystemTime::now()).await;
        self.credential = Some(renewed.map_err(Refusal::Credential)?);
        Ok(())
    }

    fn header(
        &self,
        method: &Method,
        path: Option<&str>,
        fields: &Fields,
        body: &Bytes,
    ) -> Result<RequestHeader, Refusal> {
        let internal = |_| Refusal::Internal("cannot build the upstream's request");
        let mut header = self.route.post.as_ref().clone();
        if *method == Method::POST {
            header.insert_header(CONTENT_LENGTH, body.len()).map_err(internal)?;
        } else {
            header.remove_header(&CONTENT_TYPE);
            header.set_method(method.clone());
        }
        if *method == Method::GET {
            let events = HeaderValue::from_static("text/event-stream");
            header.insert_header(ACCEPT, events).map_err(internal)?;
        }
        if let Some(path) = path {
            header.set_raw_path(path.as_bytes()).map_err(internal)?;
        }
        for (name, value) in self.common.iter().chain(fields) {
            header.insert_header(name.clone(), value.clone()).map_err(internal)?;
        }
        let credential = self.credential.as_ref().ok_or(Refusal::Internal(NOWHERE))?;
        forward::authorize(&mut header, body, self.upstream(), credential, SystemTime::now())?;
        Ok(header)
    }
}

/// What all requests on behalf of the client's one carry, to be found by.
fn common_fields(facts: &crate::facts::Facts, visit: &Visit) -> Fields {
    let mut fields = vec![(HeaderName::from_static("x-request-id"), visit.request_id.value().clone())];
    if let Some(parent) = &visit.traceparent {
        fields.push((HeaderName::from_static("traceparent"), parent.clone()));
        if let Some(state) = facts.tracestate_of(parent) {
            fields.push((HeaderName::from_static("tracestate"), state.clone()));
        }
    }
    fields
}

impl Heard {
    /// What the status says when there is no message to say it.
    pub(crate) fn refusal(&self) -> Refusal {
        let status = self.status;
        match status.as_u16() {
            300..=399 => Refusal::UpstreamRedirect { status },
            401 | 403 => Refusal::CredentialRejected { status },
            _ => Refusal::UpstreamError { status },
        }
    }
}

/// Whether the failure says that the server is not there.
pub(crate) fn is_outage(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::Forward(error) => !matches!(error, ForwardError::ClientGone),
        Refusal::UpstreamError { status } => matches!(status.as_u16(), 502..=504),
        _ => false,
    }
}

/// Tells the breaker how a call went.
pub(crate) fn report<T>(slot: &mut Slot, outcome: &Result<T, Refusal>) {
    match outcome {
        Err(refusal) if is_outage(refusal) => slot.passage.failed(Instant::now()),
        _ => slot.passage.succeeded(),
    }
}
