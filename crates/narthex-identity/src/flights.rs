//! One question at a time about one token.

use ahash::RandomState;
use dashmap::DashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

/// Questions that are being asked, by token. Whoever asks the same meanwhile gets the same answer.
pub(crate) struct Flights<V> {
    flights: DashMap<Key, Arc<OnceCell<V>>, RandomState>,
}

#[derive(Clone, Eq, PartialEq)]
struct Key(Zeroizing<String>);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_str().hash(state);
    }
}

impl<V: Clone> Flights<V> {
    /// The answer of `ask`, or of whoever asks about `token` already. If that one goes away before
    /// the answer came, another one who waits asks.
    pub(crate) async fn join<F: Future<Output = V>>(&self, token: &str, ask: impl FnOnce() -> F) -> V {
        let key = Key(Zeroizing::new(token.to_owned()));
        let cell = Arc::clone(self.flights.entry(key.clone()).or_default().value());
        let landing = Landing { flights: self, key, cell };
        landing.cell.get_or_init(ask).await.clone()
    }
}

impl<V> Default for Flights<V> {
    fn default() -> Self {
        Self { flights: DashMap::default() }
    }
}

impl<V> fmt::Debug for Flights<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("len", &self.flights.len()).finish()
    }
}

/// Takes the question off the list when whoever asked has the answer or goes away.
struct Landing<'f, V> {
    flights: &'f Flights<V>,
    key: Key,
    cell: Arc<OnceCell<V>>,
}

impl<V> Drop for Landing<'_, V> {
    fn drop(&mut self) {
        self.flights.flights.remove_if(&self.key, |_, cell| Arc::ptr_eq(cell, &self.cell));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn many_who_ask_the_same_ask_once() {
        let (flights, asked) = (Flights::default(), AtomicUsize::new(0));
        let ask = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            7
        };
        let (a, b, c) = tokio::join!(flights.join("t", ask), flights.join("t", ask), flights.join("u", ask));
        assert_eq!((a, b, c), (7, 7, 7));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        assert_eq!(flights.flights.len(), 0);
    }

    #[tokio::test]
    async fn when_the_one_who_asks_goes_away_another_one_asks() {
        let flights = Flights::default();
        let mut first = Box::pin(flights.join("t", std::future::pending));
        assert!(
            std::future::poll_fn(|cx| std::task::Poll::Ready(first.as_mut().poll(cx))).await.is_pending()
        );
        let second = flights.join("t", || async { 1 });
        let (answer, ()) = tokio::join!(second, async move { drop(first) });
        assert_eq!(answer, 1);
    }
}
