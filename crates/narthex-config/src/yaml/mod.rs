//! YAML with places: a text becomes a tree of nodes, and the tree becomes the types of the grammar,
//! reporting every mistake on the way instead of stopping at the first.

mod access;
mod de;
mod failure;
mod field;
mod masked;
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
    /// A feature that the contract names but this version lacks; its content is never shown.
    pub(crate) const UNSUPPORTED: &str = "$unsupported";
    /// A secret reference; a literal in its place is refused and never shown.
    pub(crate) const SECRET: &str = "Secret";
    /// Types in which a secret may stand. Where one of them has the wrong shape, nothing of what was
    /// written there instead is shown.
    pub(crate) const SENSITIVE: [&str; 7] =
        [SECRET, "Credential", "Header", "Basic", "ClientCredentials", "TokenExchange", "OAuthClient"];

    /// Keys that are known only to say that this version does not have them yet; never offered.
    const NOT_YET: [(&str, &str); 1] = [(SECRET, "vault")];

    /// The keys of type `name` that an error message may offer.
    pub(super) fn offered(name: &str, keys: &'static [&'static str]) -> Vec<&'static str> {
        keys.iter().copied().filter(|key| !NOT_YET.contains(&(name, key))).collect()
    }
}
