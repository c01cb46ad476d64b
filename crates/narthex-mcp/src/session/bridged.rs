//! Sessions of the gateway's own, for older clients of servers that have none.

use super::SessionHandle;
use crate::Revision;
use crate::bridge::Object;
use crate::bridge::declared::Declared;
use crate::seal::{Binding, HandleError, Purpose, SealError, Sealer, random_id};
use std::time::SystemTime;

/// First byte of such a session's payload: no upstream's id has it, as it is not visible.
const MARK: u8 = 1;

/// A session that the gateway keeps for a client. What the client declared when it opened it is within the
/// handle, so that another replica can go on with it.
#[derive(Clone, Debug, PartialEq)]
pub struct BridgedSession {
    /// Names it among all sessions of all replicas.
    pub id: String,
    /// The revision that was settled on.
    pub revision: Revision,
    /// What the client said of itself.
    pub declared: Declared,
}

/// What a client's `Mcp-Session-Id` stands for.
#[derive(Clone, Debug)]
pub enum Session {
    /// A session of the upstream.
    Upstream(SessionHandle),
    /// One of ours.
    Bridged(Box<BridgedSession>),
}

impl Session {
    /// Opens the `Mcp-Session-Id` that a client sent.
    ///
    /// # Errors
    /// It was not sealed for this caller, route and upstream, or is expired: HTTP 404, so that the client
    /// initializes anew.
    pub fn open(
        sealer: &Sealer,
        binding: &Binding<'_>,
        handle: &str,
        now: SystemTime,
    ) -> Result<Self, HandleError> {
        let payload = sealer.open(Purpose::Session, binding, handle, now)?;
        match payload.split_first() {
            Some((&MARK, text)) => BridgedSession::read(text).map(|session| Self::Bridged(Box::new(session))),
            _ => SessionHandle::from_upstream(&payload).map(Self::Upstream),
        }
    }
}

impl BridgedSession {
    /// A new session.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn open(revision: Revision, declared: &Declared) -> Result<Self, SealError> {
        Ok(Self { id: random_id()?, revision, declared: declared.concise() })
    }

    fn read(text: &[u8]) -> Result<Self, HandleError> {
        let object = Object::parse(text).map_err(|_| HandleError::Malformed)?;
        let session = || {
            let declared = Declared {
                capabilities: object.object("capabilities")?,
                client_info: object.object("client"),
            };
            let revision = Revision::parse(&object.string("revision")?)?;
            Some(Self { id: object.string("id")?, revision, declared })
        };
        session().ok_or(HandleError::Malformed)
    }

    /// The `Mcp-Session-Id` for the client.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn seal(
        &self,
        sealer: &Sealer,
        binding: &Binding<'_>,
        expires: SystemTime,
    ) -> Result<String, SealError> {
        let mut object = Object::default();
        object.set_string("id", &self.id);
        object.set_string("revision", self.revision.as_str());
        object.set_object("capabilities", &self.declared.capabilities);
        if let Some(client) = &self.declared.client_info {
            object.set_object("client", client);
        }
        let mut payload = vec![MARK];
        payload.extend_from_slice(object.to_json().as_bytes());
        sealer.seal(Purpose::Session, binding, &payload, expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    const BINDING: Binding<'_> =
        Binding { tenant: "acme", issuer: "https://idp", subject: "ann", route: "github", upstream: "gh" };

    fn sealer() -> Sealer {
        Sealer::new(vec![[1; 32]]).unwrap()
    }

    fn open(binding: &Binding<'_>, handle: &str) -> Result<Session, HandleError> {
        Session::open(&sealer(), binding, handle, UNIX_EPOCH)
    }

    #[test]
    fn another_replica_knows_all_that_was_declared() {
        let params = Object::parse(
            br#"{"capabilities":{"elicitation":{},"tasks":{}},"clientInfo":{"name":"c","version":"1","icons":[]}}"#,
        );
        let declared = Declared::from_initialize(&params.unwrap()).unwrap();
        let session = BridgedSession::open(Revision::V2025_06_18, &declared).unwrap();
        let handle = session.seal(&sealer(), &BINDING, UNIX_EPOCH + Duration::from_secs(1)).unwrap();
        assert!(handle.bytes().all(|byte| byte.is_ascii_graphic()));
        let Ok(Session::Bridged(opened)) = open(&BINDING, &handle) else { panic!() };
        assert_eq!(*opened, session);
        assert!(opened.declared.may_ask("elicitation/create", &Object::default()));
        let other = Binding { route: "docs", ..BINDING };
        assert_eq!(open(&other, &handle).unwrap_err(), HandleError::Foreign);
    }

    #[test]
    fn an_upstreams_session_is_told_from_ours() {
        let theirs = SessionHandle::from_upstream(b"{\"id\":1}").unwrap();
        let handle = theirs.seal(&sealer(), &BINDING, UNIX_EPOCH + Duration::from_secs(1)).unwrap();
        assert!(matches!(open(&BINDING, &handle), Ok(Session::Upstream(session)) if session == theirs));
    }
}
