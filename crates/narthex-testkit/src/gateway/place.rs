//! What the process has to itself.

use crate::port::free_port;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What a gateway has to itself.
#[derive(Debug)]
pub struct Place {
    /// The port for MCP clients, of 127.0.0.1.
    pub port: u16,
    /// The port for operators, of 127.0.0.1.
    pub admin_port: u16,
    dir: TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self { port: free_port(), admin_port: free_port(), dir }
    }

    /// Its directory, removed with it: the configuration is in it, and secrets and state may be.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.dir().join("gateway.yaml")
    }

    /// Where MCP clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Where operators connect.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.admin_port))
    }

    /// `server.public_url`.
    #[must_use]
    pub fn public_url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// The `server:` and `admin:` sections for this place, with `more` (lines indented by two spaces)
    /// in `server:`.
    #[must_use]
    pub fn server_yaml(&self, more: &str) -> String {
        format!(
            "server:\n  listen: {}\n  public_url: {}\n  state_dir: {}\n{more}admin:\n  listen: {}\n",
            self.address(),
            self.public_url(),
            self.dir().join("state").display(),
            self.admin_address(),
        )
    }

    /// Writes a file into the directory, such as a secret, and gives its path.
    #[must_use]
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir().join(name);
        fs::write(&path, content).expect("a writable directory");
        path
    }

    pub(super) fn write_config(&self, yaml: &str) {
        let new = self.file(".gateway.yaml.new", yaml);
        fs::rename(new, self.config()).expect("a writable directory");
    }
}
