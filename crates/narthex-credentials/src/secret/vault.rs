//! Secrets of an OpenBao or HashiCorp Vault: the KV version 2 secrets engine, read over HTTP.
//!
//! Only what the configuration names is ever asked for, one path at a time; nothing is listed. No redirect is
//! followed: it would take the gateway's token to a host that nobody configured.
//!
//! Why not `vaultrs`: it makes an HTTP client of its own, which follows redirects, resolves to any address and
//! takes what it was not told from `VAULT_*`; and it keeps tokens as text that is not zeroed and that `Debug`
//! prints. Four calls are all that is wanted here.

mod answer;
mod api;
mod fetch;
mod keep;
mod lease;
mod login;
mod problem;

pub(super) use fetch::Fetched;
pub use problem::VaultProblem;
