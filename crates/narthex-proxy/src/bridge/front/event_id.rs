//! Ids of events: good for one caller, on one route, in one session.

use super::Out;
use super::live::LiveSession;
use crate::bridge::link::Ways;
use crate::refusal::Refusal;
use crate::stage::inspect::SESSION_LIFETIME;
use narthex_mcp::seal::Purpose;
use std::time::{Duration, SystemTime};

/// The `id` of an event. `None`: it cannot be sealed, and not be resumed from.
pub(super) fn seal(
    live: &LiveSession,
    ways: &Ways,
    stream: u64,
    number: u64,
    out: &Out<'_>,
) -> Option<String> {
    let (session, node) = (&live.opened.id, &ways.shared.bridge.node);
    let payload = format!("{session} {node} {} {stream} {number} {}", live.life, seconds(out.visit.now));
    let binding = ways.binding();
    let expires = out.visit.now + SESSION_LIFETIME;
    out.visit.snapshot.sealer.seal(Purpose::EventId, &binding, payload.as_bytes(), expires).ok()
}

/// Stream and number of an event of this session.
///
/// # Errors
/// It is none, or another node sent it. That node is sent to for as long as `patience`: it may be gone.
pub(super) fn open(
    id: &str,
    live: &LiveSession,
    ways: &Ways,
    patience: Duration,
    out: &Out<'_>,
) -> Result<(u64, u64), Refusal> {
    let binding = ways.binding();
    let (sealer, now) = (&out.visit.snapshot.sealer, out.visit.now);
    let payload = sealer.open(Purpose::EventId, &binding, id, now).map_err(|_| Refusal::EventGone)?;
    let text = String::from_utf8(payload).map_err(|_| Refusal::EventGone)?;
    let parts: Vec<&str> = text.split(' ').collect();
    let [session, node, life, stream, number, sent] = parts[..] else { return Err(Refusal::EventGone) };
    if session != live.opened.id {
        return Err(Refusal::EventGone);
    }
    let number_of = |part: &str| part.parse::<u64>().map_err(|_| Refusal::EventGone);
    if node != &*ways.shared.bridge.node {
        let recent = seconds(now) < number_of(sent)?.saturating_add(patience.as_secs());
        return Err(if recent { Refusal::HeldElsewhere } else { Refusal::EventGone });
    }
    if number_of(life)? != live.life {
        return Err(Refusal::EventGone);
    }
    Ok((number_of(stream)?, number_of(number)?))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
