//! The grammar's values → the model: defaults filled in, names resolved, rules between keys checked.
//! Nothing here stops at the first mistake; what cannot be built is left out and is on the report.

mod auth;
mod authority;
mod client;
mod consent;
mod credential;
mod dpop;
mod exchange;
mod expose;
mod files;
mod http_limits;
mod inspect;
mod limits;
mod login;
mod pins;
mod protocol;
mod quirks;
mod reach;
mod route;
mod secrets;
mod server;
mod stdio;
mod store;
mod target;
mod tenant;
mod transport;
mod upstream;
pub(crate) mod url;

pub(crate) use files::files_of;
pub(crate) use secrets::References;

use crate::diagnostic::Report;
use crate::grammar::{self, Count, FileRef, Gateway, HumanDuration, Name, Scope};
use crate::model::{Config, ScopeName};
use crate::yaml::{Field, Named, Span, nearest, one_of};
use std::collections::{BTreeSet, HashSet};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest text that clients are shown, in bytes.
const MAX_PROSE: usize = 16 << 10;

/// What all checks need.
pub(crate) struct Check<'a> {
    pub(crate) report: &'a Report,
    /// The configuration's directory, against which paths are resolved.
    pub(crate) dir: &'a Path,
    /// Default of `server.state_dir`.
    pub(crate) state_dir: PathBuf,
    /// What is read from the vault.
    pub(crate) references: References,
}

/// The names that may be referred to, including those whose entries have mistakes.
struct Names {
    tenants: BTreeSet<String>,
    upstreams: BTreeSet<String>,
    routes: BTreeSet<String>,
}

/// The model of `gateway`, unless the report has an error afterwards.
pub(crate) fn check(gateway: Gateway, cx: &Check<'_>) -> Option<Config> {
    let names = Names {
        tenants: keys(&gateway.tenants),
        upstreams: keys(&gateway.upstreams),
        routes: keys(&gateway.routes),
    };
    let unused = unused(&gateway);
    cx.users_for_consent(&gateway);
    cx.logins_for_id_tokens(&gateway);
    let vault = cx.secret_stores(gateway.secrets);
    let server = cx.server(gateway.server);
    let admin = cx.admin(&gateway.admin);
    let trusts_somebody = trusts_somebody(&gateway.auth);
    let auth = cx.auth(gateway.auth, server.as_ref(), &names);
    let tenants = cx.tenants(&gateway.tenants, &names);
    let pins = cx.pins(gateway.pins);
    let in_memory = gateway.store.get().and_then(|store| store.memory.span());
    let store = cx.store(gateway.store, server.as_ref());
    let upstreams = cx.upstreams(gateway.upstreams, pins.mode);
    cx.own_paths(&gateway.routes, auth.authority.is_some());
    let routes = cx.routes(gateway.routes, server.as_ref(), &names, trusts_somebody, &tenants, &upstreams);
    cx.tenants_reach(&gateway.tenants, &routes);
    if cx.report.has_errors() {
        return None;
    }
    for (name, at) in unused {
        cx.report.warn(at, format!("no route uses upstream `{name}`"), "name it in a route, or remove it");
    }
    let (secrets, server) = (cx.found_references(vault), server?);
    cx.memory_is_for_development(in_memory, &server, &auth);
    Some(Config { server, admin, secrets, auth, tenants, pins, store: store?, upstreams, routes })
}

/// The upstreams that no route names, and where they are.
fn unused(gateway: &Gateway) -> Vec<(String, Span)> {
    let routes = gateway.routes.get().into_iter().flat_map(|named| &named.0);
    let routes = routes.filter_map(|entry| entry.value.get());
    let named = routes.flat_map(|route| {
        let several = route.upstreams.get().into_iter().flatten().filter_map(Field::get);
        route.upstream.get().into_iter().chain(several)
    });
    let used: HashSet<&str> = named.map(|name| name.0.as_str()).collect();
    let upstreams = gateway.upstreams.get().into_iter().flat_map(|named| &named.0);
    let unused = upstreams.filter(|entry| !used.contains(entry.key.0.as_str()));
    unused.map(|entry| (entry.key.0.clone(), entry.at)).collect()
}

/// Whether there is an issuer, be it one with mistakes.
fn trusts_somebody(field: &Field<grammar::Auth>) -> bool {
    match field {
        Field::Absent => false,
        Field::Bad(_) => true,
        Field::Set(_, auth) => {
            let none = auth.issuers.is_absent() || auth.issuers.get().is_some_and(Vec::is_empty);
            !none || !auth.embedded.is_absent() || !auth.authority.is_absent()
        }
    }
}

fn keys<T>(named: &Field<Named<Name, T>>) -> BTreeSet<String> {
    named.get().into_iter().flat_map(|named| named.0.iter().map(|entry| entry.key.0.clone())).collect()
}

// === impl Check ===

impl Check<'_> {
    fn path(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    /// The path of `{ file: … }`.
    fn file(&self, field: &Field<FileRef>) -> Option<PathBuf> {
        let FileRef::File(path) = field.get()?;
        if path.is_empty() {
            self.report.error(field.span()?, "the path of this file is empty");
        }
        Some(self.path(path))
    }

    /// The value of a key that must be there; `owner` is the place of the mapping that lacks it.
    fn required<T>(&self, field: Field<T>, owner: Span, key: &str, example: &str) -> Option<(Span, T)> {
        self.need(&field, owner, key, example);
        field.with_span()
    }

    /// Reports that a key is not there.
    fn need<T>(&self, field: &Field<T>, owner: Span, key: &str, example: &str) {
        if field.is_absent() {
            let help = format!("add `{key}: {example}`");
            self.report.error_with_help(owner, format!("`{key}` is missing"), help);
        }
    }

    /// Text that may not be empty.
    fn text(&self, field: Field<String>) -> Option<String> {
        let (at, text) = field.with_span()?;
        if text.is_empty() || text.chars().any(char::is_control) {
            self.report.error(at, "expected text without control characters, and not empty");
            return None;
        }
        Some(text)
    }

    /// A duration that may be zero.
    fn duration(field: &Field<HumanDuration>, default: Duration) -> Duration {
        field.get().map_or(default, |duration| duration.0)
    }

    /// A duration that may not.
    fn nonzero(&self, field: &Field<HumanDuration>, default: Duration) -> Duration {
        let value = Self::duration(field, default);
        if let Some(at) = field.span()
            && value.is_zero()
        {
            self.report.error(at, "this duration cannot be zero");
        }
        value
    }

    /// Reports a value that is over (or under) a bound; `bounds` says both.
    fn within<T>(&self, field: &Field<T>, good: impl Fn(&T) -> bool, bounds: &str) {
        if let (Some(at), Some(value)) = (field.span(), field.get())
            && !good(value)
        {
            self.report.error(at, bounds);
        }
    }

    /// Text of several lines, at most 16 KiB of it.
    fn prose(&self, field: &Field<String>) -> Option<String> {
        let (at, text) = (field.span()?, field.get()?);
        if text.trim().is_empty() || text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            self.report.error(at, "expected text without control characters, and not empty");
            return None;
        }
        if text.len() > MAX_PROSE {
            self.report.error(at, "this text is over 16 KiB");
            return None;
        }
        Some(text.clone())
    }

    fn count(field: &Field<Count>, default: NonZeroU32) -> NonZeroU32 {
        field.get().map_or(default, |count| count.0)
    }

    fn usize(field: &Field<Count>, default: usize) -> usize {
        field.get().map_or(default, |count| usize::try_from(count.0.get()).unwrap_or(usize::MAX))
    }

    fn scopes<C: FromIterator<ScopeName>>(field: &Field<Vec<Field<Scope>>>) -> C {
        let scopes = field.get().into_iter().flatten().filter_map(Field::get);
        scopes.map(|scope| ScopeName::from(scope.0.as_str())).collect()
    }

    /// Whether `name` is among `known`; else that is reported.
    fn refers(&self, what: &str, name: &Name, at: Span, known: &BTreeSet<String>) -> bool {
        if known.contains(&name.0) {
            return true;
        }
        let known: Vec<&str> = known.iter().map(String::as_str).take(20).collect();
        let help = match nearest(&name.0, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if known.is_empty() => format!("add it under `{what}s:`"),
            None => format!("expected {}, or add it under `{what}s:`", one_of(&known)),
        };
        self.report.error_with_help(at, format!("there is no {what} `{}`", name.0), help);
        false
    }
}
