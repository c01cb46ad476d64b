//! A body under a test's control.

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// The test's end of an event stream. Dropping it ends the stream as it should end.
pub struct SseFeed {
    pieces: mpsc::UnboundedSender<Piece>,
    gone: watch::Receiver<bool>,
}

impl SseFeed {
    /// Sends an event with this data.
    pub fn event(&self, data: impl AsRef<str>) {
        let lines = data.as_ref().lines().map(|line| format!("data: {line}\n"));
        self.raw(format!("{}\n", lines.collect::<String>()));
    }

    /// Sends an event with this id and data.
    pub fn event_with_id(&self, id: &str, data: impl AsRef<str>) {
        self.raw(format!("id: {id}\ndata: {}\n\n", data.as_ref()));
    }

    /// Sends these bytes, a chunk of their own, not necessarily a whole event.
    pub fn raw(&self, bytes: impl Into<Bytes>) {
        // The peer may be gone: then nobody is left to send to, and `gone` says so.
        let _ = self.pieces.send(Piece::Bytes(bytes.into()));
    }

    /// Breaks the stream off: the connection is closed with the body unfinished.
    pub fn cut(self) {
        let _ = self.pieces.send(Piece::Cut);
    }

    /// Waits until the peer has closed the stream.
    ///
    /// # Panics
    /// Not within 20 s.
    pub async fn gone(&mut self) {
        let gone = self.gone.wait_for(|gone| *gone);
        if timeout(super::PATIENCE, gone).await.is_err() {
            panic!("the peer keeps the stream open");
        }
    }

    /// Whether the peer has closed the stream.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        *self.gone.borrow()
    }
}

/// The server's end.
pub(super) struct Feed {
    pub(super) pieces: mpsc::UnboundedReceiver<Piece>,
    gone: watch::Sender<bool>,
}

/// What the test wants sent.
pub(super) enum Piece {
    Bytes(Bytes),
    Cut,
}

/// Two ends of one stream.
pub(super) fn feed() -> (SseFeed, Feed) {
    let (sender, pieces) = mpsc::unbounded_channel();
    let (gone, is_gone) = watch::channel(false);
    (SseFeed { pieces: sender, gone: is_gone }, Feed { pieces, gone })
}

impl Drop for Feed {
    /// Dropped with its connection, or at the stream's end.
    fn drop(&mut self) {
        self.gone.send_replace(true);
    }
}
