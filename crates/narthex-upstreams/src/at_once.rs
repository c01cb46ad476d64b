//! Futures that hardly ever wait.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// What `future` gives without waiting; `None`: it has to wait, and is dropped.
///
/// For futures of pingora that wait for the sake of cases that are known not to be there. Kept nowhere, they are no
/// burden to the futures that call them.
pub fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
