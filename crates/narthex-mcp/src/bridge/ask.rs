//! What servers ask of clients in mid-call: requests of their own in the older revisions, `inputRequests`
//! of a result in 2026-07-28 (basic/patterns/mrtr).

use super::{Object, strip_meta};

/// One thing that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// `elicitation/create`, `sampling/createMessage` or `roots/list`.
    pub method: String,
    /// Its `params`.
    pub params: Object,
}

/// The methods that may be asked in either era.
#[must_use]
pub fn is_ask(method: &str) -> bool {
    matches!(method, "elicitation/create" | "sampling/createMessage" | "roots/list")
}

impl Ask {
    /// A legacy server's request as a modern client is asked. Progress of what the client does is not
    /// reported in 2026-07-28, nor is `elicitationId`, which names what only `notifications/elicitation/complete`
    /// would refer to; a task that the client is to run has no counterpart.
    #[must_use]
    pub fn from_legacy(method: &str, params: &Object) -> Self {
        let mut params = params.clone();
        strip_meta(&mut params);
        if let Some(mut meta) = params.object("_meta") {
            meta.remove("progressToken");
            if meta.is_empty() {
                params.remove("_meta");
            } else {
                params.set_object("_meta", &meta);
            }
        }
        params.remove("elicitationId");
        params.remove("task");
        Self { method: method.to_owned(), params }
    }

    /// The `params` of the same as a request to a legacy client. URL elicitations need an id there
    /// (2025-11-25, client/elicitation), unique among the session's: `elicitation_id`.
    #[must_use]
    pub fn to_legacy(&self, elicitation_id: &str) -> Object {
        // Neither a task, of which nobody would ever ask, nor a token of nobody's, nor the server's own id.
        let mut params = Self::from_legacy(&self.method, &self.params).params;
        if self.method == "elicitation/create" && params.string("mode").as_deref() == Some("url") {
            params.set_string("elicitationId", elicitation_id);
        }
        params
    }

    /// What is asked, as a member of `inputRequests`.
    fn to_object(&self) -> Object {
        let mut object = Object::default();
        object.set_string("method", &self.method);
        object.set_object("params", &self.params);
        object
    }

    /// What an error of the client stands for: a refused elicitation can be said in a result, everything
    /// else cannot (`None`).
    #[must_use]
    pub fn declined(&self) -> Option<String> {
        (self.method == "elicitation/create").then(|| r#"{"action":"cancel"}"#.to_owned())
    }
}

/// A result that asks for something first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// What is asked for, under the server's keys.
    pub asks: Vec<(String, Ask)>,
    /// `requestState`, to be given back as it is.
    pub state: Option<String>,
}

/// An `input_required` result that makes no sense.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the server's input_required result is malformed")]
pub struct BadAsk;

impl Asked {
    /// Reads a result whose `resultType` is `input_required`.
    ///
    /// # Errors
    /// It asks for nothing, for something unknown, or is malformed.
    pub fn parse(result: &Object) -> Result<Self, BadAsk> {
        let state = match result.get("requestState") {
            None => None,
            Some(_) => Some(result.string("requestState").ok_or(BadAsk)?),
        };
        let mut asks = Vec::new();
        if result.get("inputRequests").is_some() {
            for (key, ask) in result.object("inputRequests").ok_or(BadAsk)?.iter() {
                let ask = Object::parse(ask.as_bytes()).map_err(|_| BadAsk)?;
                let method = ask.string("method").filter(|method| is_ask(method)).ok_or(BadAsk)?;
                let params = match ask.get("params") {
                    None => Object::default(),
                    Some(_) => ask.object("params").ok_or(BadAsk)?,
                };
                asks.push((key.to_owned(), Ask { method, params }));
            }
        }
        if asks.is_empty() && state.is_none() { Err(BadAsk) } else { Ok(Self { asks, state }) }
    }

    /// The result.
    #[must_use]
    pub fn to_result(&self) -> Object {
        let mut result = Object::default();
        result.set_string("resultType", "input_required");
        if !self.asks.is_empty() {
            let mut requests = Object::default();
            self.asks.iter().for_each(|(key, ask)| requests.set_object(key, &ask.to_object()));
            result.set_object("inputRequests", &requests);
        }
        if let Some(state) = &self.state {
            result.set_string("requestState", state);
        }
        result
    }
}

/// `params.inputResponses` of a retry: keys, and results as JSON text. Empty where there are none.
///
/// # Errors
/// It is not an object of objects: -32602.
pub fn responses(params: &Object) -> Result<Vec<(String, String)>, BadResponses> {
    if params.get("inputResponses").is_none() {
        return Ok(Vec::new());
    }
    let responses = params.object("inputResponses").ok_or(BadResponses)?;
    let checked = responses.iter().map(|(key, result)| {
        let result = Object::parse(result.as_bytes()).map_err(|_| BadResponses)?;
        Ok((key.to_owned(), result.to_json()))
    });
    checked.collect()
}

/// `inputResponses` that cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("inputResponses must be an object of results")]
pub struct BadResponses;
