//! `secrets:`.

use super::reference::{FileRef, Secret};
use super::scalar::{HttpUrl, HumanDuration};
use crate::yaml::Field;
use schemars::JsonSchema;
use serde::Deserialize;

/// Where secrets are read from, beside files and the environment.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Secrets {
    /// The vault that `{ vault: path#field }` refers to.
    pub(crate) vault: Field<Vault>,
}

/// An OpenBao or HashiCorp Vault with a KV version 2 secrets engine.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["address", "auth"]))]
pub(crate) struct Vault {
    /// Its URL, without `/v1`.
    pub(crate) address: Field<HttpUrl>,
    /// PEM file of the authorities that its certificate must chain to. Default: the system's.
    pub(crate) ca: Field<FileRef>,
    /// Namespace of everything that is asked of it.
    pub(crate) namespace: Field<String>,
    /// Where the secrets engine is mounted, for references that do not say. Default `secret`.
    pub(crate) mount: Field<String>,
    /// How the gateway logs in.
    pub(crate) auth: Field<VaultAuth>,
    /// How often it is looked whether a secret has changed, at least `1s`. Default `5m`.
    pub(crate) refresh: Field<HumanDuration>,
    /// Accept plain `http` for a host that is not loopback.
    pub(crate) insecure: Field<bool>,
}

/// How the gateway logs in to its vault.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VaultAuth {
    /// A token that somebody else made.
    Token(Secret),
    /// The AppRole method.
    Approle(AppRole),
    /// The Kubernetes method: with the token of the pod's service account.
    Kubernetes(Kubernetes),
}

/// A login as a role for machines.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["role_id", "secret_id"]))]
pub(crate) struct AppRole {
    /// The role's id.
    pub(crate) role_id: Field<String>,
    /// The role's secret id, which must be good for more than one login.
    pub(crate) secret_id: Field<Secret>,
    /// Where the method is mounted. Default `approle`.
    pub(crate) mount: Field<String>,
}

/// A login as a Kubernetes service account.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["role"]))]
pub(crate) struct Kubernetes {
    /// The role, as the vault calls it.
    pub(crate) role: Field<String>,
    /// The service account's token. Default: where Kubernetes puts it,
    /// `/var/run/secrets/kubernetes.io/serviceaccount/token`.
    pub(crate) jwt: Field<FileRef>,
    /// Where the method is mounted. Default `kubernetes`.
    pub(crate) mount: Field<String>,
}
