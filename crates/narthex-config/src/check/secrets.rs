//! `secrets:`, and the references to secrets.

use super::Check;
use crate::grammar::{self, Secret, problem_of_path};
use crate::model::{SecretRef, SecretStores, Vault, VaultAuth, VaultRef};
use crate::yaml::{Field, Span};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

const DEFAULT_MOUNT: &str = "secret";
const DEFAULT_REFRESH: Duration = Duration::from_secs(300);
const MIN_REFRESH: Duration = Duration::from_secs(1);
const MAX_REFRESH: Duration = Duration::from_secs(24 * 3600);

/// Where Kubernetes puts a pod's service-account token.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// What is known of the vault while the rest of the configuration is checked.
#[derive(Debug, Default)]
pub(crate) struct References {
    /// Whether there is one, be it with mistakes.
    is_there: Cell<bool>,
    mount: RefCell<String>,
    /// What is read from it.
    found: RefCell<BTreeSet<VaultRef>>,
}

impl Check<'_> {
    /// `secrets:`. Comes before everything that may refer to a secret.
    pub(super) fn secret_stores(&self, field: Field<grammar::Secrets>) -> Option<(Span, Vault)> {
        let vault = match field {
            Field::Absent => return None,
            Field::Bad(at) => Field::Bad(at),
            Field::Set(_, secrets) => secrets.vault,
        };
        self.references.is_there.set(!vault.is_absent());
        let (at, vault) = vault.with_span()?;
        let mount = self.mount(&vault.mount, DEFAULT_MOUNT);
        self.references.mount.replace(mount);
        self.vault(vault, at).map(|vault| (at, vault))
    }

    /// What was found: comes last.
    pub(super) fn found_references(&self, vault: Option<(Span, Vault)>) -> SecretStores {
        let references = self.references.found.take();
        if let (Some((at, _)), true) = (&vault, references.is_empty()) {
            let help = "write `{ vault: \"path#field\" }` where a secret is wanted, or remove `vault`";
            self.report.warn(*at, "nothing is read from this vault", help);
        }
        SecretStores { vault: vault.map(|(_, vault)| vault), references }
    }

    /// The reference to a secret.
    pub(super) fn secret(&self, field: &Field<Secret>) -> Option<SecretRef> {
        self.secret_at(field.span()?, field.get()?)
    }

    fn secret_at(&self, at: Span, secret: &Secret) -> Option<SecretRef> {
        match secret {
            Secret::File(path) if path.is_empty() => {
                self.report.error(at, "the path of this secret is empty");
            }
            Secret::Env(name) if name.is_empty() || name.contains(['=', '\0']) => {
                self.report.error(at, "not the name of an environment variable");
            }
            Secret::File(path) => return Some(SecretRef::File(self.path(path))),
            Secret::Env(name) => return Some(SecretRef::Env(name.clone())),
            Secret::Vault(reference) => return self.vault_ref(at, reference),
        }
        None
    }

    fn vault_ref(&self, at: Span, reference: &grammar::VaultRef) -> Option<SecretRef> {
        if !self.references.is_there.get() {
            let help = "add `secrets: { vault: { address: https://vault.example.com:8200, auth: … } }`";
            self.report.error_with_help(at, "there is no vault to read this from", help);
            return None;
        }
        let mount = reference.mount.clone().unwrap_or_else(|| self.references.mount.borrow().clone());
        for written in ["data", mount.as_str()] {
            if reference.path.strip_prefix(written).is_some_and(|rest| rest.starts_with('/')) {
                let message = format!("the path of this secret begins with `{written}/`");
                let help = "a path begins below the mount, as `bao kv get -mount=…` takes it";
                self.report.warn(at, message, help);
            }
        }
        let found = VaultRef { mount, path: reference.path.clone(), field: reference.field.clone() };
        self.references.found.borrow_mut().insert(found.clone());
        Some(SecretRef::Vault(found))
    }

    fn vault(&self, vault: grammar::Vault, at: Span) -> Option<Vault> {
        self.need(&vault.address, at, "address", "https://vault.example.com:8200");
        let insecure = vault.insecure.get().copied().unwrap_or(false);
        let address = self.endpoint(&vault.address, insecure);
        if let (Some(at), Some(url)) = (vault.address.span(), &address)
            && (url.query().is_some() || url.path().trim_end_matches('/').ends_with("/v1"))
        {
            self.report.error(at, "the address of a vault has no query and does not end in `/v1`");
        }
        self.need(&vault.auth, at, "auth", "{ approle: { role_id: …, secret_id: { file: … } } }");
        let bounds = "secrets are looked at every `1s` to every `24h`";
        self.within(&vault.refresh, |every| (MIN_REFRESH..=MAX_REFRESH).contains(&every.0), bounds);
        let ca = if vault.ca.is_absent() { Some(None) } else { self.file(&vault.ca).map(Some) };
        let namespace = if vault.namespace.is_absent() {
            Some(None)
        } else {
            self.path_in_vault(&vault.namespace).map(Some)
        };
        let auth = self.vault_auth(vault.auth);
        Some(Vault {
            address: address?,
            ca: ca?,
            namespace: namespace?,
            auth: auth?,
            refresh: Self::duration(&vault.refresh, DEFAULT_REFRESH),
        })
    }

    fn vault_auth(&self, field: Field<grammar::VaultAuth>) -> Option<VaultAuth> {
        let (at, auth) = field.with_span()?;
        match auth {
            grammar::VaultAuth::Token(token) => self.bootstrap(at, &token).map(VaultAuth::Token),
            grammar::VaultAuth::Approle(role) => {
                self.need(&role.secret_id, at, "secret_id", "{ file: /run/secrets/vault-secret-id }");
                let secret_id = role.secret_id.span().zip(role.secret_id.get());
                let secret_id = secret_id.and_then(|(at, secret)| self.bootstrap(at, secret));
                let mount = self.mount(&role.mount, "approle");
                let (_, role_id) = self.required(role.role_id, at, "role_id", "narthex")?;
                Some(VaultAuth::AppRole { role_id, secret_id: secret_id?, mount })
            }
            grammar::VaultAuth::Kubernetes(kubernetes) => {
                let jwt = match kubernetes.jwt.is_absent() {
                    true => Some(PathBuf::from(SERVICE_ACCOUNT)),
                    false => self.file(&kubernetes.jwt),
                };
                let mount = self.mount(&kubernetes.mount, "kubernetes");
                let (_, role) = self.required(kubernetes.role, at, "role", "narthex")?;
                Some(VaultAuth::Kubernetes { role, jwt: jwt?, mount })
            }
        }
    }

    /// A secret that opens the vault, and so cannot be in it.
    fn bootstrap(&self, at: Span, secret: &Secret) -> Option<SecretRef> {
        if let Secret::Vault(_) = secret {
            let help = "use `{ file: path }` or `{ env: NAME }`";
            self.report.error_with_help(at, "what opens the vault cannot be read from it", help);
            return None;
        }
        self.secret_at(at, secret)
    }

    fn mount(&self, field: &Field<String>, default: &str) -> String {
        self.path_in_vault(field).unwrap_or_else(|| default.to_owned())
    }

    fn path_in_vault(&self, field: &Field<String>) -> Option<String> {
        let (at, path) = (field.span()?, field.get()?);
        if let Some(problem) = problem_of_path(path) {
            self.report.error(at, problem);
            return None;
        }
        Some(path.clone())
    }
}
