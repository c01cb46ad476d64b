//! Who is calling, once a token has been verified.

use narthex_config::model::{ScopeName, TenantId};
use std::sync::Arc;
use std::time::SystemTime;

/// The caller that a verified token stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// The tenant, by the issuer's rule. Not yet known to be configured: `narthex-policy` checks.
    pub tenant: TenantId,
    /// `sub`.
    pub subject: Arc<str>,
    /// `client_id`, or `azp`.
    pub client: Option<Arc<str>>,
    /// Scopes held, the hierarchy already applied; sorted, no duplicates.
    pub scopes: Vec<ScopeName>,
    /// `iss`; empty for the anonymous caller of an `auth: none` route.
    pub issuer: Arc<str>,
    /// `exp`; `None` only for the anonymous caller. Streams end here at the latest.
    pub expires: Option<SystemTime>,
}

impl Caller {
    /// The caller of a route that says `auth: none`.
    #[must_use]
    pub fn anonymous(tenant: TenantId) -> Self {
        Self {
            tenant,
            subject: Arc::from("anonymous"),
            client: None,
            scopes: Vec::new(),
            issuer: Arc::from(""),
            expires: None,
        }
    }

    /// Whether the caller holds `scope`, by itself or through the hierarchy.
    #[must_use]
    pub fn holds(&self, scope: &ScopeName) -> bool {
        self.scopes.binary_search(scope).is_ok()
    }
}
