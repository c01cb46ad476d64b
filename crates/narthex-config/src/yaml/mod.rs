//! YAML with places: a text becomes a tree of nodes, and the tree becomes the types of the grammar,
//! reporting every mistake on the way instead of stopping at the first.

mod access;
mod de;
mod failure;
mod field;
mod masked;
mod plain;
mod tree;

pub(crate) use de::read;
pub(crate) use failure::{HELP, nearest, one_of};
pub(crate) use field::{Entry, Field, Named};
pub(crate) use masked::Masked;
pub(crate) use tree::{Span, parse};

/// What serde calls types that get special treatment by the deserializer of this module.
pub(crate) mod marker {
    /// [`super::Field`].
    pub(crate) const FIELD: &str = "$field";
    /// [`super::Masked`].
    pub(crate) const MASKED: &str = "$masked";
    /// A secret reference; a literal in its place is refused and never shown.
    pub(crate) const SECRET: &str = "Secret";
    /// Types in which a secret may stand. Where one of them has the wrong shape, nothing of what was
    /// written there instead is shown.
    pub(crate) const SENSITIVE: [&str; 18] = [
        SECRET,
        "Actor",
        "AppRole",
        "Assertion",
        "AuthorizationServer",
        "AwsSigV4",
        "Basic",
        "ClientCredentials",
        "Credential",
        "Header",
        "IdJag",
        "IdentityProvider",
        "JwtBearer",
        "OAuthClient",
        "OnBehalfOf",
        "TokenExchange",
        "VaultAuth",
        "WebIdentity",
    ];
}
