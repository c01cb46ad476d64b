//! Users that the configuration names, for development on one machine.

use super::{Problem, User};
use crate::pages::LocalChoice;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use narthex_config::model::LocalUser;
use narthex_identity::client_auth::SecretSource;
use parking_lot::Mutex;
use secrecy::ExposeSecret;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Wrong passwords of one user in [`WINDOW`] until none is looked at.
const TRIES: u32 = 5;
const WINDOW: Duration = Duration::from_secs(60);

/// The users, and how often their passwords were tried.
pub(super) struct LocalUsers {
    users: Vec<LocalUser>,
    secrets: Arc<dyn SecretSource>,
    /// By name; only of users that there are, so it does not grow.
    tries: Mutex<HashMap<String, Tries>>,
}

#[derive(Clone, Copy)]
struct Tries {
    since: SystemTime,
    wrong: u32,
}

impl LocalUsers {
    pub(super) fn new(users: &[LocalUser], secrets: Arc<dyn SecretSource>) -> Self {
        Self { users: users.to_vec(), secrets, tries: Mutex::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// What the page offers.
    pub(super) fn choices(&self) -> Vec<LocalChoice<'_>> {
        self.users
            .iter()
            .map(|user| LocalChoice {
                name: &user.name,
                tenant: user.tenant.as_str(),
                has_password: user.password.is_some(),
            })
            .collect()
    }

    /// The user of this name, if the password is theirs. `Ok(None)`: it is not, or there is no such user.
    pub(super) fn log_in(
        &self,
        name: &str,
        password: &str,
        now: SystemTime,
    ) -> Result<Option<User>, Problem> {
        let Some(user) = self.users.iter().find(|user| user.name == name) else { return Ok(None) };
        if let Some(reference) = &user.password {
            self.begin_try(name, now)?;
            let kept = self.secrets.read(reference).map_err(Problem::Provider)?;
            if !is_same(kept.expose_secret(), password) {
                return Ok(None);
            }
            self.tries.lock().remove(name);
        }
        Ok(Some(User {
            tenant: user.tenant.clone(),
            subject: User::subject_of(User::LOCAL, name),
            provider: User::LOCAL.to_owned(),
            provider_issuer: String::new(),
            provider_subject: name.to_owned(),
            name: name.to_owned(),
            groups: user.groups.clone(),
            authenticated_at: now,
        }))
    }

    /// Counts a try as wrong until it turns out to be good, so that many at once count as many.
    fn begin_try(&self, name: &str, now: SystemTime) -> Result<(), Problem> {
        let mut tries = self.tries.lock();
        let tries = tries.entry(name.to_owned()).or_insert(Tries { since: now, wrong: 0 });
        if now.duration_since(tries.since).is_ok_and(|since| since >= WINDOW) {
            *tries = Tries { since: now, wrong: 0 };
        }
        if tries.wrong >= TRIES {
            return Err(Problem::TooMany);
        }
        tries.wrong += 1;
        Ok(())
    }
}

impl fmt::Debug for LocalUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.users.iter().map(|user| &user.name)).finish()
    }
}

/// Whether two passwords are the same, in a time that depends on neither's content nor length.
fn is_same(one: &str, other: &str) -> bool {
    let hash = |text: &str| digest(&SHA256, text.as_bytes());
    verify_slices_are_equal(hash(one).as_ref(), hash(other).as_ref()).is_ok()
}
