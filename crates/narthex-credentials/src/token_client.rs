//! One token endpoint, and the gateway as its client.

use crate::client_auth::ClientAuth;
use crate::error::{CredentialError, Reason};
use crate::grant::Form;
use narthex_upstreams::egress::{Answer, Egress};
use std::time::SystemTime;
use url::Url;

/// Where tokens are asked for, and as whom.
pub(crate) struct TokenClient {
    pub(crate) url: Url,
    pub(crate) auth: ClientAuth,
    pub(crate) egress: Egress,
}

impl TokenClient {
    /// Sends a request, with the client's authentication.
    pub(crate) async fn post(&self, mut form: Form, now: SystemTime) -> Result<Answer, CredentialError> {
        self.auth.add_to(&mut form, now)?;
        let sent = self.egress.post_form(&self.url, &form.pairs(), self.auth.authorization()).await;
        sent.map_err(|e| CredentialError::with_detail(Reason::ExchangeUnreachable, &e.to_string()))
    }
}
