//! How users of the gateway's own authorization server log in.

/// `auth.authority.login`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Login {}
