//! From fields to bytes.

use std::time::Duration;

/// A field that would break out of its line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an event's {field} contains a line break or NUL")]
pub struct FieldError {
    /// `event` or `id`.
    pub field: &'static str,
}

/// The fields of an event to be written. What is `None` gets no line.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Fields<'a> {
    /// The event's type; without it, `message`.
    pub event: Option<&'a str>,
    /// The id to resume after.
    pub id: Option<&'a str>,
    /// How long the client is to wait before it reconnects; written in milliseconds.
    pub retry: Option<Duration>,
    /// The data. Each line break in it becomes a line of its own.
    pub data: Option<&'a [u8]>,
}

/// Appends an event to `out`.
///
/// # Errors
/// `event` or `id` contains CR, LF or NUL; `out` is left as it was.
pub fn encode(fields: &Fields<'_>, out: &mut Vec<u8>) -> Result<(), FieldError> {
    check("event", fields.event)?;
    check("id", fields.id)?;
    let mut line = |name: &str, value: &[u8]| {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.push(b'\n');
    };
    if let Some(event) = fields.event {
        line("event", event.as_bytes());
    }
    if let Some(id) = fields.id {
        line("id", id.as_bytes());
    }
    if let Some(retry) = fields.retry {
        line("retry", retry.as_millis().to_string().as_bytes());
    }
    if let Some(data) = fields.data {
        each_line(data, |text| line("data", text));
    }
    out.push(b'\n');
    Ok(())
}

fn check(field: &'static str, value: Option<&str>) -> Result<(), FieldError> {
    let breaks = value.is_some_and(|value| value.contains(['\r', '\n', '\0']));
    if breaks { Err(FieldError { field }) } else { Ok(()) }
}

fn each_line(mut data: &[u8], mut f: impl FnMut(&[u8])) {
    while let Some(end) = memchr::memchr2(b'\r', b'\n', data) {
        f(&data[..end]);
        let is_crlf = data[end..].starts_with(b"\r\n");
        data = &data[end + 1 + usize::from(is_crlf)..];
    }
    f(data);
}
