//! docs/configuration.md, held against the schema and the binary.

use super::cli::{dir_with, narthex};
use super::repository::{quoted, read};
use serde_json::Value;
use std::collections::BTreeSet;

/// Every key of every mapping of the schema, also those of which exactly one is given.
fn keys(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                found.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| keys(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

#[test]
fn every_key_of_the_schema_is_on_the_page() {
    let schema: Value = serde_json::from_str(&read("docs/gateway.schema.json")).unwrap();
    let mut wanted = BTreeSet::new();
    keys(&schema, &mut wanted);
    assert!(wanted.len() > 60, "{wanted:?}");
    let page = read("docs/configuration.md");
    let named: BTreeSet<String> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|row| quoted(row).into_iter().next())
        .flat_map(|key| key.split('.').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let missing: Vec<_> = wanted.difference(&named).collect();
    assert!(missing.is_empty(), "not in a table of docs/configuration.md: {missing:?}");
    let made_up: Vec<_> = named.difference(&wanted).filter(|key| !key.starts_with(['*', '{'])).collect();
    assert!(made_up.is_empty(), "in a table of docs/configuration.md, but not in the schema: {made_up:?}");
}

/// The YAML examples of the page, each a whole file.
fn examples(page: &str) -> Vec<&str> {
    page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_examples_of_the_page_are_good() {
    let page = read("docs/configuration.md");
    let examples = examples(&page);
    assert!(examples.len() >= 3, "{examples:?}");
    for example in examples {
        let dir = dir_with(example);
        let checked = narthex(dir.path(), &["check", "--no-environment"]);
        assert_eq!(checked.code, Some(0), "{}\nof:\n{example}", checked.stderr);
    }
}
