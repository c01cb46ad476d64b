//! `Mcp-Session-Id`: the client gets one of ours, the upstream keeps its own.
//!
//! A session id is no proof of who calls (MCP 2025-11-25, security best practices): ours opens only for the
//! caller it was given to, on the route and upstream it was given for, and the caller's token is verified on
//! every request all the same.

mod bridged;

pub use bridged::{BridgedSession, Session};

use crate::seal::{Binding, HandleError, Purpose, SealError, Sealer};
use std::fmt;
use std::time::SystemTime;

/// Longest session id taken from an upstream, in bytes.
pub const LONGEST_UPSTREAM_ID: usize = 2 << 10;

/// A session with an upstream, known by the id that the upstream gave.
#[derive(Clone, Eq, PartialEq)]
pub struct SessionHandle {
    upstream_id: String,
}

impl SessionHandle {
    /// Takes the `Mcp-Session-Id` of an upstream's answer: one or more visible ASCII characters,
    /// 0x21 to 0x7E (MCP 2025-11-25, basic/transports#session-management).
    ///
    /// # Errors
    /// [`HandleError::Malformed`] if it is anything else, or longer than [`LONGEST_UPSTREAM_ID`].
    pub fn from_upstream(id: &[u8]) -> Result<Self, HandleError> {
        let visible = id.iter().all(u8::is_ascii_graphic);
        if id.is_empty() || id.len() > LONGEST_UPSTREAM_ID || !visible {
            return Err(HandleError::Malformed);
        }
        let upstream_id = String::from_utf8(id.to_vec()).map_err(|_| HandleError::Malformed)?;
        Ok(Self { upstream_id })
    }

    /// The `Mcp-Session-Id` for the client: visible ASCII too.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn seal(
        &self,
        sealer: &Sealer,
        binding: &Binding<'_>,
        expires: SystemTime,
    ) -> Result<String, SealError> {
        sealer.seal(Purpose::Session, binding, self.upstream_id.as_bytes(), expires)
    }

    /// The upstream's own id, to be sent to that upstream and shown to nobody else.
    #[must_use]
    pub fn upstream_id(&self) -> &str {
        &self.upstream_id
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionHandle(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    const BINDING: Binding<'_> =
        Binding { tenant: "acme", issuer: "https://idp", subject: "ann", route: "github", upstream: "gh" };

    fn open(binding: &Binding<'_>, handle: &str) -> Result<SessionHandle, HandleError> {
        let opened = Session::open(&Sealer::new(vec![[1; 32]]).unwrap(), binding, handle, UNIX_EPOCH)?;
        let Session::Upstream(session) = opened else { panic!("a session of ours") };
        Ok(session)
    }

    #[test]
    fn the_client_sees_an_id_of_ours_and_the_upstream_its_own() {
        let sealer = Sealer::new(vec![[1; 32]]).unwrap();
        for id in ["8a1f-77", &"~".repeat(LONGEST_UPSTREAM_ID)] {
            let session = SessionHandle::from_upstream(id.as_bytes()).unwrap();
            let handle = session.seal(&sealer, &BINDING, UNIX_EPOCH + Duration::from_secs(60)).unwrap();
            assert!(handle.bytes().all(|byte| byte.is_ascii_graphic()));
            assert!(!handle.contains(id));
            assert_eq!(open(&BINDING, &handle).unwrap().upstream_id(), id);
            let other = Binding { subject: "bob", ..BINDING };
            assert_eq!(open(&other, &handle), Err(HandleError::Foreign));
        }
    }

    #[test]
    fn an_upstreams_id_that_is_not_visible_ascii_is_refused() {
        let long = vec![b'a'; LONGEST_UPSTREAM_ID + 1];
        for id in [&b""[..], b"a b", b"a\r\nb", b"\x7f", "\u{e9}".as_bytes(), &long] {
            assert_eq!(SessionHandle::from_upstream(id), Err(HandleError::Malformed));
        }
    }

    #[test]
    fn a_session_does_not_print_its_id() {
        let session = SessionHandle::from_upstream(b"secret").unwrap();
        assert_eq!(format!("{session:?}"), "SessionHandle(***)");
    }
}
