//! Keys of the contract that this version does not have yet: known, so that the error can say so.

use crate::yaml::{HELP, marker};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;

macro_rules! not_yet {
    ($($(#[$doc:meta])* $type:ident = $message:literal, $help:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub(crate) struct $type;

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_newtype_struct(marker::UNSUPPORTED, Skip)?;
                Err(D::Error::custom(format_args!("{}{HELP}{}", $message, $help)))
            }
        }
    )*};
}

not_yet! {
    /// `{ vault: … }`.
    Vault = "secrets from `vault` are not supported yet", "use `{ file: path }` or `{ env: NAME }`";
}

struct Skip;

impl Visitor<'_> for Skip {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
