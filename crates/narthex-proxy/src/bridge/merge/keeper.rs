//! Keeping one upstream's catalogue: read at first, when the upstream says that it has changed, and when it has
//! become too old; and again and again while the upstream cannot be reached.

use super::catalogue::Catalogue;
use super::connection::Connection;
use super::content::List;
use super::fetch::Server;
use super::route::Member;
use crate::bridge::enter::Bounds;
use crate::bridge::legacy::Listening;
use crate::bridge::link::{Link, is_outage, report};
use crate::bridge::modern;
use crate::refusal::Refusal;
use narthex_mcp::bridge::listen::Filter;
use narthex_mcp::bridge::message::Incoming;
use narthex_mcp::federation::cursor::Kind;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Waits before an upstream that cannot be reached is asked again: at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));
/// The wait after which somebody who wants to know has it asked again at once.
const POKED: Duration = Duration::from_secs(2);
/// Changes that come so close together are one: at first, and of an upstream that does not stop.
const TOGETHER: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// A change that comes so long after what was gathered last is the first of its own.
const CALM: Duration = Duration::from_millis(500);
/// How often is looked whether a list has become too old.
const TICK: Duration = Duration::from_millis(500);
/// Endpoints of one upstream that are tried one after the other.
const TRIES: usize = 3;
/// A stream of changes that breaks sooner is not opened again at once.
const STEADY: Duration = Duration::from_secs(5);

/// What is kept.
#[derive(Clone, Copy)]
struct Keeps {
    /// One caller's, with that caller's credential.
    is_per_caller: bool,
    /// The caller's credential is the gateway's to renew.
    wants_consent: bool,
    /// It can be had from more than one endpoint.
    has_others: bool,
}

/// Keeps the catalogue for as long as anybody has it.
pub(super) async fn keep(catalogue: Weak<Catalogue>, member: Option<Arc<Member>>, bounds: Bounds) {
    let mut wait = BACKOFF.0;
    let Some(mut connection) = catalogue.upgrade().map(|catalogue| catalogue.connection()) else { return };
    let keeps = Keeps {
        wants_consent: member.as_ref().is_some_and(|member| member.wants_consent()),
        is_per_caller: member.as_ref().is_none_or(|member| member.is_per_caller()),
        has_others: member.as_ref().is_some_and(|member| member.endpoints() > 1),
    };
    loop {
        let begun = Instant::now();
        match read(&catalogue, member.as_deref(), bounds).await {
            Some(Ok((server, link))) => {
                if attend(&catalogue, &server, link, keeps, &mut connection).await {
                    // What was opened for the old connection is not for the new one.
                    drop(server);
                    let Some(catalogue) = catalogue.upgrade() else { return };
                    catalogue.end_sessions();
                    continue;
                }
            }
            Some(Err(refusal)) => {
                let Some(known) = catalogue.upgrade() else { return };
                known.fail(&refusal);
                if refusal.consent().is_some() {
                    known.end_sessions();
                    drop(known);
                    rest(&catalogue, &mut connection).await;
                    continue;
                }
            }
            None => return,
        }
        if begun.elapsed() > STEADY {
            wait = BACKOFF.0;
        }
        pause(&catalogue, wait, &mut connection).await;
        wait = (wait * 2).min(BACKOFF.1);
    }
}

/// Waits until the caller has connected the upstream, or somebody wants to know whether that is so.
async fn rest(weak: &Weak<Catalogue>, connection: &mut Connection) {
    // Whoever wants to know may want to often, but not whoever knows.
    let mut is_calm = false;
    loop {
        let Some(catalogue) = weak.upgrade() else { return };
        tokio::select! {
            () = connection.changed() => return,
            () = catalogue.reconnect.notified() => return,
            () = catalogue.poke.notified(), if is_calm => return,
            () = sleep(POKED) => is_calm = true,
        }
    }
}

/// Waits; not as long if somebody wants to know.
async fn pause(weak: &Weak<Catalogue>, wait: Duration, connection: &mut Connection) {
    let until = tokio::time::Instant::now() + wait;
    tokio::select! {
        () = sleep(wait.min(POKED)) => {}
        () = connection.changed() => return,
    }
    while tokio::time::Instant::now() < until {
        let Some(catalogue) = weak.upgrade() else { return };
        tokio::select! {
            () = catalogue.poke.notified() => return,
            () = connection.changed() => return,
            () = tokio::time::sleep_until(until) => {}
            () = sleep(TICK) => {}
        }
    }
}

/// Reads all lists; `None`: nobody has the catalogue any more.
async fn read(
    catalogue: &Weak<Catalogue>,
    member: Option<&Member>,
    bounds: Bounds,
) -> Option<Result<(Server, Link), Refusal>> {
    let catalogue = catalogue.upgrade()?;
    let mut tries = member.map_or(1, Member::endpoints).min(TRIES);
    loop {
        let read = match way(&catalogue, member).await {
            Ok(mut link) => read_all(&catalogue, &mut link, bounds).await.map(|server| (server, link)),
            Err(refusal) => Err(refusal),
        };
        tries -= 1;
        match read {
            // Another endpoint may have what this one has not.
            Err(refusal) if tries > 0 && is_outage(&refusal) => {}
            read => return Some(read),
        }
    }
}

/// The way to ask: of the gateway's own, a new one each time, as credentials expire and endpoints fail.
async fn way(catalogue: &Catalogue, member: Option<&Member>) -> Result<Link, Refusal> {
    let link = catalogue.link();
    match member.filter(|member| !member.is_per_caller() || member.wants_consent()) {
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
    if lists.is_err() && server.is_gone() {
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

/// Hears of changes, and reads what has changed or become too old, until the upstream cannot be heard any more, or
/// the caller has connected it anew or no longer, which it says.
async fn attend(
    weak: &Weak<Catalogue>,
    server: &Server,
    mut link: Link,
    keeps: Keeps,
    connection: &mut Connection,
) -> bool {
    let Ok(mut ears) = Ears::open(server, &mut link).await else { return false };
    watch(weak, server, Some(&ears));
    let (mut storm, since) = (Storm::default(), Instant::now());
    let mut reconnected = false;
    loop {
        let next = tokio::select! {
            next = next(weak, server, &mut ears, &mut storm, since) => next,
            () = connection.changed() => {
                reconnected = true;
                break;
            }
        };
        let (due, told) = match next {
            Next::Told(kinds) => (kinds, true),
            Next::Read(kinds) => (kinds, false),
            Next::Lost => break,
        };
        let Some(catalogue) = weak.upgrade() else { return false };
        if keeps.is_per_caller {
            // The caller has brought another credential, perhaps.
            link = catalogue.link();
        }
        if keeps.wants_consent {
            match link.to(&link.route).await {
                Ok(renewed) => link = renewed,
                // It is no longer connected, which whoever reads it first says.
                Err(_) => break,
            }
        }
        match read_lists(server, &mut link, &due).await {
            Ok(lists) => publish(&catalogue, server, lists, told),
            // It has been started anew, or has other endpoints: what is known stands until it was asked again.
            Err(_) if server.is_gone() || keeps.has_others => break,
            Err(refusal) => {
                catalogue.fail(&refusal);
                break;
            }
        }
    }
    watch(weak, server, None);
    reconnected
}

/// Notes which lists the upstream would tell of.
fn watch(weak: &Weak<Catalogue>, server: &Server, ears: Option<&Ears>) {
    let Some(catalogue) = weak.upgrade() else { return };
    let is_open = ears.is_some_and(Ears::is_open);
    catalogue.watch(Kind::ALL.into_iter().filter(|kind| is_open && server.tells_of(*kind)));
}

/// How long is waited for more, after a first change: the longer, the more come one after the other.
struct Storm {
    together: Duration,
    last: Option<Instant>,
}

impl Default for Storm {
    fn default() -> Self {
        Self { together: TOGETHER.0, last: None }
    }
}

impl Storm {
    fn wait(&mut self, now: Instant) -> Duration {
        let goes_on = self.last.is_some_and(|last| now.duration_since(last) < self.together + CALM);
        self.together = if goes_on { (self.together * 2).min(TOGETHER.1) } else { TOGETHER.0 };
        self.last = Some(now);
        self.together
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

async fn next(
    weak: &Weak<Catalogue>,
    server: &Server,
    ears: &mut Ears,
    storm: &mut Storm,
    since: Instant,
) -> Next {
    loop {
        let Some(catalogue) = weak.upgrade() else { return Next::Lost };
        tokio::select! {
            heard = ears.next() => return match heard {
                Some(first) => gather(first, ears, storm.wait(Instant::now())).await,
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
async fn gather(first: Vec<Kind>, ears: &mut Ears, together: Duration) -> Next {
    let mut kinds = first;
    let until = tokio::time::Instant::now() + together;
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
                Err(refusal) if is_outage(&refusal) => Err(refusal),
                Err(_) => Ok(Self::Deaf),
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

    #[test]
    fn only_changes_that_come_without_end_wait_ever_longer_for_each_other() {
        let (mut storm, mut now) = (Storm::default(), Instant::now());
        let mut waits = |gaps: &[u64]| -> Vec<u128> {
            let wait = |gap: &u64| {
                now += Duration::from_millis(*gap);
                storm.wait(now).as_millis()
            };
            gaps.iter().map(wait).collect()
        };
        assert_eq!(waits(&[0, 900, 1500, 600, 5000]), [100; 5], "each is one by itself");
        let without_end = [50, 110, 210, 410, 810, 1610, 2010, 2400];
        assert_eq!(waits(&without_end), [200, 400, 800, 1600, 2000, 2000, 2000, 2000]);
        assert_eq!(waits(&[2500, 700]), [100, 100], "it is over");
    }

    #[tokio::test]
    async fn a_catalogue_that_nobody_has_is_not_kept() {
        let nobody: Weak<Catalogue> = Weak::new();
        let bounds = Bounds::of(&narthex_config::model::HttpLimits::default());
        // It ends at once, or the test would not.
        keep(nobody, None, bounds).await;
    }
}
