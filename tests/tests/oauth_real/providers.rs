//! The identity providers, as processes at ports that were chosen before: where they send people back to must be
//! known when they start, and the gateway must know where they will be when it starts.

use narthex_tests::{Peer, installed, node};
use std::process::{Command, Stdio};

/// A product that people have accounts at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    /// npm's `oidc-provider`, with its development pages.
    OidcProvider,
    /// Glewlwyd, from Debian. Its pages want a browser.
    Glewlwyd,
}

impl Provider {
    /// `iss`, where it listens on `port`.
    pub(crate) fn issuer(self, port: u16) -> String {
        match self {
            Self::OidcProvider => format!("http://127.0.0.1:{port}"),
            Self::Glewlwyd => format!("http://127.0.0.1:{port}/api/oidc"),
        }
    }

    /// The gateway's registration for logging people in: id and secret.
    pub(crate) fn client(self) -> (&'static str, &'static str) {
        match self {
            Self::OidcProvider => ("narthex-login", "narthex-login-secret"),
            Self::Glewlwyd => ("narthex", "narthex-secret"),
        }
    }

    /// Starts it. People may be sent back to `redirects`, tokens may be for `resources`.
    pub(crate) async fn start(self, port: u16, redirects: &[String], resources: &[String]) -> Peer {
        let mut command = Command::new(node());
        match self {
            Self::OidcProvider => {
                command.arg(installed("idp.mjs")).args(["--pages", "--register", "--alg", "ES256"]);
            }
            Self::Glewlwyd => {
                command.arg("--no-warnings").arg(installed("glewlwyd.mjs"));
                command.args(resources.iter().flat_map(|resource| ["--resource", resource]));
            }
        }
        command.args(["--port", &port.to_string()]);
        command.args(redirects.iter().flat_map(|redirect| ["--redirect", redirect]));
        // Both say at each start that they are not for production.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Peer::at(port, command).await
    }
}
