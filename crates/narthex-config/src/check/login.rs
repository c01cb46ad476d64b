//! `auth.authority.login:`.

use super::Check;
use crate::grammar;
use crate::model::Login;
use crate::yaml::Field;

impl Check<'_> {
    pub(super) fn login(&self, field: Field<grammar::Login>) -> Option<Login> {
        field.into_value().map(|grammar::Login {}| Login {})
    }
}
