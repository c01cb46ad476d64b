//! Whom a bucket is for.

use narthex_config::model::TenantId;
use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

/// One tenant's caller, client or tool. The empty key of a tenant stands for all of it.
#[derive(Clone, Debug, Eq)]
pub(super) struct Key {
    tenant: TenantId,
    issuer: Box<str>,
    name: Box<str>,
}

/// A [`Key`] that owns nothing, to look one up without allocating.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyRef<'a> {
    pub(super) tenant: &'a TenantId,
    /// Subjects and clients are names that an issuer gave: the same name of another is someone else.
    pub(super) issuer: &'a str,
    pub(super) name: &'a str,
}

impl<'a> KeyRef<'a> {
    /// The key that stands for all of a tenant.
    pub(super) fn all(tenant: &'a TenantId) -> Self {
        Self { tenant, issuer: "", name: "" }
    }

    pub(super) fn to_key(self) -> Key {
        Key { tenant: self.tenant.clone(), issuer: self.issuer.into(), name: self.name.into() }
    }
}

/// What is hashed and compared, of a [`Key`] and a [`KeyRef`] alike.
pub(super) trait AsKey {
    fn as_key(&self) -> KeyRef<'_>;
}

impl AsKey for Key {
    fn as_key(&self) -> KeyRef<'_> {
        KeyRef { tenant: &self.tenant, issuer: &self.issuer, name: &self.name }
    }
}

impl AsKey for KeyRef<'_> {
    fn as_key(&self) -> KeyRef<'_> {
        *self
    }
}

impl<'a> Borrow<dyn AsKey + 'a> for Key {
    fn borrow(&self) -> &(dyn AsKey + 'a) {
        self
    }
}

impl Hash for dyn AsKey + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let KeyRef { tenant, issuer, name } = self.as_key();
        (tenant.as_str(), issuer, name).hash(state);
    }
}

impl PartialEq for dyn AsKey + '_ {
    fn eq(&self, other: &Self) -> bool {
        let (one, two) = (self.as_key(), other.as_key());
        one.name == two.name && one.issuer == two.issuer && one.tenant == two.tenant
    }
}

impl Eq for dyn AsKey + '_ {}

// A key must hash and compare just as what it borrows as.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self as &dyn AsKey).hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        (self as &dyn AsKey) == (other as &dyn AsKey)
    }
}
