//! Whatever servers name and list, a merged route shows names that clients take, and items that are the
//! upstream's but for their name.

use narthex_mcp::federation::links::{self, LONGEST_LINK, MOST_LINKS};
use narthex_mcp::federation::{Naming, UriTemplate, item};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

const SHOWN: &str = "shown\"";

/// Takes `data` as an item and as a result; its first line as a prefix and as a template, the rest as a name
/// and as a URI.
///
/// # Panics
/// If a promise is broken.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (line, rest) = text.split_once('\n').unwrap_or(("", &text));
    names(line, rest);
    template(line, rest);
    for description in [None, Some("D")] {
        renamed(&text, description);
    }
    linked(&text);
}

fn names(prefix: &str, name: &str) {
    for (strict, prefixing) in [(false, true), (true, true), (false, false)] {
        let Ok(naming) = Naming::new("__", prefixing, strict) else { panic!("a separator") };
        let shown = naming.shown(prefix, name);
        assert_eq!(shown, naming.shown(prefix, name), "the same name again");
        let fits = naming.is_fit(&shown);
        assert!(fits || !prefixing && shown == name, "{shown:?} is not shown");
        assert!(fits || (1..=128).contains(&shown.chars().count()), "{shown:?} is too long");
        if prefixing {
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c) || c == '.' && !strict;
            assert!((1..=64).contains(&shown.len()) && shown.chars().all(plain), "{shown:?}");
            let other = naming.shown(prefix, &format!("{name}\n")).into_owned();
            assert_ne!(shown, other, "another name");
        }
    }
}

fn template(text: &str, uri: &str) {
    let Ok(template) = UriTemplate::parse(text) else { return };
    let _ = template.matches(uri);
    // A variable that is not defined leaves nothing (RFC 6570 §3.2.1).
    let mut bare = String::new();
    for part in text.split('{') {
        bare.push_str(part.split_once('}').map_or(part, |(_, literal)| literal));
    }
    assert!(template.matches(&bare), "{text:?} does not match {bare:?}");
    if text == bare {
        assert!(!template.matches(&format!("{text}!")), "{text:?} matches more");
    }
}

fn renamed(text: &str, description: Option<&str>) {
    let Some(renamed) = item::rename(text, SHOWN, description) else { return };
    assert_eq!(item::name_of(&renamed).as_deref(), Some(SHOWN));
    let (mut before, mut after) = (members(text), members(&renamed));
    assert_eq!(after.remove("name").map(RawValue::get), Some("\"shown\\\"\""));
    assert!(before.remove("name").is_some(), "a name from nowhere");
    if description.is_some() {
        assert_eq!(after.remove("description").map(RawValue::get), Some("\"D\""));
        before.remove("description");
    }
    let plain = |members: BTreeMap<String, &RawValue>| -> Vec<(String, String)> {
        members.into_iter().map(|(name, value)| (name, value.get().to_owned())).collect()
    };
    assert_eq!(plain(before), plain(after), "all else, to the byte");
    let Some(name) = item::name_of(text) else { panic!("a name that is none") };
    assert_eq!(item::rename(&renamed, &name, None).and_then(|back| item::name_of(&back)), Some(name));
}

fn members(text: &str) -> BTreeMap<String, &RawValue> {
    match serde_json::from_str(text) {
        Ok(members) => members,
        Err(error) => panic!("{error}: {text}"),
    }
}

fn linked(text: &str) {
    let mut found = Vec::new();
    links::uris(text, |uri| found.push(uri.to_owned()));
    assert!(found.len() <= MOST_LINKS, "too many links");
    assert!(found.iter().all(|uri| (1..=LONGEST_LINK).contains(&uri.len())), "a link's length");
    // Where nothing is escaped, they stand there as they are.
    let stands = |uri: &String| text.contains(&format!("\"{uri}\""));
    assert!(text.contains('\\') || found.iter().all(stands), "a link from nowhere: {found:?}");
}
