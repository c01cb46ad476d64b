//! Asking the user of a 2026-07-28 client to connect an upstream (basic/patterns/mrtr, client/elicitation).

use super::Door;
use crate::bridge::front::Out;
use crate::bridge::front::modern::Request;
use crate::bridge::merge::connect::{self, Wanted, Words};
use crate::bridge::merge::connection::Connection;
use crate::bridge::merge::parts::{server_info, signed};
use crate::bridge::merge::route::Member;
use crate::refusal::Refusal;
use http::StatusCode;
use narthex_mcp::bridge::ask::{self, Asked};
use narthex_mcp::bridge::message::{self, RpcError};
use narthex_mcp::bridge::{Object, params};
use narthex_mcp::federation::connect::{KEY, ROUNDS, Reply, Waiting, connected, declined, reply, said};
use narthex_mcp::{request_state, rpc, seal};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout_at};

/// How long a client that has opened the page is kept waiting before it is asked again: less than its SDK waits for
/// an answer.
const PATIENCE: Duration = Duration::from_secs(45);

impl Door {
    /// A request that one upstream has to answer, where users have to connect some of them.
    pub(super) async fn call_for_user(
        &self,
        mut request: Request,
        state: Option<&str>,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        let Ok(responses) = ask::responses(&request.params) else {
            let error = RpcError::new(rpc::INVALID_PARAMS, "inputResponses must be an object of results");
            return self.fail(&request, StatusCode::BAD_REQUEST, &error, out).await;
        };
        let Some(waiting) = state.filter(|state| Waiting::is_in(state)) else {
            let Some(wanted) = self.attempt(request.clone(), state, out).await? else { return Ok(()) };
            let waiting = Waiting { state: state.map(str::to_owned), responses, ..Waiting::default() };
            return self.ask(&request, &wanted, waiting, out).await;
        };
        // It was sealed by us, for a route that may have been another then.
        let foreign = || Refusal::RequestState(seal::HandleError::Foreign);
        let waiting = Waiting::parse(waiting).ok_or_else(foreign)?;
        let member = self.merged.member(&waiting.upstream.as_str().into()).ok_or_else(foreign)?;
        let reply = reply(&responses);
        if reply == Reply::Declined {
            connect::note_refused(&self.ways, "consent_declined", out.visit);
            let words = connect::words(&declined(member.id.as_str()), request.method == "tools/call");
            return self.say(&request, words, out).await;
        }
        request.params = params::retry(&request.params, &waiting.responses, None);
        let opened = reply == Reply::Accepted;
        self.go_on(request, &member, waiting, opened, out).await
    }

    /// Goes on with a call, once the user has connected the upstream. `opened`: the user has opened the page.
    async fn go_on(
        &self,
        request: Request,
        member: &Arc<Member>,
        waiting: Waiting,
        opened: bool,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        // Before it is tried: what changes while it is tried is heard.
        let mut connection = Connection::to(member, &self.ways);
        let until = Instant::now() + PATIENCE.min(self.bounds.room.patience);
        let (connecting, whose) = (&self.ways.shared.bridge.connecting, self.ways.whose());
        let place = if opened { connecting.take(&whose, self.bounds.room) } else { None };
        loop {
            let wanted = if waiting.tool {
                self.connect(&request, member, out).await?
            } else {
                self.attempt(request.clone(), waiting.state.as_deref(), out).await?
            };
            let Some(wanted) = wanted else { return Ok(()) };
            // Consent is given on the page, and what the client says of it is only that the page was opened.
            let waits =
                place.is_some() && wanted.member.id == member.id && wanted.refusal.consent().is_some();
            let until = if waits { until } else { Instant::now() };
            match out.wait_for(pin!(timeout_at(until, connection.changed()))).await? {
                None => return Ok(()),
                Some(Ok(())) => {}
                Some(Err(_elapsed)) => return self.ask(&request, &wanted, waiting, out).await,
            }
        }
    }

    /// A call of the tool that connects that member, whatever the member itself calls so.
    async fn connect(
        &self,
        request: &Request,
        member: &Arc<Member>,
        out: &mut Out<'_>,
    ) -> Result<Option<Wanted>, Refusal> {
        let catalogues = &self.ways.shared.bridge.catalogues;
        let catalogue = catalogues.get(&self.ways, &self.merged, member, self.bounds).await?;
        match connect::look(&self.ways, member, &catalogue).await {
            Ok(()) => self.say_connected(request, member, out).await,
            Err(refusal) if refusal.is_up_to_user() => {
                Ok(Some(Wanted { member: Arc::clone(member), refusal, tool: true }))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Asks the user, in the way that the client offers.
    async fn ask(
        &self,
        request: &Request,
        wanted: &Wanted,
        waiting: Waiting,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        if let Some(asked) = self.question(request, wanted, waiting)? {
            connect::note_asked(&self.ways, wanted, "input_required", out.visit);
            return self.complete(request, asked.to_result(), out).await;
        }
        let words = wanted.in_words(request.method == "tools/call");
        connect::note_asked(&self.ways, wanted, words.how(), out.visit);
        self.say(request, words, out).await
    }

    /// The question, if the client can be asked it, or be asked again.
    fn question(
        &self,
        request: &Request,
        wanted: &Wanted,
        waiting: Waiting,
    ) -> Result<Option<Asked>, Refusal> {
        let Some(invitation) = wanted.invitation() else { return Ok(None) };
        let question = invitation.ask();
        let may_ask = request_state::may_ask(&request.method)
            && request.declared.may_ask(&question.method, &question.params);
        if !may_ask || waiting.round >= ROUNDS {
            return Ok(None);
        }
        let (upstream, round) = (wanted.member.id.to_string(), waiting.round + 1);
        let waiting = Waiting { upstream, round, tool: wanted.tool, ..waiting };
        let name = request.named().unwrap_or_default();
        let what = request_state::Asked { method: &request.method, name: &name };
        let (sealer, binding) = (&self.sealer, self.ways.binding());
        match request_state::seal(sealer, &binding, what, &waiting.to_state(), SystemTime::now()) {
            Ok(state) => Ok(Some(Asked { asks: vec![(KEY.to_owned(), question)], state: Some(state) })),
            // With what the client had answered before, there may be too much to be kept.
            Err(seal::SealError::TooLong) => Ok(None),
            Err(_) => Err(Refusal::Internal("cannot seal a state")),
        }
    }

    pub(super) async fn say_connected(
        &self,
        request: &Request,
        member: &Member,
        out: &mut Out<'_>,
    ) -> Result<Option<Wanted>, Refusal> {
        let words = Words::Result(said(&connected(member.id.as_str()), false));
        self.say(request, words, out).await.map(|()| None)
    }

    async fn say(&self, request: &Request, words: Words, out: &mut Out<'_>) -> Result<(), Refusal> {
        match words {
            Words::Error(error) => self.fail(request, StatusCode::OK, &error, out).await,
            Words::Result(mut result) => {
                result.set_string("resultType", "complete");
                self.complete(request, result, out).await
            }
        }
    }

    /// Sends a result of the gateway's own.
    async fn complete(
        &self,
        request: &Request,
        mut result: Object,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        let meta = signed(server_info(&self.merged).as_ref());
        if !meta.is_empty() {
            result.set_object("_meta", &meta);
        }
        out.last(StatusCode::OK, None, message::result(&request.id, &result)).await
    }
}
