//! What a route shows of its upstreams: `names:` and `expose:`.

use super::scalar::Name;
use crate::yaml::{Field, Named};
use schemars::JsonSchema;
use serde::Deserialize;

/// How the tools and prompts of several upstreams are named.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Names {
    /// What names begin with. Default `upstream`.
    pub(crate) prefix: Field<Prefix>,
    /// What stands between prefix and name: 1 to 4 letters, digits, `_`, `-` and `.`. Default `__`.
    #[schemars(extend("pattern" = "^[A-Za-z0-9_.-]{1,4}$"))]
    pub(crate) separator: Field<String>,
    /// Prefixes other than the upstream's own name, by upstream: 1 to 32 letters, digits, `_` and `-`.
    pub(crate) aliases: Field<Named<Name, String>>,
}

/// What names begin with.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Prefix {
    /// The upstream's name or alias, and the separator.
    Upstream,
    /// They stay as they are. Where two are the same, the upstream that is listed first has it.
    None,
}

/// What a route shows. Without it: everything, as it is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Expose {
    /// Only tools whose names match one of these; `*` stands for any run of characters.
    pub(crate) include: Field<Vec<Field<String>>>,
    /// But no tool whose name matches one of these.
    pub(crate) exclude: Field<Vec<Field<String>>>,
    /// Other names for tools, by the name that they would have.
    pub(crate) rename: Field<Named<String, String>>,
    /// Other descriptions of tools, by the name that they have in the end.
    pub(crate) describe: Field<Named<String, String>>,
    /// Which prompts, by name.
    pub(crate) prompts: Field<Selection>,
    /// Which resources and resource templates, by URI.
    pub(crate) resources: Field<Selection>,
}

/// What the callers of a tenant are shown of a route, of what it shows at all.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Shown {
    /// Only tools whose names match one of these; `*` stands for any run of characters.
    pub(crate) include: Field<Vec<Field<String>>>,
    /// But no tool whose name matches one of these.
    pub(crate) exclude: Field<Vec<Field<String>>>,
    /// Which prompts, by name.
    pub(crate) prompts: Field<Selection>,
    /// Which resources and resource templates, by URI.
    pub(crate) resources: Field<Selection>,
}

/// Some of many.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Selection {
    /// Only what matches one of these; `*` stands for any run of characters.
    pub(crate) include: Field<Vec<Field<String>>>,
    /// But nothing that matches one of these.
    pub(crate) exclude: Field<Vec<Field<String>>>,
}
