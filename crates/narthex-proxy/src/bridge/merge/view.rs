//! What a route shows of an upstream's lists: other names, other descriptions, and nothing that is not to be seen.

use super::catalogue::Catalogue;
use super::content::{Content, Item, List};
use super::route::{Member, Merged};
use ahash::RandomState;
use dashmap::DashMap;
use narthex_config::model::{Expose, RouteId};
use narthex_credentials::CredentialError;
use narthex_mcp::bridge::schema::{self, ParamHeaders};
use narthex_mcp::federation::cursor::Kind;
use narthex_mcp::federation::{Naming, UriTemplate, connect, item};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// For how long a view is good, even if nothing changes: what waits for approval is forgotten where it has not been
/// seen for a day.
const GOOD_FOR: Duration = Duration::from_secs(3600);
/// Items that are made ready before others get a turn.
const AT_ONCE: usize = 64;

/// How items are shown, whatever upstream they are of.
#[derive(Debug)]
pub(super) struct Shape {
    naming: Naming,
    separator: Option<String>,
    rename: HashMap<String, String>,
    /// The names before, by the names that they were given.
    renamed: HashMap<String, String>,
    describe: HashMap<String, String>,
}

impl Shape {
    pub(super) fn new(naming: Naming, expose: &Expose) -> Self {
        let separator = naming.is_prefixing().then(|| naming.separator().to_owned());
        let renamed = expose.rename.iter().map(|(before, after)| (after.clone(), before.clone())).collect();
        Self {
            naming,
            separator,
            rename: expose.rename.clone().into_iter().collect(),
            renamed,
            describe: expose.describe.clone().into_iter().collect(),
        }
    }

    /// What stands between prefix and name, if there are prefixes.
    pub(super) fn naming_separator(&self) -> Option<&str> {
        self.separator.as_deref()
    }

    /// Whether no two upstreams' tools can have the same name.
    pub(super) fn keeps_apart(&self) -> bool {
        self.separator.is_some() && self.rename.is_empty()
    }

    /// The name that a shown one stands for, before it was given another.
    pub(super) fn unrenamed<'n>(&'n self, name: &'n str) -> &'n str {
        self.renamed.get(name).map_or(name, String::as_str)
    }

    /// The name of the tool that connects the upstream with that prefix.
    pub(super) fn connecting(&self, prefix: &str) -> String {
        // Without prefixes it has one nevertheless: several may want to be connected.
        if self.separator.is_some() || prefix.is_empty() {
            return self.shown(prefix, connect::TOOL, Kind::Tools);
        }
        self.shown("", &format!("{prefix}__{}", connect::TOOL), Kind::Tools)
    }

    fn shown(&self, prefix: &str, name: &str, kind: Kind) -> String {
        let shown = self.naming.shown(prefix, name);
        match self.rename.get(&*shown).filter(|_| kind == Kind::Tools) {
            Some(renamed) => renamed.clone(),
            None => shown.into_owned(),
        }
    }
}

/// One list as it is shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) items: Vec<ShownItem>,
    index: HashMap<Arc<str>, usize>,
}

/// One item as it is shown.
#[derive(Debug)]
pub(super) struct ShownItem {
    /// The name, URI or template that clients know.
    pub(super) name: Arc<str>,
    /// The upstream's own.
    pub(super) key: Arc<str>,
    /// JSON text for clients of 2026-07-28; `None`: it is not for them.
    modern: Option<Box<str>>,
    /// JSON text for older clients, where it is another; the inner `None`: it is not for them.
    legacy: Option<Option<Box<str>>>,
    /// Arguments that are mirrored in header fields.
    pub(super) headers: Option<ParamHeaders>,
    /// The tool only runs as a task (2025-11-25).
    pub(super) needs_task: bool,
    /// It is none of the upstream's, but the gateway's to connect the upstream with.
    pub(super) connects: bool,
    template: Option<UriTemplate>,
}

impl ShownItem {
    /// Its JSON text for clients of an era.
    pub(super) fn text(&self, modern: bool) -> Option<&str> {
        let legacy = self.legacy.as_ref().filter(|_| !modern);
        legacy.map_or(self.modern.as_deref(), |legacy| legacy.as_deref())
    }

    /// Whether it is a template of that URI.
    pub(super) fn matches(&self, uri: &str) -> bool {
        self.template.as_ref().is_some_and(|template| template.matches(uri))
    }
}

impl Shown {
    pub(super) fn get(&self, name: &str) -> Option<&ShownItem> {
        self.items.get(*self.index.get(name)?)
    }

    /// Whether the upstream itself has it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|item| !item.connects)
    }

    /// Whether the name is that of the tool that connects the upstream.
    pub(super) fn connects(&self, name: &str) -> bool {
        self.get(name).is_some_and(|item| item.connects)
    }

    pub(super) fn position(&self, after: impl Fn(&str) -> bool) -> Option<usize> {
        self.items.iter().position(|item| after(&item.key))
    }

    fn push(&mut self, item: ShownItem) {
        // A name that is taken stays with whom it was first.
        if !self.index.contains_key(&item.name) {
            self.index.insert(Arc::clone(&item.name), self.items.len());
            self.items.push(item);
        }
    }
}

/// All of an upstream's lists as they are shown on one route.
#[derive(Debug, Default)]
pub(super) struct View {
    lists: [Shown; 4],
    /// All of it may be kept for others than the caller, too.
    pub(super) public: bool,
    pub(super) ttl: Option<Duration>,
}

impl View {
    pub(super) fn list(&self, kind: Kind) -> &Shown {
        match kind {
            Kind::Tools => &self.lists[0],
            Kind::Prompts => &self.lists[1],
            Kind::Resources => &self.lists[2],
            Kind::Templates => &self.lists[3],
        }
    }
}

/// The views of one catalogue, by route.
#[derive(Debug, Default)]
pub(super) struct Views {
    made: DashMap<RouteId, Made, RandomState>,
    /// Held while one is made: others that want it wait, rather than make another.
    making: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Made {
    of: Weak<Merged>,
    generation: u64,
    /// Of the pins.
    trust: u64,
    at: Instant,
    view: Arc<View>,
}

impl Views {
    /// The view for a route of what is known now; made, if it is not there.
    pub(super) async fn get(
        &self,
        catalogue: &Catalogue,
        route: &RouteId,
        merged: &Arc<Merged>,
        member: &Member,
        now: Instant,
    ) -> Arc<View> {
        if let Some(view) = self.current(catalogue, route, merged, now) {
            return view;
        }
        let _one_at_a_time = self.making.lock().await;
        if let Some(view) = self.current(catalogue, route, merged, now) {
            return view;
        }
        let (content, trust) = (catalogue.content(), merged.guard.generation());
        let (of, generation) = (Arc::downgrade(merged), content.generation);
        let view = Arc::new(make(&content, merged, member).await);
        merged.names.learn(view.list(Kind::Tools).items.iter().map(|item| &*item.name));
        let made = Made { of, generation, trust, at: Instant::now(), view: Arc::clone(&view) };
        self.made.insert(route.clone(), made);
        view
    }

    fn current(
        &self,
        catalogue: &Catalogue,
        route: &RouteId,
        merged: &Arc<Merged>,
        now: Instant,
    ) -> Option<Arc<View>> {
        let made = self.made.get(route)?;
        let current = (catalogue.generation(), merged.guard.generation());
        let is_good = now.saturating_duration_since(made.at) < GOOD_FOR;
        let same = std::ptr::eq(made.of.as_ptr(), Arc::as_ptr(merged)) && is_good;
        ((made.generation, made.trust) == current && same).then(|| Arc::clone(&made.view))
    }
}

async fn make(content: &Content, merged: &Merged, member: &Member) -> View {
    if let Some(wanted) = &content.unconnected {
        return unconnected(wanted, merged, member);
    }
    let mut view = View { public: true, ..View::default() };
    for (slot, kind) in Kind::ALL.into_iter().enumerate() {
        let Some(list) = content.list(kind) else { continue };
        view.public &= list.public;
        view.ttl = Some(view.ttl.map_or(list.ttl, |ttl| ttl.min(list.ttl)));
        if let Some(shown) = view.lists.get_mut(slot) {
            *shown = show(list, kind, merged, member).await;
        }
    }
    view
}

/// All that there is of an upstream that the caller has not connected: the tool to do that with. It may be gone in a
/// moment, so nobody is to keep it.
fn unconnected(wanted: &CredentialError, merged: &Merged, member: &Member) -> View {
    let mut view = View { ttl: Some(Duration::ZERO), ..View::default() };
    let (name, title) = (merged.connecting(member), member.title(wanted));
    let text = connect::tool(&name, title, member.host()).into();
    let item = Item { key: connect::TOOL.into(), text: Box::default() };
    let [tools, ..] = &mut view.lists;
    tools.push(ShownItem { connects: true, ..plain(&item, name, text) });
    view
}

async fn show(list: &Arc<List>, kind: Kind, merged: &Merged, member: &Member) -> Shown {
    let mut shown = Shown::default();
    for (number, (item, inspected)) in merged.guard.shown(list, kind, member).await.into_iter().enumerate() {
        pause(number).await;
        let text = inspected.text.as_deref().unwrap_or(&item.text);
        let made = match kind {
            Kind::Tools => tool(item, text, merged, member),
            Kind::Prompts => prompt(item, text, merged, member),
            Kind::Resources | Kind::Templates => resource(item, text, kind),
        };
        made.into_iter().for_each(|made| shown.push(made));
    }
    shown
}

/// Gives others a turn from time to time.
async fn pause(number: usize) {
    if number % AT_ONCE == AT_ONCE - 1 {
        tokio::task::yield_now().await;
    }
}

/// `text` is what may be seen of the item.
fn tool(item: &Item, text: &str, merged: &Merged, member: &Member) -> Option<ShownItem> {
    let own = item::name_of(text)?;
    let name = merged.shape.shown(&member.prefix, &own, Kind::Tools);
    let description = merged.shape.describe.get(&name).map(String::as_str);
    let text = if name == own && description.is_none() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(item::rename(text, &name, description)?)
    };
    let found = schema::examine(&text);
    Some(ShownItem {
        name: name.into(),
        key: Arc::clone(&item.key),
        modern: found.modern.map(|text| text.into()),
        legacy: found.legacy.map(|legacy| legacy.map(|text| text.into())),
        headers: found.headers,
        needs_task: found.needs_task,
        connects: false,
        template: None,
    })
}

fn prompt(item: &Item, text: &str, merged: &Merged, member: &Member) -> Option<ShownItem> {
    let own = item::name_of(text)?;
    let name = merged.shape.shown(&member.prefix, &own, Kind::Prompts);
    let text = if name == own { text.into() } else { item::rename(text, &name, None)?.into() };
    Some(plain(item, name, text))
}

fn resource(item: &Item, text: &str, kind: Kind) -> Option<ShownItem> {
    if kind == Kind::Resources {
        return Some(plain(item, item::uri_of(text)?, text.into()));
    }
    let shown = item::uri_template_of(text)?;
    let template = UriTemplate::parse(&shown).ok();
    Some(ShownItem { template, ..plain(item, shown, text.into()) })
}

fn plain(item: &Item, name: String, text: Box<str>) -> ShownItem {
    ShownItem {
        name: name.into(),
        key: Arc::clone(&item.key),
        modern: Some(text),
        legacy: None,
        headers: None,
        needs_task: false,
        connects: false,
        template: None,
    }
}
