//! What is looked for.
//!
//! | detail | what |
//! |---|---|
//! | `markup` | tags and marks that set text apart for the model: `<IMPORTANT>`, `<system>`, `[INST]`, `<\|im_start\|>` |
//! | `override` | to ignore, forget or overrule what the model was told before |
//! | `secrecy` | to hide something from the user, or to act without the user's knowledge or consent |
//! | `sensitive_file` | to read a file of keys or settings, or to pass on what is in it |
//! | `exfiltration` | to send keys, prompts or the conversation somewhere, or to put them into an argument |
//! | `other_tool` | what to do when another tool is called: a tool describes itself alone |
//! | `prompt_leak` | to give away the system prompt |
//! | `image_link` | an image whose address carries data |
//! | `command` | to run a script from the net first |
//! | `smuggled` | hidden text that carries bytes (not from this table) |
//! | `encoded` | 200 or more characters of base64 or hexadecimal digits in a run (not from this table) |
//!
//! Texts are in lower case, without quotation marks and apostrophes (`dont`, `users`).

mod leaks;
mod orders;

/// All patterns.
pub(super) fn all() -> impl Iterator<Item = &'static Spec> {
    orders::ORDERS.iter().chain(leaks::LEAKS)
}

/// A pattern.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    pub(super) detail: &'static str,
    /// One of them is in every match.
    pub(super) triggers: &'static [&'static str],
    pub(super) regex: &'static str,
    /// A match does not count if this is in its sentence, up to the end of the match.
    pub(super) excuse: Option<&'static str>,
}

const fn spec(detail: &'static str, triggers: &'static [&'static str], regex: &'static str) -> Spec {
    Spec { detail, triggers, regex, excuse: None }
}
