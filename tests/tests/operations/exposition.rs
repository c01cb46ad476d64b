//! The text format of `/metrics`, read back.

use std::collections::{BTreeMap, BTreeSet};

/// What one scrape said.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    /// Type by name, as in `# TYPE`.
    pub(super) types: BTreeMap<String, String>,
    /// Names of labels by metric, without `le`; of those metrics that have a series.
    pub(super) labels: BTreeMap<String, BTreeSet<String>>,
    /// Every series as it is written, `le` and value left out.
    pub(super) series: BTreeSet<String>,
}

impl Exposition {
    pub(super) fn read(text: &str) -> Self {
        let mut read = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                read.types.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') {
                read.sample(line);
            }
        }
        read
    }

    fn sample(&mut self, line: &str) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let name = self.family(name);
        let labels: Vec<_> = pairs(labels.strip_suffix('}').unwrap());
        let labels: Vec<_> = labels.into_iter().filter(|(label, _)| label != "le").collect();
        self.series.insert(format!("{name}{labels:?}"));
        self.labels.entry(name).or_default().extend(labels.into_iter().map(|(label, _)| label));
    }

    /// The metric that a sample belongs to: a histogram's have suffixes.
    fn family(&self, name: &str) -> String {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        let is_histogram = |base: &&str| self.types.get(*base).is_some_and(|kind| kind == "histogram");
        base.filter(is_histogram).unwrap_or(name).to_owned()
    }
}

/// `a="b",c="d"`; values may have escaped quotes in them.
fn pairs(mut text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    while let Some((name, rest)) = text.split_once("=\"") {
        let mut end = 0;
        while rest.as_bytes()[end] != b'"' {
            end += if rest.as_bytes()[end] == b'\\' { 2 } else { 1 };
        }
        pairs.push((name.trim_start_matches(',').to_owned(), rest[..end].to_owned()));
        text = &rest[end + 1..];
    }
    pairs
}

#[test]
fn samples_are_read_with_their_labels() {
    let text = "# TYPE a histogram\na_bucket{x=\"q\\\"}\",le=\"1\"} 3\na_sum{x=\"q\\\"}\"} 1.5\n# TYPE b_count gauge\nb_count 1\n";
    let read = Exposition::read(text);
    assert_eq!(read.series.len(), 2, "{read:?}");
    assert!(read.labels["a"].iter().eq(["x"]) && read.labels["b_count"].is_empty(), "{read:?}");
}
