//! What users are shown says which server it comes from: a client of a merged route knows of one server only,
//! and is to indicate which one asks (2026-07-28, client/elicitation; 2025-11-25 the same).

use crate::bridge::Object;
use crate::bridge::ask::Ask;

/// `params` of `notifications/message` with the upstream in its `logger`: `<upstream>/<logger>`, or the
/// upstream alone where none is named (2026-07-28, server/utilities/logging).
pub fn name_logger(params: &mut Object, upstream: &str) {
    let logger = match params.string("logger").filter(|logger| !logger.is_empty()) {
        Some(logger) => format!("{upstream}/{logger}"),
        None => upstream.to_owned(),
    };
    params.set_string("logger", &logger);
}

/// `params` of `elicitation/create`, in either mode, with the upstream before its `message`.
pub fn name_asker(params: &mut Object, upstream: &str) {
    let message = match params.string("message").filter(|message| !message.is_empty()) {
        Some(message) => format!("[{upstream}] {message}"),
        None => format!("[{upstream}]"),
    };
    params.set_string("message", &message);
}

/// What a server asks for, with its name in what a user is shown of it. Samplings go to a model, and roots are
/// asked of the client itself: they stay as they are.
pub fn name_in(ask: &mut Ask, upstream: &str) {
    if ask.method == "elicitation/create" {
        name_asker(&mut ask.params, upstream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        Object::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_logger_says_whose_it_is() {
        for (params, named) in [
            (
                r#"{"level":"info","logger":"db","data":1.0}"#,
                r#"{"level":"info","logger":"gh/db","data":1.0}"#,
            ),
            (r#"{"level":"info","data":{}}"#, r#"{"level":"info","data":{},"logger":"gh"}"#),
            (r#"{"logger":""}"#, r#"{"logger":"gh"}"#),
            (r#"{"logger":null}"#, r#"{"logger":"gh"}"#),
            (r#"{"logger":{"a":1}}"#, r#"{"logger":"gh"}"#),
            (r#"{"logger":"jira/x\n"}"#, r#"{"logger":"gh/jira/x\n"}"#),
        ] {
            let mut params = object(params);
            name_logger(&mut params, "gh");
            assert_eq!(params.to_json(), named);
        }
    }

    #[test]
    fn whoever_asks_a_user_says_who_it_is_first() {
        for (params, named) in [
            (
                r#"{"message":"Sure?","requestedSchema":{"a" : 1}}"#,
                r#"{"message":"[gh] Sure?","requestedSchema":{"a" : 1}}"#,
            ),
            (
                r#"{"mode":"url","url":"https://a","message":"Go"}"#,
                r#"{"mode":"url","url":"https://a","message":"[gh] Go"}"#,
            ),
            (r#"{"message":"[jira] Sure?"}"#, r#"{"message":"[gh] [jira] Sure?"}"#),
            (r#"{"mode":"form"}"#, r#"{"mode":"form","message":"[gh]"}"#),
            (r#"{"message":7}"#, r#"{"message":"[gh]"}"#),
        ] {
            let mut ask = Ask { method: "elicitation/create".to_owned(), params: object(params) };
            name_in(&mut ask, "gh");
            assert_eq!(ask.params.to_json(), named);
        }
    }

    #[test]
    fn what_no_user_is_shown_stays_as_it_is() {
        for method in ["sampling/createMessage", "roots/list"] {
            let asked =
                Ask { method: method.to_owned(), params: object(r#"{"message":"m","messages":[1.0]}"#) };
            let mut ask = asked.clone();
            name_in(&mut ask, "gh");
            assert_eq!(ask, asked);
        }
    }
}
