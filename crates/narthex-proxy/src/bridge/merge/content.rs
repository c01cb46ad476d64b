//! What is known of one upstream's lists.

use narthex_credentials::CredentialError;
use narthex_mcp::bridge::discover::Account;
use narthex_mcp::federation::cursor::Kind;
use narthex_mcp::federation::item;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// All that is known at one time.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Grows with every change.
    pub(super) generation: u64,
    /// What the upstream says of itself; `None` until it has said so.
    pub(super) account: Option<Arc<Account>>,
    lists: [Option<Arc<List>>; 4],
    /// Why it could not be asked the last time, if it could not.
    pub(super) failed: Option<&'static str>,
    /// Why it cannot be asked for this caller, who has to connect it first. Nothing is wrong with it.
    pub(super) unconnected: Option<CredentialError>,
}

/// One list, all pages of it.
#[derive(Debug)]
pub(super) struct List {
    pub(super) items: Vec<Item>,
    index: HashMap<Arc<str>, usize>,
    pub(super) read: Instant,
    /// How long it may be used.
    pub(super) ttl: Duration,
    /// The upstream says that it is the same for everybody (2026-07-28, server/utilities/caching).
    pub(super) public: bool,
    /// Nothing of it was left out.
    pub(super) complete: bool,
}

/// One tool, prompt, resource or template.
#[derive(Debug)]
pub(super) struct Item {
    /// Its name, URI or template.
    pub(super) key: Arc<str>,
    /// The JSON object as it came.
    pub(super) text: Box<str>,
}

impl Content {
    pub(super) fn list(&self, kind: Kind) -> Option<&Arc<List>> {
        self.lists[slot(kind)].as_ref()
    }

    /// Whether it is known how things stand.
    pub(super) fn is_settled(&self) -> bool {
        self.is_known() || self.failed.is_some()
    }

    /// Whether it can be asked, as far as is known.
    pub(super) fn is_there(&self) -> bool {
        self.failed.is_none() && self.unconnected.is_none()
    }

    /// Whether it is known what there is: of an upstream that is not connected, the tool that connects it.
    pub(super) fn is_known(&self) -> bool {
        self.account.is_some() || self.unconnected.is_some()
    }

    /// What it comes to with these lists in the place of the old ones, and which of them are not the same. Of
    /// those that the upstream `told` to have changed it is believed: there may be more to an item than the list
    /// shows.
    pub(super) fn with(
        &self,
        account: Arc<Account>,
        lists: Vec<(Kind, List)>,
        told: bool,
    ) -> (Self, Vec<Kind>) {
        let mut next = Self {
            generation: self.generation + 1,
            account: Some(account),
            lists: self.lists.clone(),
            failed: None,
            unconnected: None,
        };
        let mut changed = Vec::new();
        for (kind, list) in lists {
            let known = self.list(kind);
            let same = known.is_some_and(|known| known.is_like(&list));
            // An upstream that comes back brings its items along.
            let absent = known.is_none() && list.items.is_empty();
            let comes_back = self.failed.is_some() && !list.items.is_empty();
            // The tool that connected it goes.
            let connects = self.unconnected.is_some() && kind == Kind::Tools;
            if told || (!same && !absent) || comes_back || connects {
                changed.push(kind);
            }
            next.lists[slot(kind)] = Some(Arc::new(list));
        }
        (next, changed)
    }

    /// The same, of an upstream that cannot be asked any more; and what that takes away.
    pub(super) fn without(&self, why: &'static str) -> (Self, Vec<Kind>) {
        let next = Self {
            generation: self.generation + 1,
            account: self.account.clone(),
            lists: self.lists.clone(),
            failed: Some(why),
            unconnected: None,
        };
        let has = |kind: &Kind| self.list(*kind).is_some_and(|list| !list.items.is_empty());
        let connects = |kind: &Kind| self.unconnected.is_some() && *kind == Kind::Tools;
        let lost = |kind: &Kind| has(kind) || connects(kind);
        let lost =
            if self.failed.is_some() { Vec::new() } else { Kind::ALL.into_iter().filter(lost).collect() };
        (next, lost)
    }

    /// What is left for a caller who has not connected it, or not any more: nothing of what it had; and what that
    /// changes.
    pub(super) fn disconnected(&self, wanted: CredentialError) -> (Self, Vec<Kind>) {
        let next = Self { generation: self.generation + 1, unconnected: Some(wanted), ..Self::default() };
        let has = |kind: &Kind| {
            let lost = self.list(*kind).is_some_and(|list| !list.items.is_empty());
            *kind == Kind::Tools || (lost && self.failed.is_none())
        };
        let same = self.unconnected.is_some();
        (next, if same { Vec::new() } else { Kind::ALL.into_iter().filter(has).collect() })
    }

    /// Bytes of all lists.
    pub(super) fn bytes(&self) -> usize {
        self.lists.iter().flatten().map(|list| list.bytes()).sum()
    }
}

fn slot(kind: Kind) -> usize {
    match kind {
        Kind::Tools => 0,
        Kind::Prompts => 1,
        Kind::Resources => 2,
        Kind::Templates => 3,
    }
}

impl List {
    /// The list of these JSON objects. What has no key, or the key of an earlier one, is left out; but of tools
    /// the pins are to know.
    pub(super) fn new(
        kind: Kind,
        texts: impl IntoIterator<Item = Box<str>>,
        ttl: Duration,
        public: bool,
        complete: bool,
        read: Instant,
    ) -> Self {
        let mut list = Self { items: Vec::new(), index: HashMap::new(), read, ttl, public, complete };
        for text in texts {
            let Some(key) = key_of(kind, &text) else { continue };
            let key: Arc<str> = key.into();
            let is_first = !list.index.contains_key(&key);
            if is_first {
                list.index.insert(Arc::clone(&key), list.items.len());
            }
            if is_first || kind == Kind::Tools {
                list.items.push(Item { key, text });
            }
        }
        list
    }

    fn is_like(&self, other: &Self) -> bool {
        let same = |(a, b): (&Item, &Item)| a.text == b.text;
        self.items.len() == other.items.len() && self.items.iter().zip(&other.items).all(same)
    }

    fn bytes(&self) -> usize {
        self.items.iter().map(|item| item.text.len() + 2 * item.key.len()).sum()
    }

    /// Whether nobody has read it again for long after it was too old.
    pub(super) fn is_outdated(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.read) >= self.ttl * 2
    }

    /// Whether it is older than it may be.
    pub(super) fn is_stale(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.read) >= self.ttl
    }
}

fn key_of(kind: Kind, text: &str) -> Option<String> {
    match kind {
        Kind::Tools | Kind::Prompts => item::name_of(text),
        Kind::Resources => item::uri_of(text),
        Kind::Templates => item::uri_template_of(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use narthex_credentials::Reason;

    fn list(names: &[&str]) -> List {
        let texts = names.iter().map(|name| format!(r#"{{"name":"{name}"}}"#).into());
        List::new(Kind::Tools, texts, Duration::from_secs(1), false, true, Instant::now())
    }

    fn account() -> Arc<Account> {
        Arc::default()
    }

    #[test]
    fn a_name_has_one_owner_and_what_has_none_is_left_out() {
        let texts = [r#"{"name":"a"}"#, r#"{"name":"a","description":"2"}"#, r#"{"title":"b"}"#, "[]"];
        let list = List::new(Kind::Prompts, texts.map(Box::from), Duration::ZERO, true, true, Instant::now());
        assert_eq!(list.items.len(), 1);
        assert!(list.index.contains_key("a") && &*list.items[0].text == r#"{"name":"a"}"#);
    }

    #[test]
    fn only_what_is_another_than_before_is_a_change() {
        let (first, changed) = Content::default().with(account(), vec![(Kind::Tools, list(&["a"]))], false);
        assert_eq!(changed, [Kind::Tools]);
        let (same, changed) = first.with(account(), vec![(Kind::Tools, list(&["a"]))], false);
        assert!(changed.is_empty() && same.generation == 2);
        let (_, changed) = same.with(account(), vec![(Kind::Tools, list(&["a", "b"]))], false);
        assert_eq!(changed, [Kind::Tools]);
        let (_, changed) = Content::default().with(account(), vec![(Kind::Prompts, list(&[]))], false);
        assert!(changed.is_empty(), "an empty list is nothing new");
    }

    #[test]
    fn a_change_that_an_upstream_tells_of_is_one_though_the_list_looks_the_same() {
        let (first, _) = Content::default().with(account(), vec![(Kind::Tools, list(&["a"]))], false);
        let (_, changed) = first.with(account(), vec![(Kind::Tools, list(&["a"]))], true);
        assert_eq!(changed, [Kind::Tools]);
    }

    #[test]
    fn an_upstream_that_goes_and_comes_back_is_two_changes() {
        let (there, _) = Content::default().with(account(), vec![(Kind::Tools, list(&["a"]))], false);
        let (gone, lost) = there.without("connect");
        assert_eq!(lost, [Kind::Tools]);
        assert_eq!(gone.without("connect").1, [], "and is not lost twice");
        let (_, back) = gone.with(account(), vec![(Kind::Tools, list(&["a"]))], false);
        assert_eq!(back, [Kind::Tools]);
    }

    #[test]
    fn what_a_caller_disconnects_is_gone_and_what_is_connected_takes_the_place_of_the_tool() {
        let wanted = || CredentialError::from(Reason::ConsentRequired);
        let lists = vec![(Kind::Tools, list(&["a"])), (Kind::Prompts, list(&["p"]))];
        let (there, _) = Content::default().with(account(), lists, false);
        let (gone, changed) = there.disconnected(wanted());
        assert_eq!(changed, [Kind::Tools, Kind::Prompts]);
        assert!(gone.list(Kind::Tools).is_none() && gone.account.is_none(), "nothing is kept of it");
        assert!(gone.is_settled() && gone.is_known() && !gone.is_there(), "and yet it is no outage");
        assert!(gone.failed.is_none());
        assert_eq!(gone.disconnected(wanted()).1, [], "and is not lost twice");
        let (_, changed) = gone.with(account(), vec![(Kind::Tools, list(&[]))], false);
        assert_eq!(changed, [Kind::Tools], "the tool that connects it goes, though nothing else comes");
        assert_eq!(gone.without("connect").1, [Kind::Tools]);
    }
}
