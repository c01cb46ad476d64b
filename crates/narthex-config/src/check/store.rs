//! `store:`.

use super::Check;
use super::url::{http_url, is_loopback};
use crate::grammar;
use crate::model::{Auth, RedisHome, SecretRef, Server, Store, StoreCapacity, StoreHome};
use crate::yaml::{Field, Span};
use std::num::NonZeroU32;
use std::time::Duration;
use url::Url;

/// Default of `store.file.path`, in `server.state_dir`.
const FILE_NAME: &str = "store.redb";

const PORT: u16 = 6379;

/// Longest `prefix`, in bytes.
const LONGEST_PREFIX: usize = 64;

/// Longest `timeout`. Requests wait for it.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(30);

impl Check<'_> {
    pub(super) fn store(&self, field: Field<grammar::Store>, server: Option<&Server>) -> Option<Store> {
        let (is_given, at) = (!field.is_absent(), field.span().unwrap_or(Span::START));
        let given = field.into_value().unwrap_or_default();
        self.one_home(&given);
        let keys = self.store_keys(&given.keys);
        let home = if given.redis.is_absent() {
            self.own_home(given, server?)
        } else {
            if given.keys.is_absent() {
                let message = "`keys` is missing: replicas that share a store must share its keys";
                let help = "add `keys: [{ file: /run/secrets/store-key }]`, made with `openssl rand -hex 32`";
                self.report.error_with_help(at, message, help);
            }
            let (at, redis) = given.redis.with_span()?;
            StoreHome::Redis(Box::new(self.redis(redis, at)?))
        };
        Some(Store { is_given, home, keys })
    }

    /// Reports a memory that forgets what was used once, where others than developers depend on it.
    pub(super) fn memory_is_for_development(&self, at: Option<Span>, server: &Server, auth: &Auth) {
        let is_local = http_url(&server.public_url.url).is_ok_and(|url| is_loopback(&url));
        if let (Some(at), Some(_), false) = (at, &auth.authority, is_local) {
            let message = "what is kept in memory is forgotten when it is full, and at the end: what was used once could be \
                           used again, and all logins and consents are gone";
            self.report.warn(at, message, "leave `store` out, which is a file, or name a `redis`");
        }
    }

    fn one_home(&self, given: &grammar::Store) {
        let homes = [given.file.span(), given.redis.span(), given.memory.span()];
        if let [_, second, ..] = *homes.into_iter().flatten().collect::<Vec<_>>() {
            self.report.error(second, "a store is in one place: `file`, `redis` or `memory`");
        }
    }

    fn store_keys(&self, field: &Field<Vec<Field<grammar::Secret>>>) -> Vec<SecretRef> {
        if let (Some(at), Some([])) = (field.span(), field.get().map(Vec::as_slice)) {
            self.report.error(at, "a store needs a key to seal with");
        }
        field.get().into_iter().flatten().filter_map(|key| self.secret(key)).collect()
    }

    fn own_home(&self, given: grammar::Store, server: &Server) -> StoreHome {
        if !given.memory.is_absent() {
            let memory = given.memory.into_value().unwrap_or_default();
            return StoreHome::Memory(StoreCapacity {
                entries: Self::count(&memory.entries, thousands(100)),
                bytes: memory.bytes.get().map_or(256 << 20, |size| size.0),
            });
        }
        let file = given.file.into_value().unwrap_or_default();
        let capacity = StoreCapacity {
            entries: Self::count(&file.entries, thousands(1000)),
            bytes: file.bytes.get().map_or(1 << 30, |size| size.0),
        };
        let path = self.text(file.path);
        let path = path.map_or_else(|| server.state_dir.join(FILE_NAME), |path| self.path(&path));
        StoreHome::File { path, capacity }
    }

    fn redis(&self, given: grammar::RedisStore, at: Span) -> Option<RedisHome> {
        let insecure = given.insecure.get().is_some_and(|insecure| *insecure);
        let address = self.required(given.url, at, "url", "rediss://redis.internal:6379");
        let address = address.and_then(|(at, text)| self.redis_url(&text, at, insecure));
        if let (true, Some(at)) = (given.password.is_absent(), given.username.span()) {
            self.need(&given.password, at, "password", "{ file: /run/secrets/redis }");
        }
        self.within(
            &given.timeout,
            |timeout| timeout.0 <= LONGEST_TIMEOUT,
            "requests wait for the store: at most 30s",
        );
        let timeout = self.nonzero(&given.timeout, Duration::from_secs(2));
        let (username, password) = (self.text(given.username), self.secret(&given.password));
        let (ca, ca_at) = (self.file(&given.ca), given.ca.span());
        let prefix = self.redis_prefix(given.prefix);
        let Address { host, port, database, tls } = address?;
        if let (Some(at), false) = (ca_at, tls) {
            self.report.error_with_help(at, "`redis://` is without TLS", "write `rediss://`, or remove `ca`");
        }
        Some(RedisHome { host, port, database, tls, username, password, ca, prefix, timeout })
    }

    fn redis_url(&self, text: &str, at: Span, insecure: bool) -> Option<Address> {
        let address = match redis_url(text) {
            Ok((address, _)) if address.tls || insecure => address,
            Ok((address, true)) => address,
            Ok((address, false)) => {
                let message = "plain `redis` to a host that is not loopback: what is kept would cross the network in the clear";
                let help = "use `rediss`, or set `insecure: true` if the network between is trusted";
                self.report.error_with_help(at, message, help);
                address
            }
            Err((message, help)) => {
                self.report.error_with_help(at, message, help);
                return None;
            }
        };
        Some(address)
    }

    fn redis_prefix(&self, field: Field<String>) -> String {
        let (at, prefix) = (field.span(), self.text(field));
        if let (Some(at), Some(prefix)) = (at, &prefix)
            && (prefix.len() > LONGEST_PREFIX || prefix.contains(['{', '}']))
        {
            self.report.error(at, "a prefix has at most 64 bytes and no `{` and `}`");
        }
        prefix.unwrap_or_else(|| "narthex:".to_owned())
    }
}

struct Address {
    host: String,
    port: u16,
    database: u16,
    tls: bool,
}

/// The parts of `rediss://host:port/database`, and whether the host is this machine. Errors do not repeat the
/// URL; each has a message and how to put it right.
fn redis_url(text: &str) -> Result<(Address, bool), (&'static str, &'static str)> {
    const FORM: &str = "write `rediss://host:6379`";
    let lower = text.to_ascii_lowercase();
    let (tls, rest) = match lower.split_once("://") {
        Some(("rediss", rest)) => (true, rest),
        Some(("redis", rest)) => (false, rest),
        _ => return Err(("not a `redis` or `rediss` URL", FORM)),
    };
    if rest.contains('@') {
        let help = "keep the password in a file and name it under `password: { file: … }`";
        return Err(("a URL must not contain a user name or password", help));
    }
    if rest.contains(['?', '#', '\\', '%']) || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(("this URL has more than a host, a port and a database's number", FORM));
    }
    // As one whose hosts are read by the URL standard's rules; others are not.
    let url = Url::parse(&format!("http://{rest}")).map_err(|_| ("not a URL", FORM))?;
    let host =
        url.host_str().filter(|_| !rest.starts_with([':', '/'])).ok_or(("this URL has no host", FORM))?;
    let database = match url.path().trim_start_matches('/') {
        "" => 0,
        number => number.parse().map_err(|_| ("not the number of a database", FORM))?,
    };
    // The standard leaves 80 out, which is what `http` has by itself.
    let default = if is_port_80(rest) { 80 } else { PORT };
    let port = url.port().unwrap_or(default);
    if port == 0 {
        return Err(("port 0 cannot be connected to", FORM));
    }
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok((Address { host, port, database, tls }, is_loopback(&url)))
}

fn is_port_80(rest: &str) -> bool {
    let authority = rest.split('/').next().unwrap_or_default();
    authority.rsplit_once(':').is_some_and(|(_, port)| port.parse() == Ok(80))
}

const fn thousands(thousands: u32) -> NonZeroU32 {
    match NonZeroU32::new(thousands * 1000) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_url_is_a_host_a_port_and_a_database() {
        for (text, expected) in [
            ("redis://localhost", ("localhost", 6379, 0, false, true)),
            ("rediss://Redis.internal:6380/2", ("redis.internal", 6380, 2, true, false)),
            ("rediss://10.0.0.1/", ("10.0.0.1", 6379, 0, true, false)),
            ("redis://[::1]:1", ("::1", 1, 0, false, true)),
            ("redis://host:80", ("host", 80, 0, false, false)),
        ] {
            let (found, loopback) = redis_url(text).map_err(|(message, _)| message).unwrap();
            let found = (found.host.as_str(), found.port, found.database, found.tls, loopback);
            assert_eq!(found, expected, "{text}");
        }
        for text in [
            "",
            "localhost",
            "localhost:6379",
            "http://localhost",
            "redis:localhost",
            "redis://",
            "redis:///1",
            "redis://:6379",
            "redis://user:hunter2@host",
            "redis://:hunter2@host",
            "redis://host/x",
            "redis://host/1/2",
            "redis://host/99999",
            "redis://host/-1",
            "redis://host?db=1",
            "redis://host#1",
            "redis://ho st",
            "redis://host:0",
            "redis://host:99999",
            "redis+unix:///run/redis.sock",
        ] {
            let Err((message, help)) = redis_url(text) else { panic!("{text}") };
            assert!(!message.contains("hunter2") && !help.contains("hunter2"), "{text}");
        }
    }
}
