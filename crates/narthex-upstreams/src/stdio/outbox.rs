//! What is said to a child: a queue, bounded in messages and in bytes, and the task that writes it.

use super::process::{Gone, Stop, stopped};
use bytes::Bytes;
use std::sync::Arc;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

/// Messages that wait to be written.
const MESSAGES: usize = 256;
/// Their bytes; a longer message waits until it is alone.
const BYTES: u32 = 4 << 20;

/// The sending end.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
}

/// A message with the room that it takes.
#[derive(Debug)]
pub(super) struct Waiting {
    message: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Outbox {
    pub(super) fn new() -> (Self, mpsc::Receiver<Waiting>) {
        let (queue, waiting) = mpsc::channel(MESSAGES);
        (Self { queue, room: Arc::new(Semaphore::new(BYTES as usize)) }, waiting)
    }

    /// Waits for room, for as long as whoever calls likes to. Dropped before its end, nothing is sent.
    pub(super) async fn send(&self, message: Bytes) -> Result<(), Gone> {
        let place = self.queue.reserve().await.map_err(|_| Gone)?;
        let room = Arc::clone(&self.room).acquire_many_owned(size(&message)).await.map_err(|_| Gone)?;
        place.send(Waiting { message, _room: room });
        Ok(())
    }

    /// Sends it if there is room. Whether there was.
    pub(super) fn try_send(&self, message: Bytes) -> bool {
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(size(&message)) else { return false };
        self.queue.try_send(Waiting { message, _room: room }).is_ok()
    }
}

/// The same JSON text, as one line for whatever takes what for the end of one. A client's line feed between two
/// tokens would otherwise begin a message of its own, which nobody has looked at.
pub(super) fn one_line(message: Bytes) -> Bytes {
    const SEPARATORS: [(&[u8], &[u8]); 2] =
        [("\u{2028}".as_bytes(), b"\\u2028"), ("\u{2029}".as_bytes(), b"\\u2029")];
    if memchr::memchr3(b'\n', b'\r', 0xe2, &message).is_none() {
        return message;
    }
    // Within strings these are escaped, so they are space here.
    let space = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
    let mut line: Vec<u8> = message.iter().map(space).collect();
    // And these are only in strings. Node.js ends lines at them.
    for (separator, escaped) in SEPARATORS {
        if let Some(first) = memchr::memmem::find(&line, separator) {
            let mut replaced = Vec::with_capacity(line.len() + 64);
            let mut from = 0;
            let later = memchr::memmem::find_iter(line.get(first..).unwrap_or_default(), separator);
            for at in later.map(|at| at + first) {
                replaced.extend_from_slice(line.get(from..at).unwrap_or_default());
                replaced.extend_from_slice(escaped);
                from = at + separator.len();
            }
            replaced.extend_from_slice(line.get(from..).unwrap_or_default());
            line = replaced;
        }
    }
    line.into()
}

fn size(message: &Bytes) -> u32 {
    u32::try_from(message.len()).unwrap_or(BYTES).clamp(1, BYTES)
}

/// Writes what comes, a line each, until the child is to end or does not take it any more.
pub(super) async fn write<W: AsyncWrite + Unpin>(
    mut stdin: W,
    mut waiting: mpsc::Receiver<Waiting>,
    mut stop: watch::Receiver<Stop>,
) {
    loop {
        let next = tokio::select! {
            biased;
            _ = stopped(&mut stop) => return,
            next = waiting.recv() => next,
        };
        let Some(next) = next else { return };
        let written = tokio::select! {
            biased;
            _ = stopped(&mut stop) => return,
            written = write_line(&mut stdin, &next.message) => written,
        };
        if written.is_err() {
            return;
        }
    }
}

async fn write_line<W: AsyncWrite + Unpin>(stdin: &mut W, message: &Bytes) -> std::io::Result<()> {
    // In one piece where it is small: a pipe wakes its reader for each.
    if message.len() < 4096 {
        let mut line = Vec::with_capacity(message.len() + 1);
        line.extend_from_slice(message);
        line.push(b'\n');
        stdin.write_all(&line).await?;
    } else {
        stdin.write_all(message).await?;
        stdin.write_all(b"\n").await?;
    }
    stdin.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::AsyncReadExt;

    #[test]
    fn a_message_is_one_line_whatever_takes_what_for_the_end_of_one() {
        let line = |text: &'static str| String::from_utf8(one_line(text.into()).to_vec()).unwrap();
        assert_eq!(line("{\"a\":\n{\"method\":\r\n1}}"), "{\"a\": {\"method\":  1}}");
        assert_eq!(
            line("{\"a\":\"x\u{2028}y\u{2029}\u{2028}\u{2027}\"}"),
            "{\"a\":\"x\\u2028y\\u2029\\u2028\u{2027}\"}"
        );
        assert_eq!(line("{\"a\":\"\\n\u{20ac}\"}"), "{\"a\":\"\\n\u{20ac}\"}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_that_does_not_read_makes_senders_wait_and_memory_does_not_grow() {
        let (outbox, waiting) = Outbox::new();
        let (_stop, stopped) = watch::channel(Stop::No);
        let (stdin, _unread) = tokio::io::duplex(1024);
        tokio::spawn(write(stdin, waiting, stopped));
        let message = Bytes::from(vec![b'x'; 1 << 20]);
        let mut taken = 0;
        while tokio::time::timeout(Duration::from_secs(1), outbox.send(message.clone())).await.is_ok() {
            taken += 1;
            assert!(taken <= 5, "more than 4 MiB wait");
        }
        assert!(!outbox.try_send(message));
        assert!(taken >= 4);
    }

    #[tokio::test]
    async fn every_message_is_a_line_and_in_order() {
        let (outbox, waiting) = Outbox::new();
        let (_stop, stopped) = watch::channel(Stop::No);
        let (stdin, mut read) = tokio::io::duplex(64);
        tokio::spawn(write(stdin, waiting, stopped));
        let long = "y".repeat(10_000);
        for text in ["a", &long, "b"] {
            outbox.send(Bytes::from(text.to_owned())).await.unwrap();
        }
        drop(outbox);
        let mut all = String::new();
        read.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, format!("a\n{long}\nb\n"));
    }

    #[tokio::test]
    async fn the_end_closes_the_pipe_even_while_a_write_is_stuck() {
        let (outbox, waiting) = Outbox::new();
        let (stop, stopped) = watch::channel(Stop::No);
        let (stdin, mut read) = tokio::io::duplex(16);
        let writing = tokio::spawn(write(stdin, waiting, stopped));
        outbox.send(Bytes::from(vec![b'x'; 1000])).await.unwrap();
        tokio::task::yield_now().await;
        stop.send_replace(Stop::End);
        writing.await.unwrap();
        let mut rest = Vec::new();
        read.read_to_end(&mut rest).await.unwrap();
        assert!(rest.len() <= 16);
        assert_eq!(outbox.send(Bytes::from_static(b"late")).await, Err(Gone));
    }
}
