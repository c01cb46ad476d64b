//! What came back.

use crate::wire::Headers;
use serde_json::Value;

/// A response.
#[derive(Clone, Debug, Default)]
pub struct RawResponse {
    /// Status code; 0 if the status line was none.
    pub status: u16,
    /// Header fields.
    pub headers: Headers,
    /// Body, with its chunked coding taken off.
    pub body: Vec<u8>,
    /// Status codes of the informational responses that came first.
    pub informational: Vec<u16>,
}

impl RawResponse {
    /// The first value of a header field.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `Null` if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The events of a body that is an event stream.
    #[must_use]
    pub fn events(&self) -> Vec<SseEvent> {
        let mut text = self.text();
        std::iter::from_fn(|| take_event(&mut text)).collect()
    }

    /// The JSON-RPC response in a body of either kind: the whole of a JSON one, or the first event
    /// with a result or an error. `Null` if there is none.
    #[must_use]
    pub fn rpc(&self) -> Value {
        if self.header("content-type").is_none_or(|kind| !kind.starts_with("text/event-stream")) {
            return self.json();
        }
        let is_response = |message: &Value| message.get("result").is_some() || message.get("error").is_some();
        self.events().iter().map(SseEvent::json).find(is_response).unwrap_or_default()
    }

    /// `result.content[0].text` of [`Self::rpc`]: what most tools answer with.
    #[must_use]
    pub fn tool_text(&self) -> Option<String> {
        self.rpc()["result"]["content"][0]["text"].as_str().map(str::to_owned)
    }
}

/// One event of an event stream.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SseEvent {
    /// `id:`.
    pub id: Option<String>,
    /// `event:`.
    pub event: Option<String>,
    /// The `data:` lines, joined with newlines.
    pub data: String,
    /// `retry:`, milliseconds.
    pub retry: Option<u64>,
}

impl SseEvent {
    /// The data as JSON; `Null` if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_default()
    }
}

/// Takes the first whole event off `text`; blocks of comments alone are dropped on the way.
pub(super) fn take_event(text: &mut String) -> Option<SseEvent> {
    loop {
        let (end, len) = block_end(text)?;
        let block = text.drain(..end + len).collect::<String>();
        let fields: Vec<_> = block.lines().filter_map(field).collect();
        if fields.is_empty() {
            continue;
        }
        let mut event = SseEvent::default();
        let mut data = Vec::new();
        for (name, value) in fields {
            match name {
                "id" => event.id = Some(value.to_owned()),
                "event" => event.event = Some(value.to_owned()),
                "retry" => event.retry = value.parse().ok(),
                "data" => data.push(value),
                _ => {}
            }
        }
        event.data = data.join("\n");
        return Some(event);
    }
}

/// Where the blank line that ends the first block starts, and its length.
fn block_end(text: &str) -> Option<(usize, usize)> {
    let ends = ["\n\n", "\r\n\r\n", "\r\r"];
    ends.iter().filter_map(|end| text.find(end).map(|at| (at, end.len()))).min()
}

fn field(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (!name.is_empty()).then(|| (name, value.strip_prefix(' ').unwrap_or(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_with_all_fields_and_comments_are_skipped() {
        let body = ": hello\n\nid: 7\nevent: message\ndata: {\"a\":\ndata: 1}\nretry: 3000\n\n\
                    : ping\r\n\r\ndata:x\r\n\r\nid: 8\ndata:\n\ndata: half";
        let response = RawResponse { body: body.into(), ..RawResponse::default() };
        let events = response.events();
        assert_eq!(events.len(), 3);
        assert_eq!(events[0].json(), serde_json::json!({"a": 1}));
        assert_eq!((events[0].id.as_deref(), events[0].retry), (Some("7"), Some(3000)));
        assert_eq!(events[1].data, "x");
        assert_eq!((events[2].id.as_deref(), events[2].data.as_str()), (Some("8"), ""));
    }

    #[test]
    fn the_rpc_answer_is_found_in_json_and_behind_notifications_in_a_stream() {
        let answer = |kind: &str, body: &str| RawResponse {
            headers: Headers(vec![("Content-Type".to_owned(), kind.to_owned())]),
            body: body.into(),
            ..RawResponse::default()
        };
        let result = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hi"}]}}"#;
        let stream = format!("data: {{\"method\":\"notifications/progress\"}}\n\ndata: {result}\n\n");
        assert_eq!(answer("application/json", result).tool_text().as_deref(), Some("hi"));
        assert_eq!(answer("text/event-stream", &stream).tool_text().as_deref(), Some("hi"));
        assert_eq!(answer("text/plain", "sorry").rpc(), Value::Null);
    }
}
