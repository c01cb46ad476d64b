//! `routes.*.inspect`.

use super::scalar::Size;
use crate::yaml::Field;
use schemars::JsonSchema;
use serde::Deserialize;

/// What is looked for in what passes, and what is done about it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Inspect {
    /// Text that a model reads and a person does not see. Default `strip`.
    pub(crate) hidden_text: Field<HiddenText>,
    /// Definitions of tools and the like that instruct the model against its user. Default `quarantine`.
    pub(crate) instructions: Field<Instructions>,
    /// Credentials, by their formats. Default `report`.
    pub(crate) secrets: Field<Handling>,
    /// Data of persons: e-mail addresses, payment cards, IBANs, telephone numbers and the like. Default `off`.
    pub(crate) personal: Field<Handling>,
    /// Patterns of your own.
    #[schemars(extend("maxItems" = 64))]
    pub(crate) patterns: Field<Vec<Field<Pattern>>>,
    /// Longest description, title or instructions that a server may give; at most `1MiB`. Default `16KiB`.
    pub(crate) max_description: Field<Size>,
    /// Largest result; at most `256MiB`. Over it: refused. Default `16MiB`.
    pub(crate) max_result: Field<Size>,
    /// What is different for the arguments of calls.
    pub(crate) arguments: Field<Arguments>,
}

/// What is different for the arguments of calls.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Text that a model reads and a person does not see.
    pub(crate) hidden_text: Field<HiddenText>,
    /// Credentials, by their formats.
    pub(crate) secrets: Field<Handling>,
    /// Data of persons.
    pub(crate) personal: Field<Handling>,
    /// Patterns of your own, instead of those for results.
    #[schemars(extend("maxItems" = 64))]
    pub(crate) patterns: Field<Vec<Field<Pattern>>>,
}

/// What is done about hidden text.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HiddenText {
    /// It is taken out.
    Strip,
    /// What has it does not pass.
    Refuse,
    /// It is reported, and passes.
    Report,
    /// It is not looked for.
    Off,
}

/// What is done about definitions that instruct the model.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Instructions {
    /// They are used only after they were approved.
    Quarantine,
    /// They are not looked for.
    Off,
}

/// What is done about a match.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Handling {
    /// It is replaced by `[redacted:…]`.
    Redact,
    /// What has it does not pass.
    Refuse,
    /// It is reported, and passes.
    Report,
    /// It is not looked for.
    Off,
}

/// A pattern of your own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "match", "action"]))]
pub(crate) struct Pattern {
    /// What its findings are called: 1 to 32 of `a-z`, `0-9`, `_` and `-`.
    #[schemars(extend("pattern" = "^[a-z0-9_-]{1,32}$"))]
    pub(crate) name: Field<String>,
    /// A regular expression, without look-around and back references. If it has a group, the first alone is
    /// redacted.
    pub(crate) r#match: Field<String>,
    /// What is done about a match.
    pub(crate) action: Field<Handling>,
}
