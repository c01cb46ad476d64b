//! `requestState` of 2026-07-28 (basic/patterns/mrtr): the client gets one of ours, with the upstream's inside.
//!
//! An upstream behind a credential that callers share cannot tell them apart, so what it binds its state to
//! is worth nothing: ours opens only for the caller it was given to, on the same route and upstream, for the
//! same method and the same tool, prompt or resource.

use crate::json::{Cursor, Fault, Keys, Shape};
use crate::rpc::quote;
use crate::seal::{Binding, HandleError, Purpose, SealError, Sealer};
use crate::sse;
use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use memchr::memmem;
use std::ops::Range;
use std::time::{Duration, SystemTime};

/// How long a client may take to come back with what it was asked for.
pub const LIFETIME: Duration = Duration::from_secs(3600);

/// An event of a stream that is longer than this, in bytes, is not looked into.
const LONGEST_EVENT: usize = 256 << 10;
/// Results are deep; this is as deep as the reader goes.
const DEPTH: u16 = 256;
const RESPONSE: [&str; 5] = ["jsonrpc", "id", "result", "error", "method"];
const RESULT: [&str; 4] = ["resultType", "inputRequests", "requestState", "_meta"];
const MARK: &[u8] = b"requestState";

/// Whether a server may answer `method` with `input_required`.
#[must_use]
pub fn may_ask(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read")
}

/// What a state is good for, besides whom.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// The tool, prompt or URI.
    pub name: &'a str,
}

impl Asked<'_> {
    fn digest(&self) -> [u8; SHA256_OUTPUT_LEN] {
        let mut text = Vec::with_capacity(self.method.len() + 1 + self.name.len());
        text.extend_from_slice(self.method.as_bytes());
        // No method has a NUL in it, so no two pairs read the same.
        text.push(0);
        text.extend_from_slice(self.name.as_bytes());
        let mut out = [0; SHA256_OUTPUT_LEN];
        out.copy_from_slice(digest(&SHA256, &text).as_ref());
        out
    }
}

/// The client's `requestState` for `state`, good until [`LIFETIME`] after `now`.
///
/// # Errors
/// See [`SealError`].
pub fn seal(
    sealer: &Sealer,
    binding: &Binding<'_>,
    asked: Asked<'_>,
    state: &str,
    now: SystemTime,
) -> Result<String, SealError> {
    let payload = [&asked.digest()[..], state.as_bytes()].concat();
    sealer.seal(Purpose::RequestState, binding, &payload, now + LIFETIME)
}

/// The upstream's state in a client's `requestState`.
///
/// # Errors
/// It was made for another caller, route, upstream or request, was tampered with, or is expired.
pub fn open(
    sealer: &Sealer,
    binding: &Binding<'_>,
    asked: Asked<'_>,
    handle: &str,
    now: SystemTime,
) -> Result<String, HandleError> {
    let payload = sealer.open(Purpose::RequestState, binding, handle, now)?;
    let (digest, state) = payload.split_at_checked(SHA256_OUTPUT_LEN).ok_or(HandleError::Malformed)?;
    if digest != asked.digest() {
        return Err(HandleError::Foreign);
    }
    String::from_utf8(state.to_vec()).map_err(|_| HandleError::Malformed)
}

/// `body` with the string at `span` replaced by `state`; every other byte stays.
#[must_use]
pub fn splice(body: &[u8], span: Range<usize>, state: &str) -> Vec<u8> {
    let quoted = quote(state);
    let mut out = Vec::with_capacity(body.len() + quoted.len());
    out.extend_from_slice(body.get(..span.start).unwrap_or_default());
    out.extend_from_slice(quoted.as_bytes());
    out.extend_from_slice(body.get(span.end..).unwrap_or_default());
    out
}

/// Whether `body` could have a state in it. An upstream that hides the word behind escapes only makes a
/// state that no client can bring back.
#[must_use]
pub fn is_marked(body: &[u8]) -> bool {
    memmem::find(body, MARK).is_some()
}

/// One JSON-RPC response with its `result.requestState` replaced by what `seal` makes of it. `None` if it
/// has none, if `seal` gives none, or if it cannot be read: then it goes to the client as it is, whose retry
/// with a state that is not ours is refused.
pub fn reseal(body: &[u8], seal: impl FnOnce(&str) -> Option<String>) -> Option<Vec<u8>> {
    if !is_marked(body) {
        return None;
    }
    let (state, span) = find(body).ok()??;
    seal(&state).map(|sealed| splice(body, span, &sealed))
}

fn find(body: &[u8]) -> Result<Option<(String, Range<usize>)>, Fault> {
    let mut cursor = Cursor::new(body, DEPTH)?;
    if cursor.peek() != Some(b'{') {
        return Ok(None);
    }
    let mut keys = Keys::new(&RESPONSE);
    let mut found = None;
    cursor.object(|cursor, key| {
        if keys.admit(key)? == Some("result") && cursor.peek() == Some(b'{') {
            found = find_in_result(cursor)?;
            return Ok(());
        }
        cursor.skip()
    })?;
    cursor.finish()?;
    Ok(found)
}

fn find_in_result(cursor: &mut Cursor<'_>) -> Result<Option<(String, Range<usize>)>, Fault> {
    let mut keys = Keys::new(&RESULT);
    let (mut found, mut asks) = (None, false);
    cursor.object(|cursor, key| {
        let key = keys.admit(key)?;
        let start = cursor.offset();
        let value = cursor.value()?;
        match (key, value.shape) {
            (Some("requestState"), Shape::String(text)) => {
                found = Some((text.decode().into_owned(), start..cursor.offset()));
            }
            (Some("resultType"), Shape::String(text)) => asks = text.decode() == "input_required",
            _ => {}
        }
        Ok(())
    })?;
    Ok(found.filter(|_| asks))
}

/// The same for an answer that comes as events: holds back no more than the event that has not ended yet,
/// and at most 256 KiB.
#[derive(Debug)]
pub struct Stream {
    decoder: sse::Decoder,
    /// An event was too long: whatever follows goes through as it is.
    gave_up: bool,
}

impl Default for Stream {
    fn default() -> Self {
        Self { decoder: sse::Decoder::new(usize::MAX), gave_up: false }
    }
}

impl Stream {
    /// What of the stream is to be passed on, now that `chunk` has come.
    pub fn push(&mut self, chunk: &[u8], mut seal: impl FnMut(&str) -> Option<String>) -> Vec<u8> {
        if self.gave_up {
            return chunk.to_vec();
        }
        self.decoder.push(chunk);
        let mut out = Vec::with_capacity(chunk.len());
        while let Ok(Some(frame)) = self.decoder.next_frame() {
            pass(&frame, &mut seal, &mut out);
        }
        if self.decoder.remainder().len() > LONGEST_EVENT {
            self.gave_up = true;
            out.extend_from_slice(self.decoder.remainder());
        }
        out
    }

    /// What was held back, at the stream's end.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        if self.gave_up { Vec::new() } else { self.decoder.remainder().to_vec() }
    }
}

fn pass(frame: &sse::Frame<'_>, seal: &mut impl FnMut(&str) -> Option<String>, out: &mut Vec<u8>) {
    if let sse::Frame::Event(event) = frame
        && let Some(data) = &event.data
        && let Some(changed) = reseal(data, seal)
    {
        let (name, id) = (event.event.as_deref(), event.id.as_deref());
        let fields = sse::Fields { event: name, id, retry: event.retry, data: Some(&changed) };
        let before = out.len();
        if sse::encode(&fields, out).is_ok() {
            return;
        }
        out.truncate(before);
    }
    out.extend_from_slice(frame.raw());
}

#[cfg(test)]
mod tests;
