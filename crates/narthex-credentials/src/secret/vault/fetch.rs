//! Reading all that a configuration names.

use super::answer::Version;
use super::login::Vault;
use super::problem::VaultProblem;
use crate::secret::{Secret, SecretError, SecretProblem, Secrets, describe};
use narthex_config::model::{SecretRef, SecretStores, VaultRef};
use narthex_telemetry::Events;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Time for reading all of them, the login included.
const DEADLINE: Duration = Duration::from_secs(30);

/// Secrets that are asked for at one time.
const AT_ONCE: usize = 8;

/// What one configuration reads from the vault, and where it was read.
#[derive(Debug)]
pub(in crate::secret) struct Fetched {
    pub(super) vault: Arc<Vault>,
    pub(super) values: BTreeMap<VaultRef, Secret>,
    pub(super) versions: BTreeMap<Place, u64>,
}

/// Where a secret is: its mount and its path.
pub(super) type Place = (String, String);

/// What came of reading, reference by reference.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) values: BTreeMap<VaultRef, Secret>,
    pub(super) versions: BTreeMap<Place, u64>,
    pub(super) problems: BTreeMap<VaultRef, VaultProblem>,
}

impl Fetched {
    /// Reads all that `stores` names. While the vault cannot be asked, what was read for `previous` from the same
    /// vault counts on. `None`: nothing is named, and so nothing is asked.
    pub(in crate::secret) async fn read(
        stores: &SecretStores,
        bootstrap: Secrets,
        previous: Option<&Arc<Self>>,
        events: &Events,
    ) -> Result<Option<Self>, SecretError> {
        let (Some(settings), Some(first)) = (&stores.vault, stores.references.first()) else {
            return Ok(None);
        };
        let previous = previous.filter(|previous| previous.vault.is_for(settings));
        let vault = match previous {
            Some(previous) => Arc::clone(&previous.vault),
            None => Arc::new(Vault::open(settings, bootstrap, events).map_err(|e| failed(first, e))?),
        };
        let references: Vec<_> = stores.references.iter().cloned().collect();
        let mut reading = Reading::of(&vault, &references).await;
        reading.count(events);
        if let Some(previous) = previous {
            reading.fall_back_on(previous);
        }
        for (reference, problem) in &reading.problems {
            tracing::error!(%reference, %problem, "a secret cannot be read from the vault");
        }
        match reading.problems.pop_first() {
            Some((reference, problem)) => Err(failed(&reference, problem)),
            None => Ok(Some(Self { vault, values: reading.values, versions: reading.versions })),
        }
    }

    pub(in crate::secret) fn value(&self, reference: &VaultRef) -> Option<&Secret> {
        self.values.get(reference)
    }

    /// Gives the login up.
    pub(in crate::secret) async fn log_out(&self) {
        self.vault.log_out().await;
    }

    /// Whether both are of one login.
    pub(in crate::secret) fn shares_login(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.vault, &other.vault)
    }
}

fn failed(reference: &VaultRef, problem: VaultProblem) -> SecretError {
    let reference = describe(&SecretRef::Vault(reference.clone()));
    SecretError { reference, problem: SecretProblem::Vault(problem) }
}

impl Reading {
    /// Reads these references, each secret once. After the first that the vault cannot be asked for, the rest is
    /// not tried.
    pub(super) async fn of(vault: &Arc<Vault>, references: &[VaultRef]) -> Self {
        let mut reading = Self::default();
        let mut fields: BTreeMap<Place, Vec<String>> = BTreeMap::new();
        for VaultRef { mount, path, field } in references {
            fields.entry((mount.clone(), path.clone())).or_default().push(field.clone());
        }
        let deadline = Instant::now() + DEADLINE;
        let late = || VaultProblem::Unreachable("not all secrets came in time".to_owned());
        let login = tokio::time::timeout_at(deadline, vault.token()).await.unwrap_or_else(|_| Err(late()));
        let (token, mut given_up) = match login {
            Ok(token) => (Some(token), None),
            Err(problem) => (None, Some(problem)),
        };
        let mut asked = JoinSet::new();
        let mut open = fields.clone().into_iter();
        loop {
            while let Some(token) = token.as_ref().filter(|_| given_up.is_none() && asked.len() < AT_ONCE) {
                let Some((place, fields)) = open.next() else { break };
                asked.spawn(read_one(Arc::clone(vault), token.clone(), place, fields));
            }
            match tokio::time::timeout_at(deadline, asked.join_next()).await {
                Ok(None) => break,
                Ok(Some(Ok((place, found)))) => {
                    let found = found.inspect_err(|problem| {
                        if problem.may_pass() {
                            given_up.get_or_insert_with(|| problem.clone());
                        }
                    });
                    let fields = fields.remove(&place).unwrap_or_default();
                    reading.take(&place, &fields, found);
                }
                // A task that was ended; its secret is among those that are left.
                Ok(Some(Err(_))) => {}
                Err(_) => {
                    given_up = Some(late());
                    asked.abort_all();
                }
            }
        }
        let left = given_up.unwrap_or_else(late);
        fields.iter().for_each(|(place, fields)| reading.take(place, fields, Err(left.clone())));
        reading
    }

    fn take(&mut self, place: &Place, fields: &[String], found: Result<Version, VaultProblem>) {
        let mut found = found.map(|version| {
            self.versions.insert(place.clone(), version.number);
            version.fields
        });
        for field in fields {
            let reference = VaultRef { mount: place.0.clone(), path: place.1.clone(), field: field.clone() };
            let value = match &mut found {
                Ok(values) => values.remove(field).unwrap_or(Err(VaultProblem::NoField)),
                Err(problem) => Err(problem.clone()),
            };
            match value {
                Ok(value) => _ = self.values.insert(reference, value),
                Err(problem) => _ = self.problems.insert(reference, problem),
            }
        }
    }

    /// Takes from `previous` what the vault could not be asked for.
    fn fall_back_on(&mut self, previous: &Fetched) {
        self.problems.retain(|reference, problem| {
            let known = previous.values.get(reference).filter(|_| problem.may_pass());
            let Some(value) = known else { return true };
            tracing::warn!(%reference, %problem, "a secret cannot be read again, its last value counts on");
            self.values.insert(reference.clone(), value.clone());
            let place = (reference.mount.clone(), reference.path.clone());
            if let Some(version) = previous.versions.get(&place) {
                self.versions.insert(place, *version);
            }
            false
        });
    }

    /// Counts it: as the first of its problems, if there are any.
    pub(super) fn count(&self, events: &Events) {
        let result = self.problems.values().next().map_or("ok", VaultProblem::result);
        events.secrets_refreshed(result, SystemTime::now());
    }
}

async fn read_one(
    vault: Arc<Vault>,
    token: Secret,
    place: Place,
    fields: Vec<String>,
) -> (Place, Result<Version, VaultProblem>) {
    let wanted: Vec<&str> = fields.iter().map(String::as_str).collect();
    let found = vault.read(&token, &place.0, &place.1, &wanted).await;
    (place, found)
}
