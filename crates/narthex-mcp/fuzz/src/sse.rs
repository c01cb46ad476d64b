//! A stream says the same wherever it was cut, and none of its bytes is lost.

use narthex_mcp::sse::{Decoder, Frame, SseError};
use std::time::Duration;

/// What an event says, without where it stood.
#[derive(Debug, Default, Eq, PartialEq)]
struct Said {
    event: Option<String>,
    id: Option<String>,
    data: Option<Vec<u8>>,
    retry: Option<Duration>,
}

#[derive(Debug, Default)]
struct Read {
    events: Vec<Said>,
    raw: Vec<u8>,
    rest: Vec<u8>,
    error: Option<SseError>,
}

/// The first byte says how the stream is cut, the second how long an event may be (`0` to `9`: 1 to
/// 512 bytes, others: any), the others are the stream.
///
/// # Panics
/// If a promise is broken.
pub fn check(data: &[u8]) {
    let Some(([cuts, limit], stream)) = data.split_first_chunk() else { return };
    let limit = match limit {
        b'0'..=b'9' => 1 << (limit - b'0'),
        _ => usize::MAX,
    };
    let whole = read([stream], limit);
    every_byte_is_there(&whole, stream);
    for parts in [read(stream.chunks(1), limit), read(pieces(stream, *cuts), limit)] {
        assert_eq!(parts.error, whole.error);
        assert_eq!(parts.events, whole.events);
        every_byte_is_there(&parts, stream);
    }
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Read {
    let mut decoder = Decoder::new(limit);
    let mut read = Read::default();
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => read.take(&frame),
                Err(error) => {
                    read.error = Some(error);
                    return read;
                }
            }
        }
    }
    read.rest = decoder.remainder().to_vec();
    read
}

impl Read {
    fn take(&mut self, frame: &Frame<'_>) {
        if let Frame::Event(event) = frame {
            assert_eq!(event.offset, self.raw.len() as u64, "where the event stood");
            self.events.push(Said {
                event: event.event.as_deref().map(str::to_owned),
                id: event.id.as_deref().map(str::to_owned),
                data: event.data.as_deref().map(<[u8]>::to_vec),
                retry: event.retry,
            });
        }
        assert!(!frame.raw().is_empty(), "a frame of nothing");
        self.raw.extend_from_slice(frame.raw());
    }
}

fn every_byte_is_there(read: &Read, stream: &[u8]) {
    // One that is not whole yet stays in the remainder.
    let rest = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    let known = [&read.raw[..], &read.rest].concat();
    match read.error {
        None => assert_eq!(known, rest),
        Some(_) => assert!(rest.starts_with(&known)),
    }
}

/// Pieces of 0 to 15 bytes, each cut from what the last left over.
fn pieces(stream: &[u8], cuts: u8) -> Vec<&[u8]> {
    let (mut pieces, mut rest, mut state) = (Vec::new(), stream, cuts);
    while !rest.is_empty() {
        state = state.wrapping_mul(5).wrapping_add(17);
        let (piece, left) = rest.split_at(usize::from(state >> 4).min(rest.len()));
        pieces.push(piece);
        rest = left;
    }
    pieces
}
