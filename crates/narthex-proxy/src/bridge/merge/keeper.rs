//! Keeping one upstream's catalogue: read at first, when the upstream says that it has changed, and when it has
//! become too old; and again and again while the upstream cannot be reached.

use super::catalogue::Catalogue;
use super::content::List;
use super::fetch::Server;
use super::route::Member;
use crate::bridge::enter::Bounds;
use crate::bridge::legacy::Listening;
use crate::bridge::link::{Link, report};
use crate::bridge::modern;
use crate::refusal::Refusal;
use narthex_mcp::bridge::listen::Filter;
use narthex_mcp::bridge::message::Incoming;
use narthex_mcp::federation::cursor::Kind;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// Waits before an upstream that cannot be reached is asked again: at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));
/// Changes that come so close together are one.
const TOGETHER: Duration = Duration::from_millis(100);
/// How often is looked whether a list has become too old.
const TICK: Duration = Duration::from_millis(500);
/// A stream of changes that breaks sooner is not opened again at once.
const STEADY: Duration = Duration::from_secs(5);

/// Keeps the catalogue for as long as anybody has it.
pub(super) async fn keep(catalogue: Weak<Catalogue>, member: Option<Arc<Member>>, bounds: Bounds) {
    let Some(poke) = catalogue.upgrade().map(|catalogue| Arc::clone(&catalogue.poke)) else { return };
    let mut wait = BACKOFF.0;
    loop {
        let begun = Instant::now();
        match read(&catalogue, member.as_deref(), bounds).await {
            Some(Ok((server, link))) => attend(&catalogue, &server, link).await,
            Some(Err(refusal)) => {
                let Some(catalogue) = catalogue.upgrade() else { return };
                catalogue.fail(refusal.reason());
            }
            None => return,
        }
        if begun.elapsed() > STEADY {
            wait = BACKOFF.0;
        }
        // Somebody may know that the upstream is back, and always waits the least.
        sleep(BACKOFF.0).await;
        let _ = timeout(wait.saturating_sub(BACKOFF.0), poke.notified()).await;
        wait = (wait * 2).min(BACKOFF.1);
    }
}

/// Reads all lists; `None`: nobody has the catalogue any more.
async fn read(
    catalogue: &Weak<Catalogue>,
    member: Option<&Member>,
    bounds: Bounds,
) -> Option<Result<(Server, Link), Refusal>> {
    let catalogue = catalogue.upgrade()?;
    Some(match way(&catalogue, member).await {
        Ok(mut link) => read_all(&catalogue, &mut link, bounds).await.map(|server| (server, link)),
        Err(refusal) => Err(refusal),
    })
}

/// The way to ask: of the gateway's own, a new one each time, as credentials expire and endpoints fail.
async fn way(catalogue: &Catalogue, member: Option<&Member>) -> Result<Link, Refusal> {
    let link = catalogue.link();
    match member.filter(|member| !member.is_per_caller()) {
        None => Ok(link),
        Some(member) => {
            let link = link.to(member.endpoint(Instant::now())).await?;
            catalogue.set_link(link.clone());
            Ok(link)
        }
    }
}

async fn read_all(catalogue: &Catalogue, link: &mut Link, bounds: Bounds) -> Result<Server, Refusal> {
    let mut slot = link.enter()?;
    let met = Server::meet(link, bounds).await;
    report(&mut slot, &met);
    let mut server = met?;
    let mut lists = read_lists(&server, link, &Kind::ALL).await;
    if lists.is_err() && server.has_forgotten() {
        // The session was opened before it restarted.
        server = Server::meet(link, bounds).await?;
        lists = read_lists(&server, link, &Kind::ALL).await;
    }
    let lists = lists?;
    publish(catalogue, &server, lists, false);
    Ok(server)
}

async fn read_lists(server: &Server, link: &mut Link, kinds: &[Kind]) -> Result<Vec<(Kind, List)>, Refusal> {
    let mut lists = Vec::with_capacity(kinds.len());
    for kind in kinds {
        lists.push((*kind, server.list(link, *kind).await?));
    }
    Ok(lists)
}

fn publish(catalogue: &Catalogue, server: &Server, lists: Vec<(Kind, List)>, told: bool) {
    catalogue.publish(|content| Some(content.with(server.account(), lists, told)));
}

/// Hears of changes, and reads what has changed or become too old, until the upstream cannot be heard any more.
async fn attend(weak: &Weak<Catalogue>, server: &Server, mut link: Link) {
    let Ok(mut ears) = Ears::open(server, &mut link).await else { return };
    let since = Instant::now();
    loop {
        let (due, told) = match next(weak, server, &mut ears, since).await {
            Next::Told(kinds) => (kinds, true),
            Next::Read(kinds) => (kinds, false),
            Next::Lost => return,
        };
        let Some(catalogue) = weak.upgrade() else { return };
        match read_lists(server, &mut link, &due).await {
            Ok(lists) => publish(&catalogue, server, lists, told),
            Err(refusal) => return catalogue.fail(refusal.reason()),
        }
    }
}

enum Next {
    /// The upstream says that these have changed.
    Told(Vec<Kind>),
    /// It is time to read these again.
    Read(Vec<Kind>),
    /// The upstream cannot be heard any more, or nobody wants to know.
    Lost,
}

async fn next(weak: &Weak<Catalogue>, server: &Server, ears: &mut Ears, since: Instant) -> Next {
    loop {
        let Some(catalogue) = weak.upgrade() else { return Next::Lost };
        tokio::select! {
            heard = ears.next() => return match heard {
                Some(first) => gather(first, ears).await,
                None => Next::Lost,
            },
            () = catalogue.poke.notified() => return Next::Read(Kind::ALL.to_vec()),
            () = sleep(TICK) => {
                let due = due(&catalogue, server, ears, since);
                if !due.is_empty() {
                    return Next::Read(due);
                }
            }
        }
    }
}

/// Waits for what comes close after a first change.
async fn gather(first: Vec<Kind>, ears: &mut Ears) -> Next {
    let mut kinds = first;
    let until = tokio::time::Instant::now() + TOGETHER;
    while let Ok(heard) = tokio::time::timeout_at(until, ears.next()).await {
        let Some(more) = heard else { return Next::Lost };
        kinds.extend(more);
    }
    Next::Told(Kind::ALL.into_iter().filter(|kind| kinds.contains(kind)).collect())
}

/// The lists that are too old, if anybody has asked for them lately: of those of which the upstream would have
/// told, none is.
fn due(catalogue: &Catalogue, server: &Server, ears: &Ears, since: Instant) -> Vec<Kind> {
    let (content, now) = (catalogue.content(), Instant::now());
    let is_due = |kind: &Kind| {
        let watched = (ears.is_open() && server.tells_of(*kind)).then_some(since);
        let list = content.list(*kind);
        list.is_some_and(|list| is_due(list, watched, catalogue.idle(), now))
    };
    Kind::ALL.into_iter().filter(is_due).collect()
}

/// Whether a list is to be read again, of whose changes the upstream has told since `watched`. What was read
/// before that may have changed unheard.
fn is_due(list: &List, watched: Option<Instant>, idle: Duration, now: Instant) -> bool {
    let told = watched.is_some_and(|since| list.read >= since);
    !told && list.is_stale(now) && idle <= list.ttl
}

/// Where changes are heard from.
enum Ears {
    Modern(Box<modern::Stream>),
    Legacy(Listening),
    /// The upstream does not tell.
    Deaf,
}

impl Ears {
    async fn open(server: &Server, link: &mut Link) -> Result<Self, Refusal> {
        let all = Filter { tools: true, prompts: true, resources: true, ..Filter::default() };
        let wanted = all.within(&server.account());
        if wanted.is_empty() {
            return Ok(Self::Deaf);
        }
        match server {
            Server::Modern(_) => match modern::listen(link, &super::fetch::ours(link), &wanted).await {
                Ok(stream) => Ok(Self::Modern(Box::new(stream))),
                // One that answers, but not so, is asked from time to time.
                Err(Refusal::UpstreamError { .. }) => Ok(Self::Deaf),
                Err(refusal) => Err(refusal),
            },
            Server::Legacy(session) => {
                let listening = Listening::begin(session, link.detached(), &wanted).await;
                let hears = !listening.filter.is_empty();
                Ok(if hears { Self::Legacy(listening) } else { Self::Deaf })
            }
        }
    }

    fn is_open(&self) -> bool {
        !matches!(self, Self::Deaf)
    }

    /// The lists that have changed; `None`: nothing more will be heard. Dropping the future loses nothing.
    async fn next(&mut self) -> Option<Vec<Kind>> {
        loop {
            let method = match self {
                Self::Deaf => std::future::pending().await,
                Self::Legacy(listening) => listening.next().await?.0,
                Self::Modern(stream) => match stream.reader.next().await {
                    Ok(Some(Incoming::Notification { method, .. })) => method,
                    Ok(Some(_)) | Ok(None) | Err(_) => return None,
                },
            };
            match method.as_str() {
                "notifications/tools/list_changed" => return Some(vec![Kind::Tools]),
                "notifications/prompts/list_changed" => return Some(vec![Kind::Prompts]),
                "notifications/resources/list_changed" => {
                    return Some(vec![Kind::Resources, Kind::Templates]);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_was_read_before_its_changes_were_heard_of_is_read_once_more() {
        let (ttl, begun) = (Duration::from_secs(60), Instant::now());
        let list = List::new(Kind::Tools, [], ttl, false, true, begun);
        let is_due = |watched, idle, now| is_due(&list, watched, Duration::from_secs(idle), begun + now);
        assert!(!is_due(None, 0, ttl / 2), "it is not old");
        assert!(is_due(None, 0, ttl));
        assert!(!is_due(None, 61, ttl), "nobody asks for it");
        assert!(!is_due(Some(begun), 0, ttl), "its changes would have been heard");
        assert!(is_due(Some(begun + Duration::from_millis(1)), 0, ttl), "one may have been missed");
    }

    #[tokio::test]
    async fn a_catalogue_that_nobody_has_is_not_kept() {
        let nobody: Weak<Catalogue> = Weak::new();
        let bounds = Bounds::of(&narthex_config::model::HttpLimits::default());
        // It ends at once, or the test would not.
        keep(nobody, None, bounds).await;
    }
}
