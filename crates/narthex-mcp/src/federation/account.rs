//! What a merged route says of itself: that its upstreams can do what any of them can, under the gateway's
//! own name (2026-07-28, server/discover; 2025-11-25, basic/lifecycle).

use crate::Revision;
use crate::bridge::discover::Account;
use crate::bridge::{Object, task};
use crate::rpc::quote;

/// How much of instructions a route has if nothing else is said, in bytes.
pub const MOST_INSTRUCTIONS: usize = 8 << 10;

/// What of a family is told of beyond that it is there. Lists change with the route's members, so every
/// family that is there says so.
const FAMILIES: [(&str, &[&str]); 3] = [("prompts", &[]), ("resources", &["subscribe"]), ("tools", &[])];
/// Offered as soon as one upstream offers them, without anything more to say.
const PLAIN: [&str; 2] = ["completions", "logging"];
const CUT: &str = "…";

/// How accounts are merged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Merge<'a> {
    /// The name that the route has: `serverInfo.name`.
    pub name: &'a str,
    /// `serverInfo.version`
    pub version: &'a str,
    /// Whether tasks can be carried.
    pub tasks: bool,
    /// What is said in the place of the upstreams' instructions; nothing at all if it is empty.
    pub instructions: Option<&'a str>,
    /// Longest instructions, in bytes.
    pub max_instructions: usize,
}

impl<'a> Merge<'a> {
    /// Without tasks, and with the upstreams' instructions up to [`MOST_INSTRUCTIONS`].
    #[must_use]
    pub const fn new(name: &'a str, version: &'a str) -> Self {
        Self { name, version, tasks: false, instructions: None, max_instructions: MOST_INSTRUCTIONS }
    }
}

/// The route's account, made of those of its upstreams, in order and with their ids.
///
/// A capability is there if one upstream has it and the gateway can deliver it: of extensions, tasks alone,
/// which are said in the words of both eras, as the gateway carries them either way. What is experimental,
/// or unknown, is left out: nobody could tell whose it is.
#[must_use]
pub fn merge(parts: &[(&str, &Account)], options: &Merge<'_>) -> Account {
    let mut info = Object::default();
    info.set_string("name", options.name);
    info.set_string("version", options.version);
    let instructions = match options.instructions {
        Some(text) => cut(text, options.max_instructions),
        None => cut(&instructions(parts, options.max_instructions), options.max_instructions),
    };
    Account {
        capabilities: capabilities(parts, options.tasks),
        server_info: Some(info),
        instructions: (!instructions.is_empty()).then(|| quote(&instructions)),
        versions: Revision::ALL.map(|revision| revision.as_str().to_owned()).to_vec(),
    }
}

fn capabilities(parts: &[(&str, &Account)], tasks: bool) -> Object {
    let any = |has: &dyn Fn(&Account) -> bool| parts.iter().any(|(_, account)| has(account));
    let offers = |name: &'static str| any(&|account| account.capabilities.object(name).is_some());
    let mut merged = Object::default();
    for name in PLAIN.into_iter().filter(|name| offers(name)) {
        merged.set_object(name, &Object::default());
    }
    for (name, flags) in FAMILIES.into_iter().filter(|(name, _)| offers(name)) {
        let mut family = Object::default();
        family.set_json("listChanged", "true");
        for flag in flags.iter().filter(|flag| any(&|account| account.offers(name, flag))) {
            family.set_json(flag, "true");
        }
        merged.set_object(name, &family);
    }
    let has_tasks = |account: &Account| {
        task::is_declared(&account.capabilities) || task::is_offered(&account.capabilities)
    };
    if tasks && any(&has_tasks) {
        merged.set_json("tasks", task::LEGACY_CAPABILITY);
        merged = task::declare(&merged);
    }
    merged
}

/// The parts' instructions, each under its upstream's id and cut to its share of what there is room for.
///
/// They come from servers and go to a model, which is to know whose they are: headings in them are made
/// deeper than those over them.
fn instructions(parts: &[(&str, &Account)], max: usize) -> String {
    let texts = parts.iter().filter_map(|(id, account)| {
        let text: String = serde_json::from_str(account.instructions.as_deref()?).ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| (format!("## {id}\n\n"), below(text)))
    });
    let texts: Vec<_> = texts.collect();
    let headings = texts.iter().map(|(heading, _)| heading.len() + 2).sum::<usize>();
    let lens: Vec<_> = texts.iter().map(|(_, text)| text.len()).collect();
    let shares = shares(&lens, max.saturating_sub(headings));
    let sections =
        texts.iter().zip(shares).map(|((heading, text), share)| heading.clone() + &cut(text, share));
    sections.collect::<Vec<_>>().join("\n\n")
}

/// How much of `room` each gets: what it needs, or as much as any other that does not get what it needs.
fn shares(needs: &[usize], room: usize) -> Vec<usize> {
    let mut sorted = needs.to_vec();
    sorted.sort_unstable();
    let (mut left, mut share) = (room, usize::MAX);
    for (at, need) in sorted.iter().enumerate() {
        share = left / (needs.len() - at);
        if *need > share {
            break;
        }
        left -= need;
        share = usize::MAX;
    }
    needs.iter().map(|need| *need.min(&share)).collect()
}

/// `text` with its headings two levels further down.
fn below(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_start = true;
    for c in text.chars() {
        if is_start && c == '#' {
            out.push_str("##");
        }
        let ends = matches!(c, '\n'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
        is_start = ends || (is_start && c.is_whitespace());
        out.push(c);
    }
    out
}

/// At most `max` bytes of `text`, with a sign where there was more.
fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let Some(mut end) = max.checked_sub(CUT.len()) else { return String::new() };
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned() + CUT
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const MERGE: Merge<'_> = Merge::new("narthex", "1.2.3");

    fn account(capabilities: &Value, instructions: Option<&str>) -> Account {
        Account {
            capabilities: Object::parse(capabilities.to_string().as_bytes()).unwrap(),
            server_info: Some(Object::parse(br#"{"name":"evil","version":"9"}"#).unwrap()),
            instructions: instructions.map(quote),
            versions: vec!["2025-06-18".to_owned()],
        }
    }

    fn merged(capabilities: &[Value], options: &Merge<'_>) -> Value {
        let accounts: Vec<_> = capabilities.iter().map(|part| account(part, None)).collect();
        let parts: Vec<_> = accounts.iter().map(|account| ("x", account)).collect();
        serde_json::from_str(&merge(&parts, options).capabilities.to_json()).unwrap()
    }

    fn said(parts: &[(&str, &str)], options: &Merge<'_>) -> String {
        let accounts: Vec<_> = parts.iter().map(|(_, text)| account(&json!({}), Some(text))).collect();
        let parts: Vec<_> = parts.iter().zip(&accounts).map(|((id, _), account)| (*id, account)).collect();
        let instructions = merge(&parts, options).instructions;
        instructions.map(|text| serde_json::from_str(&text).unwrap()).unwrap_or_default()
    }

    #[test]
    fn a_route_can_do_what_any_of_its_upstreams_can_and_has_a_name_of_its_own() {
        let parts = [
            json!({"tools": {}, "logging": {"x": 1}, "experimental": {"a": {}}, "odd": {}}),
            json!({"resources": {"subscribe": false}, "prompts": {"listChanged": false}}),
            json!({"resources": {"subscribe": true}, "tools": {"listChanged": true}, "completions": {}}),
        ];
        assert_eq!(
            merged(&parts, &MERGE),
            json!({
                "completions": {}, "logging": {}, "prompts": {"listChanged": true},
                "resources": {"listChanged": true, "subscribe": true}, "tools": {"listChanged": true},
            })
        );
        assert_eq!(merged(&parts[..1], &MERGE), json!({"logging": {}, "tools": {"listChanged": true}}));
        assert_eq!(merged(&[json!({"tools": true, "prompts": null, "resources": []})], &MERGE), json!({}));
        let all = merge(&[], &MERGE);
        assert_eq!(all.server_info.unwrap().to_json(), r#"{"name":"narthex","version":"1.2.3"}"#);
        assert_eq!(all.versions.first().unwrap(), "2026-07-28");
        assert_eq!(all.instructions, None);
    }

    #[test]
    fn tasks_are_offered_to_either_era_if_they_can_be_carried_and_no_other_extension_is() {
        let modern = json!({"extensions": {"io.modelcontextprotocol/tasks": {}, "x/y": {}}});
        let legacy = json!({"tasks": {"list": {}, "requests": {"tools": {"call": {}}}}});
        let options = Merge { tasks: true, ..MERGE };
        for part in [modern, legacy] {
            assert_eq!(merged(std::slice::from_ref(&part), &MERGE), json!({}));
            let account = account(&part, None);
            let account = merge(&[("x", &account)], &options);
            let modern = account.to_discover(std::time::Duration::ZERO).object("capabilities").unwrap();
            assert_eq!(modern.to_json(), r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#);
            let legacy = account.to_initialize(Revision::V2025_11_25).object("capabilities").unwrap();
            assert!(task::is_offered(&legacy) && !task::is_declared(&legacy), "{}", legacy.to_json());
        }
        assert_eq!(merged(&[json!({"tasks": {}, "extensions": {"x/y": {}}})], &options), json!({}));
    }

    #[test]
    fn instructions_stand_under_their_upstream_in_order() {
        let parts = [("gh", " Be kind.\n"), ("empty", "  \n"), ("jira", "# Rules\nNo.\n  ## jira2\r# x # y")];
        assert_eq!(
            said(&parts, &MERGE),
            "## gh\n\nBe kind.\n\n## jira\n\n### Rules\nNo.\n  #### jira2\r### x # y"
        );
        let own = Merge { instructions: Some("Mine."), ..MERGE };
        assert_eq!(said(&parts, &own), "Mine.");
        assert_eq!(said(&parts, &Merge { instructions: Some(""), ..MERGE }), "");
    }

    #[test]
    fn one_that_says_much_does_not_leave_others_out() {
        let long = "é".repeat(10_000);
        let said = said(&[("a", &long), ("b", "short"), ("c", &long)], &MERGE);
        assert!(said.len() <= MOST_INSTRUCTIONS && said.len() > MOST_INSTRUCTIONS - 16, "{}", said.len());
        let (a, rest) = said.split_once("\n\n## b\n\nshort\n\n## c\n\n").unwrap();
        assert!(a.ends_with("é…") && rest.ends_with("é…"));
        assert!(a.len().abs_diff(rest.len()) < 16, "{} {}", a.len(), rest.len());
    }

    #[test]
    fn shares_are_what_is_needed_or_all_alike() {
        assert_eq!(shares(&[1, 2, 3], 6), [1, 2, 3]);
        assert_eq!(shares(&[9, 1, 9], 9), [4, 1, 4]);
        assert_eq!(shares(&[5, 5], 0), [0, 0]);
        assert!(shares(&[], 9).is_empty());
    }

    proptest! {
        #[test]
        fn instructions_are_never_longer_and_no_part_passes_for_another(
            texts in prop::collection::vec("[#b \n\ré\u{2028}]{0,60}|\\PC{0,60}", 0..5), max in 0_usize..300,
        ) {
            let parts: Vec<_> = texts.iter().map(|text| ("up", text.as_str())).collect();
            let options = Merge { max_instructions: max, ..MERGE };
            let whole = said(&parts, &options);
            prop_assert!(whole.len() <= max);
            let headings = whole.lines().filter(|line| line.starts_with("## ") || line.starts_with("# "));
            prop_assert!(headings.count() <= parts.len());
            prop_assert_eq!(said(&parts, &options), whole);
        }
    }
}
