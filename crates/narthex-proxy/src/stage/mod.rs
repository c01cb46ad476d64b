//! The stages of the walk, one file each, in the order of `pipeline`.

pub(crate) mod credential;
pub(crate) mod forward;
pub(crate) mod frame;
pub(crate) mod identify;
pub(crate) mod inspect;
pub(crate) mod permit;
pub(crate) mod record;
pub(crate) mod route;
pub(crate) mod scan;
