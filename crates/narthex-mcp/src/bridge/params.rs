//! `params` of a client's requests.

use super::declared::Declared;
use super::{Object, strip_meta};

/// Members by which one era's requests steer what the other has no notion of. A client of the era that
/// lacks them has no business sending them, and a server would take them at their word.
const STEERING: [&str; 3] = ["inputResponses", "requestState", "task"];

/// A modern client's `params` for a legacy server. `progress` is the token to be told of progress by: the
/// client's own is never sent, as many callers may choose the same.
#[must_use]
pub fn to_legacy(params: &Object, progress: Option<&str>) -> Object {
    let mut params = params.clone();
    STEERING.iter().for_each(|member| drop(params.remove(member)));
    strip_meta(&mut params);
    set_progress_token(&mut params, progress);
    params
}

/// A legacy client's `params` for a modern server.
#[must_use]
pub fn to_modern(
    params: &Object,
    declared: &Declared,
    revision: &str,
    log_level: Option<&str>,
    progress: Option<&str>,
) -> Object {
    let mut params = params.clone();
    STEERING.iter().for_each(|member| drop(params.remove(member)));
    declared.to_meta(&mut params, revision, log_level);
    set_progress_token(&mut params, progress);
    params
}

/// The same request again, with what was asked for (2026-07-28, basic/patterns/mrtr). `responses` are keys
/// and JSON texts of results; `state` comes from the question, and is there if it was there.
#[must_use]
pub fn retry(params: &Object, responses: &[(String, String)], state: Option<&str>) -> Object {
    let mut params = params.clone();
    params.remove("inputResponses");
    params.remove("requestState");
    if !responses.is_empty() {
        let mut inner = Object::default();
        responses.iter().for_each(|(key, result)| inner.set_json(key, result.as_str()));
        params.set_object("inputResponses", &inner);
    }
    if let Some(state) = state {
        params.set_string("requestState", state);
    }
    params
}

/// `params._meta.progressToken` as JSON text; `None` where it is neither a string nor an integer.
#[must_use]
pub fn progress_token(params: &Object) -> Option<String> {
    let meta = params.object("_meta")?;
    let token = meta.get("progressToken")?;
    let is_token = token.starts_with('"') || token.parse::<i64>().is_ok();
    is_token.then(|| token.to_owned())
}

/// Says in `_meta` which trace the request belongs to, if it does not say so itself (2026-07-28,
/// basic/index#_meta).
pub fn set_trace(params: &mut Object, traceparent: Option<&str>) {
    let Some(parent) = traceparent else { return };
    let mut meta = params.object("_meta").unwrap_or_default();
    if meta.get("traceparent").is_none() {
        meta.set_string("traceparent", parent);
        params.set_object("_meta", &meta);
    }
}

fn set_progress_token(params: &mut Object, token: Option<&str>) {
    let Some(mut meta) = params.object("_meta").or_else(|| token.map(|_| Object::default())) else { return };
    match token {
        Some(token) => meta.set_json("progressToken", token),
        None => drop(meta.remove("progressToken")),
    }
    if meta.is_empty() {
        params.remove("_meta");
    } else {
        params.set_object("_meta", &meta);
    }
}

/// `params` of `notifications/progress` with another token in it; `None` if it has none.
#[must_use]
pub fn with_token(params: &Object, token: &str) -> Option<Object> {
    params.get("progressToken")?;
    let mut params = params.clone();
    params.set_json("progressToken", token);
    Some(params)
}
