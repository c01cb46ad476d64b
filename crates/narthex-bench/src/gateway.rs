//! What Narthex is started with: everything that a tool call can cost is on, and no limit is reached.

use crate::Error;
use crate::tokens::{ISSUER, Issuer};
use crate::workload::Workload;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// The route's path.
pub const PATH: &str = "/bench";
/// The paths of routes to the same upstream as one of another era than the client's, and what they are for.
pub const BRIDGED: [(Workload, &str); 2] =
    [(Workload::ToLegacy, "/to-legacy"), (Workload::ToModern, "/to-modern")];

/// How much is configured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Size {
    /// Further routes, to the same upstream.
    pub routes: usize,
    /// Tenants that the callers are spread over.
    pub tenants: usize,
    /// Callers, if not as many as the options say.
    pub callers: Option<usize>,
}

impl Default for Size {
    fn default() -> Self {
        Self { routes: 0, tenants: 8, callers: None }
    }
}

/// A configuration that was written, and tokens that it accepts.
#[derive(Debug)]
pub struct Gateway {
    /// The configuration file.
    pub config: PathBuf,
    /// One token for each caller.
    pub tokens: Arc<[String]>,
    /// The same for each of [`BRIDGED`].
    pub bridged: [Arc<[String]>; BRIDGED.len()],
    /// Signs more of them.
    pub issuer: Arc<Issuer>,
}

impl Gateway {
    /// Writes `gateway.yaml`, the key set and the upstream's credential into `directory`.
    ///
    /// # Errors
    /// When a file cannot be written or a token not be signed.
    pub fn write(directory: &Path, addresses: Addresses, callers: usize, size: Size) -> Result<Self, Error> {
        let callers = size.callers.unwrap_or(callers);
        let issuer = Issuer::new()?;
        let now = SystemTime::now();
        let tokens = |path: &str| -> Result<Arc<[String]>, Error> {
            let audience = format!("http://{}{path}", addresses.listen);
            (0..callers)
                .map(|caller| {
                    issuer.rs256.token(caller, &tenant(caller % size.tenants.max(1)), &audience, now)
                })
                .collect()
        };
        save(directory, "jwks.json", issuer.jwks())?;
        save(directory, "upstream-key", "bench-upstream-key-0123456789")?;
        let config = save(directory, "gateway.yaml", &yaml(directory, addresses, size))?;
        // A run of many callers has no bridged calls, and signing takes its time.
        let bridged = match size.callers {
            Some(_) => [Arc::from([]), Arc::from([])],
            None => [tokens(BRIDGED[0].1)?, tokens(BRIDGED[1].1)?],
        };
        Ok(Self { config, tokens: tokens(PATH)?, bridged, issuer: Arc::new(issuer) })
    }
}

/// Who listens where.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The gateway's public listener.
    pub listen: SocketAddr,
    /// Its admin listener.
    pub admin: SocketAddr,
    /// The upstream.
    pub upstream: SocketAddr,
}

/// The name of tenant `number`.
pub(crate) fn tenant(number: usize) -> String {
    format!("tenant-{number}")
}

fn save(directory: &Path, name: &str, text: &str) -> Result<PathBuf, Error> {
    let path = directory.join(name);
    fs::write(&path, text).map_err(Error::io(format!("writing {}", path.display())))?;
    Ok(path)
}

fn yaml(directory: &Path, addresses: Addresses, size: Size) -> String {
    let Addresses { listen, admin, .. } = addresses;
    let tenants: String = (0..size.tenants)
        .map(|number| {
            let further = if number == 0 { further(size.routes) } else { String::new() };
            format!(
                "  {}: {{ routes: [bench, to-legacy, to-modern{further}], limits: {LIMITS}, concurrent: 100000 }} }}\n",
                tenant(number)
            )
        })
        .collect();
    let upstreams = upstream_yaml("bench", "auto", addresses, directory)
        + &upstream_yaml("to-legacy", "2025-06-18", addresses, directory)
        + &upstream_yaml("to-modern", "2026-07-28", addresses, directory);
    let mut routes: String =
        [PATH, BRIDGED[0].1, BRIDGED[1].1].iter().map(|path| route_yaml(&path[1..], path)).collect();
    for number in 0..size.routes {
        routes += &format!("  further-{number}: {{ path: /further/{number}, upstream: bench }}\n");
    }
    let directory = directory.display();
    format!(
        "server:
  listen: {listen}
  public_url: http://{listen}
  threads: 1
  state_dir: {directory}
  limits: {{ connections: 100000, streams_per_caller: 100000 }}
admin:
  listen: {admin}
auth:
  issuers:
    - issuer: {ISSUER}
      jwks: {{ file: {directory}/jwks.json }}
      algorithms: [RS256, ES256]
      tenant: {{ claim: tenant }}
tenants:
{tenants}upstreams:
{upstreams}routes:
{routes}"
    )
}

/// The names of further routes, as more items of a list.
fn further(routes: usize) -> String {
    (0..routes).map(|number| format!(", further-{number}")).collect()
}

fn upstream_yaml(name: &str, protocol: &str, addresses: Addresses, directory: &Path) -> String {
    format!(
        "  {name}:
    url: http://{}/mcp
    protocol: {protocol}
    credential: {{ header: {{ name: X-Api-Key, value: {{ file: {}/upstream-key }} }} }}
    max_concurrent: 100000
",
        addresses.upstream,
        directory.display()
    )
}

fn route_yaml(name: &str, path: &str) -> String {
    format!(
        "  {name}:
    path: {path}
    upstream: {name}
    scopes: [mcp:read]
    tools:
      - match: [\"*\"]
        scopes: [mcp:write]
        limits: {KEY_LIMITS}, per: subject }}
"
    )
}

/// The open front of a `limits:` mapping: counted on every call, never reached.
const LIMITS: &str = "{ requests: 100000000/1s, burst: 100000000";
/// The same for a limit of many keys: one call, and a key is remembered for two minutes.
const KEY_LIMITS: &str = "{ requests: 30/1h, burst: 100000000";

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Addresses { listen: at(1001), admin: at(1002), upstream: at(1003) }
    }

    #[test]
    fn the_gateway_accepts_what_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let gateway =
            Gateway::write(directory.path(), addresses(), 3, Size { routes: 2, ..Size::default() }).unwrap();
        assert!([&gateway.tokens, &gateway.bridged[0], &gateway.bridged[1]].iter().all(|t| t.len() == 3));
        let loaded = narthex_config::load(&gateway.config).unwrap();
        let (route, limits) = (&loaded.config.routes, &loaded.config.server.limits);
        assert_eq!(route.len(), 1 + BRIDGED.len() + 2);
        assert!(BRIDGED.iter().all(|(_, path)| route.values().any(|route| route.path.as_str() == *path)));
        assert!(limits.connections >= 100_000 && limits.streams_per_caller >= 100_000);
    }

    #[test]
    fn every_stage_of_a_call_has_something_to_do() {
        let text = yaml(Path::new("/d"), addresses(), Size::default());
        for part in
            ["jwks:", "tenant: {", "scopes: [mcp:read]", "scopes: [mcp:write]", "per: subject", "credential:"]
        {
            assert!(text.contains(part), "{part}");
        }
        assert!(text.contains("tenant-7: { routes: [bench, "), "{text}");
    }
}
