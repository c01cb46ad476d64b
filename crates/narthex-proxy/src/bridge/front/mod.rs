//! Being a server to clients: of 2026-07-28 ([`modern`]) and before ([`legacy`]).

mod begin;
mod consent;
mod event_id;
pub(crate) mod initialize;
mod kept;
pub(crate) mod legacy;
mod listen;
pub(crate) mod live;
mod log;
pub(crate) mod modern;
mod out;
mod questions;
pub(crate) mod standalone;
mod tasks_legacy;
mod tasks_modern;

pub(crate) use listen::{MOST_URIS, stream_changes};
pub(crate) use out::Out;
