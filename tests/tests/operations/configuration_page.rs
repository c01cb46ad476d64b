//! docs/configuration.md, held against the schema and the binary.

use super::cli::{dir_with, narthex};
use super::repository::{quoted, read, table};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// docs/gateway.schema.json.
struct Schema(Value);

impl Schema {
    /// What `node` refers to, if it does.
    fn resolve<'a>(&'a self, node: &'a Value) -> &'a Value {
        match node["$ref"].as_str() {
            Some(reference) => self.0.pointer(reference.trim_start_matches('#')).unwrap(),
            None => node,
        }
    }

    /// The keys of a mapping, also those of which exactly one is given.
    fn keys<'a>(&'a self, node: &'a Value) -> BTreeMap<&'a str, &'a Value> {
        let node = self.resolve(node);
        let choices = ["oneOf", "anyOf"].iter().filter_map(|choice| node[choice].as_array()).flatten();
        let mappings = choices.chain([node]).filter_map(|node| node["properties"].as_object());
        mappings.flatten().map(|(key, node)| (key.as_str(), node)).collect()
    }

    /// The mapping at a path such as `auth.issuers[].tenant`; `*` stands for any name.
    fn at(&self, path: &str) -> &Value {
        let segments = path.split('.').flat_map(|segment| match segment.strip_suffix("[]") {
            Some(list) => vec![list, "[]"],
            None => vec![segment],
        });
        segments.fold(&self.0, |node, segment| match segment {
            "*" => &self.resolve(node)["additionalProperties"],
            "[]" => &self.resolve(node)["items"],
            key => self.keys(node).get(key).unwrap_or_else(|| panic!("{path}: the schema has no {key}")),
        })
    }
}

/// The headings of the page that are paths of mappings, each with the keys of its table.
fn sections(page: &str) -> Vec<(String, BTreeSet<String>)> {
    let headings = page.lines().filter_map(|line| line.strip_prefix("### "));
    headings
        .map(|heading| {
            let text = page.replace(&format!("### {heading}"), &format!("## {heading}"));
            let keys = table(&text, heading).iter().map(|cells| quoted(&cells[0]).remove(0)).collect();
            (quoted(heading).remove(0), keys)
        })
        .collect()
}

#[test]
fn every_key_of_the_schema_is_on_the_page_and_no_other() {
    let schema = Schema(serde_json::from_str(&read("docs/gateway.schema.json")).unwrap());
    let page = read("docs/configuration.md");
    let top: BTreeSet<_> =
        table(&page, "The sections of `gateway.yaml`").iter().map(|c| quoted(&c[0]).remove(0)).collect();
    assert!(top.iter().eq(schema.keys(&schema.0).keys()), "{top:?}");
    let mut covered = Vec::new();
    for (path, keys) in sections(&page) {
        let node = schema.at(&path);
        let wanted: Vec<_> = schema.keys(node).into_keys().collect();
        assert!(keys.iter().eq(&wanted), "{path}: {keys:?} on the page, {wanted:?} in the schema");
        covered.push(schema.resolve(node));
    }
    let mappings = schema.0["$defs"].as_object().unwrap().iter();
    let mappings: Vec<_> = mappings.filter(|(_, node)| !schema.keys(node).is_empty()).collect();
    assert!(mappings.len() > 15, "{}", mappings.len());
    for (name, node) in mappings {
        assert!(covered.contains(&node), "{name}: no section of the page is about it");
    }
}

/// The YAML examples of the page, each a whole file.
fn examples(page: &str) -> Vec<&str> {
    page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_examples_of_the_page_are_good() {
    are_good("docs/configuration.md", 3);
}

#[test]
fn the_examples_of_credentials_are_good() {
    are_good("docs/credentials.md", 8);
}

fn are_good(page: &str, least: usize) {
    let page = read(page);
    let examples = examples(&page);
    assert!(examples.len() >= least, "{examples:?}");
    for example in examples {
        let dir = dir_with(example);
        let checked = narthex(dir.path(), &["check", "--no-environment"]);
        assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "of:\n{example}");
    }
}
