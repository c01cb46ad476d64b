//! Asking the user of an older client to connect an upstream.

use super::legacy::{Ended, Front};
use super::live::LiveSession;
use super::log::{Keep, STANDALONE};
use super::{Out, standalone};
use crate::bridge::merge::connect::{Wanted, Words, note_asked};
use narthex_mcp::Revision;
use narthex_mcp::bridge::Object;
use narthex_mcp::bridge::message;
use narthex_mcp::federation::connect::{Invitation, complete};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long a link is good for, about: nobody waits any longer for what comes of it.
const GOOD_FOR: Duration = Duration::from_secs(15 * 60);
/// Links of one session that somebody waits for.
const MOST: usize = 16;

impl Front {
    /// Asks the user. What the client's request is answered with, which was not made: a client of 2025-11-25 that can
    /// have its user open a page is told by an error, any other in words.
    pub(super) fn ask_user(
        &self,
        id: &str,
        method: &str,
        params: &Object,
        wanted: &Wanted,
        out: &mut Out<'_>,
    ) -> Ended {
        if let Some(invitation) = wanted.invitation().filter(|invitation| self.opens_pages(invitation)) {
            note_asked(&self.link, wanted, "url_elicitation_required", out.visit);
            self.tell_when_complete(wanted, invitation.id.as_str().into());
            return Ended::Said(message::error(id, &invitation.required()));
        }
        // A task is created or not, and has no result yet.
        let words = wanted.in_words(method == "tools/call" && !params.has("task"));
        note_asked(&self.link, wanted, words.how(), out.visit);
        Ended::Said(match words {
            Words::Result(result) => message::result(id, &result),
            Words::Error(error) => message::error(id, &error),
        })
    }

    /// Whether the client said that its user can be sent to a page (2025-11-25, client/elicitation).
    fn opens_pages(&self, invitation: &Invitation) -> bool {
        let (opened, ask) = (&self.live.opened, invitation.ask());
        opened.revision == Revision::V2025_11_25 && opened.declared.may_ask(&ask.method, &ask.params)
    }

    /// Has the client told when the user has done what is asked for (2025-11-25, client/elicitation).
    fn tell_when_complete(&self, wanted: &Wanted, id: Arc<str>) {
        let mut elicited = self.live.elicited.lock();
        elicited.retain(|_, task| !task.is_finished());
        if elicited.contains_key(&id) || elicited.len() >= MOST {
            return;
        }
        let keep = Keep { events: self.bounds.events, bytes: self.bounds.event_bytes };
        let (live, ways) = (Arc::downgrade(&self.live), self.link.detached());
        let (member, until) = (Arc::clone(&wanted.member), ways.caller.expires);
        let mut connection = member.connection(&ways);
        let told = Arc::clone(&id);
        let waiting = async move {
            loop {
                connection.changed().await;
                if member.is_connected(&ways).await {
                    return tell(&live, &told, keep);
                }
            }
        };
        let waiting = async { drop(tokio::time::timeout(GOOD_FOR, waiting).await) };
        elicited.insert(id, tokio::spawn(standalone::within(until, waiting)).abort_handle());
    }
}

fn tell(live: &Weak<LiveSession>, id: &str, keep: Keep) {
    let Some(live) = live.upgrade() else { return };
    let told = message::notification("notifications/elicitation/complete", &complete(id));
    live.logs.append(STANDALONE, &told, keep);
}
