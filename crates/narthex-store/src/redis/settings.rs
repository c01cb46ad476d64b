//! What it takes to connect.

use redis::io::tcp::TcpSettings;
use redis::{
    Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, TlsCertificates,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// Where the server is and how to log in.
#[derive(Clone)]
pub struct RedisSettings {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Number of the database.
    pub database: u16,
    /// With TLS; `None`: without.
    pub tls: Option<RedisTls>,
    /// The user; `None`: the server's default user.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Zeroizing<String>>,
    /// What the names of all values begin with.
    pub prefix: String,
    /// How long a call may take, connecting and all.
    pub timeout: Duration,
}

/// What connects: settings that were found to be good.
pub struct RedisClient(pub(super) Client);

/// How the server shows who it is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RedisTls {
    /// PEM certificates of the authorities that its own must chain to; `None`: the system's.
    pub ca: Option<Vec<u8>>,
}

/// Settings that no connection can be made with.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RedisSettingsError(String);

// === impl RedisSettings ===

impl RedisSettings {
    /// What connects with these settings.
    ///
    /// # Errors
    /// No connection can be made with them, such as for a `ca` that is no PEM.
    pub fn client(&self) -> Result<RedisClient, RedisSettingsError> {
        // pingora's TLS uses the same provider; whoever comes first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (host, port) = (self.host.clone(), self.port);
        let address = match self.tls {
            Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            None => ConnectionAddr::Tcp(host, port),
        };
        // With RESP3 the library tells when a connection is lost, before it is used again.
        let mut login = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_db(self.database.into())
            .set_lib_name("narthex", env!("CARGO_PKG_VERSION"));
        if let Some(username) = &self.username {
            login = login.set_username(username);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password.as_str());
        }
        // Calls are small, and many are on their way at once: none waits for another's acknowledgement.
        let tcp = TcpSettings::default().set_nodelay(true);
        let info = address.into_connection_info().map_err(RedisSettingsError::new)?;
        let info = info.set_redis_settings(login).set_tcp_settings(tcp);
        let client = match &self.tls {
            Some(tls) => {
                if tls.ca.as_deref().is_some_and(has_no_certificate) {
                    return Err(RedisSettingsError("ca: there is no certificate in it".to_owned()));
                }
                let certificates = TlsCertificates { client_tls: None, root_cert: tls.ca.clone() };
                Client::build_with_tls(info, certificates)
            }
            None => Client::open(info),
        };
        client.map(RedisClient).map_err(RedisSettingsError::new)
    }
}

/// The library would take it for one that trusts nobody.
fn has_no_certificate(pem: &[u8]) -> bool {
    !CertificateDer::pem_slice_iter(pem).any(|certificate| certificate.is_ok())
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, database, tls, .. } = self;
        f.debug_struct("RedisSettings")
            .field("host", host)
            .field("port", port)
            .field("database", database)
            .field("tls", &tls.is_some())
            .finish_non_exhaustive()
    }
}

// === impl RedisClient ===

impl fmt::Debug for RedisClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisClient(***)")
    }
}

// === impl RedisSettingsError ===

impl RedisSettingsError {
    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    fn new(error: redis::RedisError) -> Self {
        Self(error.to_string())
    }
}
