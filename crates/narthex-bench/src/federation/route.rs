//! What the gateway with a merged route is started with: all that a call can cost is on, and no limit is reached.

use crate::Error;
use crate::load::Target;
use crate::tokens::{ISSUER, Issuer};
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A configuration that was written, and where to call.
pub(super) struct Route {
    pub(super) config: PathBuf,
    pub(super) target: Target,
}

impl Route {
    /// Writes `federation.yaml` and what it names into `directory`.
    pub(super) fn write(
        directory: &Path,
        listen: SocketAddr,
        admin: SocketAddr,
        upstreams: &[SocketAddr],
    ) -> Result<Self, Error> {
        let issuer = Issuer::new()?;
        let token = issuer.rs256.token(0, "tenant", &format!("http://{listen}/bench"), SystemTime::now())?;
        save(directory, "jwks.json", issuer.jwks())?;
        save(directory, "upstream-key", "bench-upstream-key-0123456789")?;
        let config = save(directory, "federation.yaml", &yaml(directory, listen, admin, upstreams))?;
        let target = Target { address: listen, path: "/bench".to_owned(), tokens: [token].into() };
        Ok(Self { config, target })
    }
}

/// The name of an upstream, and the prefix of its tools.
pub(super) fn name(upstream: usize) -> String {
    format!("u{upstream:03}")
}

fn save(directory: &Path, name: &str, text: &str) -> Result<PathBuf, Error> {
    let path = directory.join(name);
    fs::write(&path, text).map_err(Error::io(format!("writing {}", path.display())))?;
    Ok(path)
}

fn yaml(directory: &Path, listen: SocketAddr, admin: SocketAddr, upstreams: &[SocketAddr]) -> String {
    let directory = directory.display();
    let names: Vec<_> = (0..upstreams.len()).map(name).collect();
    let mut entries = String::new();
    for (name, address) in names.iter().zip(upstreams) {
        let _ = write!(
            entries,
            "  {name}:
    url: http://{address}/{name}
    credential: {{ header: {{ name: X-Api-Key, value: {{ file: {directory}/upstream-key }} }} }}
    max_concurrent: 100000
"
        );
    }
    format!(
        "server:
  listen: {listen}
  public_url: http://{listen}
  threads: 1
  state_dir: {directory}
admin:
  listen: {admin}
auth:
  issuers:
    - issuer: {ISSUER}
      jwks: {{ file: {directory}/jwks.json }}
      algorithms: [RS256]
      tenant: {{ claim: tenant }}
tenants:
  tenant: {{ routes: [bench], limits: {LIMITS}, concurrent: 100000 }} }}
upstreams:
{entries}routes:
  bench:
    path: /bench
    upstreams: [{names}]
    page_size: 10000
    scopes: [mcp:read]
    tools:
      - match: [\"*\"]
        scopes: [mcp:write]
        limits: {LIMITS}, per: subject }}
",
        names = names.join(", ")
    )
}

/// The open front of a `limits:` mapping: counted on every call, never reached.
const LIMITS: &str = "{ requests: 100000000/1s, burst: 100000000";
