//! What waits, and since when; and the file that says so while no gateway runs.

use crate::definition::Definition;
use crate::error::PinsError;
use crate::file::{check_version, no_others, take_definition};
use crate::json::{self, Value, object};
use crate::judge::{Candidate, Standing, Why};
use crate::shown::shown;
use crate::write;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// What has not been seen for so long is no longer reported, seconds. Callers with other credentials may be
/// shown other tools, so that not being shown once means nothing.
const FORGOTTEN_AFTER: u64 = 24 * 3600;

/// A record that has not been seen for so long makes room for another, seconds.
const STALE_AFTER: u64 = 3600;

/// Definitions of one tool that are kept.
const MAX_PER_TOOL: usize = 4;
/// Definitions of one upstream that are kept, and bytes of them. What is beyond waits all the same.
const MAX_PER_UPSTREAM: usize = 1024;
const MAX_BYTES_PER_UPSTREAM: usize = 8 << 20;

/// Longest label of a suspicion that is kept, characters.
const MAX_SUSPICION: usize = 128;

/// One definition that waits. Times are Unix seconds.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) definition: Definition,
    pub(crate) why: Why,
    pub(crate) suspicion: Option<String>,
    pub(crate) since: u64,
    pub(crate) seen: AtomicU64,
}

/// All that waits, by upstream and tool.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    upstreams: BTreeMap<String, BTreeMap<String, Vec<Record>>>,
}

// === impl Record ===

impl Record {
    fn new(candidate: &Candidate, why: Why, now: u64) -> Self {
        let suspicion = candidate.suspicion.as_ref().map(|label| label.chars().take(MAX_SUSPICION).collect());
        Self {
            definition: candidate.definition.clone(),
            why,
            suspicion,
            since: now,
            seen: AtomicU64::new(now),
        }
    }

    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }
}

// === impl Quarantine ===

impl Quarantine {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Record)> {
        self.upstreams.iter().flat_map(|(upstream, tools)| {
            tools.values().flatten().map(move |record| (upstream.as_str(), record))
        })
    }

    /// What waits of one tool.
    pub(crate) fn of(&self, upstream: &str, tool: &str) -> &[Record] {
        self.upstreams.get(upstream).and_then(|tools| tools.get(tool)).map_or(&[], Vec::as_slice)
    }

    /// Marks a record as seen. Whether there is one as it should be.
    pub(crate) fn see(&self, upstream: &str, candidate: &Candidate, why: Why, now: u64) -> bool {
        let digest = candidate.definition.digest();
        let records = self.of(upstream, &candidate.definition.name);
        let found = records.iter().find(|r| r.definition.digest() == digest && r.why == why);
        found.inspect(|record| _ = record.seen.fetch_max(now, Ordering::Relaxed)).is_some()
    }

    /// Records that `candidate` waits. Whether that is news.
    pub(crate) fn add(&mut self, upstream: &str, candidate: &Candidate, why: Why, now: u64) -> bool {
        if self.see(upstream, candidate, why, now) || !self.makes_room(upstream, &candidate.definition, now) {
            return false;
        }
        let tools = self.upstreams.entry(upstream.to_owned()).or_default();
        let records = tools.entry(candidate.definition.name.clone()).or_default();
        let digest = candidate.definition.digest();
        let known = records.iter().position(|record| record.definition.digest() == digest);
        let mut record = Record::new(candidate, why, now);
        if let Some(at) = known {
            record.since = records.swap_remove(at).since;
        } else if records.len() >= MAX_PER_TOOL {
            let oldest = (0..records.len()).min_by_key(|at| records.get(*at).map(Record::seen));
            oldest.map(|at| records.swap_remove(at));
        }
        records.push(record);
        records.sort_by_key(|record| (record.since, *record.definition.digest()));
        known.is_none()
    }

    /// Whether `definition` can be kept, perhaps in the place of stale ones.
    fn makes_room(&mut self, upstream: &str, definition: &Definition, now: u64) -> bool {
        let Some(tools) = self.upstreams.get_mut(upstream) else { return true };
        let size = |records: &[Record]| records.iter().map(|r| r.definition.canonical().len()).sum::<usize>();
        let fits = |tools: &BTreeMap<String, Vec<Record>>| {
            let count: usize = tools.values().map(Vec::len).sum();
            let bytes: usize = tools.values().map(|records| size(records)).sum();
            count < MAX_PER_UPSTREAM && bytes + definition.canonical().len() <= MAX_BYTES_PER_UPSTREAM
        };
        if !fits(tools) {
            tools.retain(|_, records| {
                records.retain(|record| record.seen() + STALE_AFTER > now);
                !records.is_empty()
            });
        }
        fits(tools)
    }

    /// Keeps what `wanted` wants. Whether something went.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&str, &Record) -> bool) -> bool {
        let before = self.iter().count();
        for (upstream, tools) in &mut self.upstreams {
            tools.values_mut().for_each(|records| records.retain(|record| wanted(upstream, record)));
            tools.retain(|_, records| !records.is_empty());
        }
        self.upstreams.retain(|_, tools| !tools.is_empty());
        self.iter().count() != before
    }

    /// Forgets what was not seen for long. Whether something went.
    pub(crate) fn expire(&mut self, now: u64) -> bool {
        self.retain(|_, record| record.seen() + FORGOTTEN_AFTER > now)
    }
}

/// Whether this standing is to be kept where `is_approved` says if its definition is approved: the second of
/// two tools of one name is hidden even then, but needs no decision.
pub(crate) fn waits(standing: Standing, is_approved: bool) -> Option<Why> {
    match standing {
        Standing::Quarantined(why) if !is_approved => Some(why),
        _ => None,
    }
}

// === the file ===

/// What the file at `path` says; nothing if there is none.
pub(crate) fn read(path: &Path) -> Result<Quarantine, PinsError> {
    let Some(text) = write::read(path)? else { return Ok(Quarantine::default()) };
    let value = json::parse(&text).map_err(|fault| PinsError::syntax(path, &fault))?;
    parse(value).map_err(|what| PinsError::content(path, what))
}

pub(crate) fn format(quarantine: &Quarantine) -> String {
    let records = quarantine.iter().map(|(upstream, record)| {
        let suspicion = record.suspicion.as_deref().map_or(Value::Null, Value::from);
        object([
            ("definition", Value::Object(record.definition.members())),
            ("seen", record.seen().into()),
            ("sha256", record.definition.sha256().as_str().into()),
            ("since", record.since.into()),
            ("suspicion", suspicion),
            ("upstream", upstream.into()),
            ("why", record.why.as_str().into()),
        ])
    });
    object([("quarantined", Value::Array(records.collect())), ("version", Value::from(1_u64))]).pretty()
        + "\n"
}

fn parse(value: Value) -> Result<Quarantine, String> {
    let mut members = value.into_object().ok_or("expected an object")?;
    check_version(&mut members)?;
    let Some(Value::Array(records)) = members.remove("quarantined") else {
        return Err("`quarantined` must be a list".to_owned());
    };
    no_others(&members, "")?;
    let mut quarantine = Quarantine::default();
    for (number, record) in records.into_iter().enumerate() {
        let (upstream, record) = parse_record(record, &format!("record {number}: "))?;
        let tools = quarantine.upstreams.entry(upstream).or_default();
        tools.entry(record.definition.name.clone()).or_default().push(record);
    }
    Ok(quarantine)
}

fn parse_record(value: Value, at: &str) -> Result<(String, Record), String> {
    let mut members = value.into_object().ok_or_else(|| format!("{at}expected an object"))?;
    let definition = take_definition(&mut members, at)?;
    let mut take = |name: &str| members.remove(name).ok_or_else(|| format!("{at}`{name}` is missing"));
    let (upstream, why, suspicion) = (take("upstream")?, take("why")?, take("suspicion")?);
    let (since, seen) = (take("since")?.as_u64(), take("seen")?.as_u64());
    no_others(&members, at)?;
    let upstream = upstream.as_str().ok_or_else(|| format!("{at}`upstream` must be text"))?.to_owned();
    let why = why.as_str().and_then(|name| Why::ALL.into_iter().find(|why| why.as_str() == name));
    let record = Record {
        definition,
        why: why.ok_or_else(|| format!("{at}`why` is unknown"))?,
        suspicion: suspicion.as_str().map(shown),
        since: since.ok_or_else(|| format!("{at}`since` must be a time"))?,
        seen: AtomicU64::new(seen.ok_or_else(|| format!("{at}`seen` must be a time"))?),
    };
    Ok((upstream, record))
}
