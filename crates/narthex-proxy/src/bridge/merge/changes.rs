//! Hearing of changes on behalf of one client: of any list of any upstream, and of the resources that it names.

use super::catalogue::Catalogue;
use super::dress::Dress;
use super::route::Merged;
use super::{find, list};
use crate::bridge::enter::{self, Bounds};
use crate::bridge::legacy::Listening;
use crate::bridge::link::{Link, Ways};
use crate::bridge::modern;
use crate::refusal::Refusal;
use narthex_mcp::bridge::Object;
use narthex_mcp::bridge::declared::Declared;
use narthex_mcp::bridge::listen::Filter;
use narthex_mcp::bridge::message::Incoming;
use narthex_mcp::federation::cursor::Kind;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// Notifications that wait for a client that does not read; over it, they are dropped.
const BACKLOG: usize = 256;
/// Changes of lists that come so close together are told as one.
const TOGETHER: Duration = Duration::from_millis(50);
/// Waits before a stream of an upstream is opened again: at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What is heard. Dropping it ends what only it wanted to hear.
pub(crate) struct Changes {
    /// What will be heard.
    pub(crate) filter: Filter,
    heard: mpsc::Receiver<Heard>,
    gathering: Gathering,
    ready: VecDeque<(String, Object)>,
    _tasks: JoinSet<()>,
}

enum Heard {
    Lists(Kind),
    Resource(String, Object),
}

impl Changes {
    /// Begins to hear of `wanted`.
    pub(crate) async fn begin(
        merged: &Arc<Merged>,
        ways: &Ways,
        lane: Option<&Arc<str>>,
        declared: &Declared,
        wanted: &Filter,
        bounds: Bounds,
    ) -> Self {
        let (sender, heard) = mpsc::channel(BACKLOG);
        let mut tasks = JoinSet::new();
        if wanted.tools || wanted.prompts || wanted.resources {
            let members = members(merged, ways, bounds, &sender).await;
            tasks.spawn(follow_route(members, Arc::clone(merged), ways.detached(), bounds, sender.clone()));
        }
        let mut filter = Filter { uris: BTreeSet::new(), ..wanted.clone() };
        for (dress, mut link, uris) in owners(merged, ways, &wanted.uris, bounds).await {
            link.lane = lane.cloned();
            let wanted = Filter { uris, ..Filter::default() };
            let patience = link.upstream().settings().catalogue.timeout;
            let opened = timeout(patience, Source::open(&mut link, declared, &wanted, bounds)).await;
            let Ok(Ok(source)) = opened else { continue };
            filter.uris.extend(source.uris().intersection(&wanted.uris).cloned());
            let (declared, sender, link) = (declared.clone(), sender.clone(), link.detached());
            tasks.spawn(async move { watch(source, link, &dress, &declared, wanted, bounds, &sender).await });
        }
        let gathering = Gathering::default();
        Self { filter, heard, gathering, ready: VecDeque::new(), _tasks: tasks }
    }

    /// The next notification: method and `params`; `None`: there will be no more. Dropping the future loses
    /// nothing that cannot be asked for.
    pub(crate) async fn next(&mut self) -> Option<(String, Object)> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            tokio::select! {
                heard = self.heard.recv() => match heard? {
                    Heard::Resource(method, params) => return Some((method, params)),
                    Heard::Lists(kind) => self.gathering.add(kind, Instant::now()),
                },
                () = self.gathering.ripe() => {
                    let changed = self.gathering.take().into_iter();
                    let wanted = changed.filter(|method| self.filter.wants(method, &Object::default()));
                    self.ready.extend(wanted.map(|method| (method.to_owned(), Object::default())));
                }
            }
        }
    }
}

/// Changes of lists that are told as one, once no more come close.
#[derive(Default)]
struct Gathering {
    changed: BTreeSet<&'static str>,
    until: Option<Instant>,
}

impl Gathering {
    fn add(&mut self, kind: Kind, now: Instant) {
        self.changed.insert(method(kind));
        self.until.get_or_insert(now + TOGETHER);
    }

    /// Waits until they are to be told. Dropping the future loses nothing.
    async fn ripe(&self) {
        match self.until {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    fn take(&mut self) -> BTreeSet<&'static str> {
        self.until = None;
        std::mem::take(&mut self.changed)
    }
}

fn method(kind: Kind) -> &'static str {
    match kind {
        Kind::Tools => "notifications/tools/list_changed",
        Kind::Prompts => "notifications/prompts/list_changed",
        Kind::Resources | Kind::Templates => "notifications/resources/list_changed",
    }
}

/// Begins to pass on what changes in the upstreams' lists.
async fn members(
    merged: &Arc<Merged>,
    ways: &Ways,
    bounds: Bounds,
    sender: &mpsc::Sender<Heard>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for member in &merged.members {
        let catalogue = ways.shared.bridge.catalogues.get(ways, merged, member, bounds).await;
        if let Ok(catalogue) = catalogue {
            let news = catalogue.news.subscribe();
            tasks.spawn(follow(catalogue, news, sender.clone()));
        }
    }
    tasks
}

/// Goes on with the upstreams that the route has by a new configuration, and tells of what is another then.
async fn follow_route(
    mut members: JoinSet<()>,
    mut merged: Arc<Merged>,
    mut ways: Ways,
    bounds: Bounds,
    sender: mpsc::Sender<Heard>,
) {
    let shared = Arc::clone(&ways.shared);
    let mut configured = shared.bridge.configured.subscribe();
    while configured.changed().await.is_ok() {
        let snapshot = configured.borrow_and_update().clone();
        let door = snapshot.as_ref().and_then(|snapshot| snapshot.0.routes.get(&ways.door.path));
        let Some((door, new)) = door.and_then(|door| Some((door, door.merged.as_ref()?))) else { continue };
        let before = list::sums(&merged, &ways, bounds).await;
        (ways.door, merged) = (Arc::clone(door), Arc::clone(new));
        members = self::members(&merged, &ways, bounds, &sender).await;
        let after = list::sums(&merged, &ways, bounds).await;
        let kinds = Kind::ALL.into_iter().zip(before.into_iter().zip(after));
        for (kind, _) in kinds.filter(|(_, (before, after))| before != after) {
            let _ = sender.try_send(Heard::Lists(kind));
        }
    }
    drop(members);
}

/// Passes on what changes in one upstream's lists.
async fn follow(catalogue: Arc<Catalogue>, mut news: broadcast::Receiver<Kind>, sender: mpsc::Sender<Heard>) {
    let _kept = catalogue;
    loop {
        let kinds = match news.recv().await {
            Ok(kind) => vec![kind],
            // Anything may have changed.
            Err(RecvError::Lagged(_)) => Kind::ALL.to_vec(),
            Err(RecvError::Closed) => return,
        };
        for kind in kinds {
            // Whoever does not read misses it: a list can be asked for at any time.
            if let Err(mpsc::error::TrySendError::Closed(_)) = sender.try_send(Heard::Lists(kind)) {
                return;
            }
        }
    }
}

/// The ways to the owners of resources, and what each of them has.
async fn owners(
    merged: &Arc<Merged>,
    ways: &Ways,
    uris: &BTreeSet<String>,
    bounds: Bounds,
) -> Vec<(Dress, Link, BTreeSet<String>)> {
    let mut owned: BTreeMap<usize, (Dress, Option<Link>, BTreeSet<String>)> = BTreeMap::new();
    for uri in uris {
        let mut params = Object::default();
        params.set_string("uri", uri);
        let found = find::owner(merged, ways, "resources/subscribe", &params, bounds).await;
        let Ok(found) = found else { continue };
        let dress = || Dress::new(merged, found.part.member, ways);
        let place = owned.entry(found.part.number).or_insert_with(|| (dress(), None, BTreeSet::new()));
        place.2.insert(uri.clone());
        if place.1.is_none() {
            place.1 =
                ways.to(found.part.member.endpoint_of(&ways.whose(), std::time::Instant::now())).await.ok();
        }
    }
    owned.into_values().filter_map(|(dress, link, uris)| Some((dress, link?, uris))).collect()
}

/// Where an upstream tells of its resources.
enum Source {
    Modern(Box<modern::Stream>),
    Legacy(Listening),
}

impl Source {
    async fn open(
        link: &mut Link,
        declared: &Declared,
        wanted: &Filter,
        bounds: Bounds,
    ) -> Result<Self, Refusal> {
        if enter::speaks_modern(link).await == Some(true) {
            return modern::listen(link, declared, wanted).await.map(|stream| Self::Modern(Box::new(stream)));
        }
        let shared = Arc::clone(&link.shared);
        let session = shared.bridge.sessions.get(link, declared, bounds).await?;
        Ok(Self::Legacy(Listening::begin(&session, link.detached(), wanted).await))
    }

    fn uris(&self) -> &BTreeSet<String> {
        match self {
            Self::Modern(stream) => &stream.filter.uris,
            Self::Legacy(listening) => &listening.filter.uris,
        }
    }

    async fn next(&mut self) -> Option<(String, Object)> {
        match self {
            Self::Legacy(listening) => listening.next().await,
            Self::Modern(stream) => match stream.reader.next().await {
                Ok(Some(Incoming::Notification { method, params })) => Some((method, params)),
                _ => None,
            },
        }
    }
}

/// Passes on what one upstream tells of resources, and listens anew when its stream ends.
async fn watch(
    mut source: Source,
    mut link: Link,
    dress: &Dress,
    declared: &Declared,
    wanted: Filter,
    bounds: Bounds,
    sender: &mpsc::Sender<Heard>,
) {
    let mut wait = BACKOFF.0;
    loop {
        while let Some((method, params)) = source.next().await {
            wait = BACKOFF.0;
            if wanted.wants(&method, &params) {
                let params = narthex_mcp::bridge::discover::without_reserved(&params);
                let Some(params) = dress.note(&method, params).await else { continue };
                let _ = sender.try_send(Heard::Resource(method, params));
            }
        }
        loop {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(BACKOFF.1);
            if sender.is_closed() {
                return;
            }
            if let Ok(again) = Source::open(&mut link, declared, &wanted, bounds).await {
                // Anything may have changed in the meantime.
                for (method, params) in wanted.everything() {
                    let _ = sender.try_send(Heard::Resource(method.to_owned(), params));
                }
                source = again;
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn a_change_is_told_though_whoever_waited_for_it_did_something_else_in_between() {
        let (mut gathering, now) = (Gathering::default(), Instant::now());
        gathering.add(Kind::Resources, now);
        assert!(gathering.ripe().now_or_never().is_none(), "more may come");
        gathering.add(Kind::Templates, now);
        gathering.add(Kind::Tools, now);
        gathering.until = Some(now);
        gathering.ripe().await;
        let told = ["notifications/resources/list_changed", "notifications/tools/list_changed"];
        assert_eq!(gathering.take(), BTreeSet::from(told));
        assert!(gathering.ripe().now_or_never().is_none(), "nothing is told twice");
    }
}
