use super::*;
use pingora::protocols::l4::stream::Stream as L4;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const KEEP: Duration = Duration::from_secs(60);

/// Both ends of connections to a server.
struct Server(TcpListener);

impl Server {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    async fn connect(&self) -> (Stream, TcpStream) {
        let stream = TcpStream::connect(self.0.local_addr().unwrap()).await.unwrap();
        (Box::new(L4::from(stream)), self.0.accept().await.unwrap().0)
    }
}

/// Looks again until the event of the socket has come up.
async fn eventually(is_true: impl Fn() -> bool) {
    while !is_true() {
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn taken(place: &Place, now: Instant) -> usize {
    std::iter::from_fn(|| place.take(now)).count()
}

#[tokio::test]
async fn what_was_given_back_last_is_taken_first() {
    let (server, place, now) = (Server::start().await, Place::default(), Instant::now());
    let (first, _first) = server.connect().await;
    let (last, _last) = server.connect().await;
    let id = last.id();
    place.give(first, KEEP, now);
    place.give(last, KEEP, now);
    assert_eq!(place.take(now).map(|stream| stream.id()), Some(id));
    assert_eq!((taken(&place, now), place.is_empty()), (1, true));
}

#[tokio::test]
async fn no_connection_is_taken_that_is_closed_or_has_something_unasked_for() {
    let (server, place, now) = (Server::start().await, Place::default(), Instant::now());
    let (closed, far) = server.connect().await;
    drop(far);
    place.give(closed, KEEP, now);
    let (odd, mut far) = server.connect().await;
    far.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
    place.give(odd, KEEP, now);
    let pool = Pool::default();
    pool.places.insert(1, Arc::new(place));
    let place = pool.place(1);
    eventually(|| {
        pool.sweep(now);
        place.is_empty()
    })
    .await;
    assert!(place.take(now).is_none());
}

#[tokio::test]
async fn a_connection_is_kept_as_long_as_told() {
    let (server, pool, now) = (Server::start().await, Pool::default(), Instant::now());
    let place = pool.place(1);
    let (stream, _far) = server.connect().await;
    place.give(stream, KEEP, now);
    pool.sweep(now + KEEP - Duration::from_millis(1));
    assert!(!place.is_empty());
    assert!(place.take(now + KEEP).is_none());
    assert!(place.is_empty());
}

#[tokio::test]
async fn connections_to_one_place_are_not_taken_for_another() {
    let (server, pool, now) = (Server::start().await, Pool::default(), Instant::now());
    let (stream, _far) = server.connect().await;
    pool.place(1).give(stream, KEEP, now);
    assert!(pool.place(2).take(now).is_none());
    assert!(pool.place(1).take(now).is_some());
}

#[tokio::test]
async fn a_place_is_forgotten_when_nobody_has_it_and_nothing_is_in_it() {
    let (server, pool, now) = (Server::start().await, Pool::default(), Instant::now());
    let (stream, _far) = server.connect().await;
    pool.place(1).give(stream, KEEP, now);
    let used = pool.place(2);
    pool.place(3);
    pool.sweep(now);
    assert_eq!(pool.places.len(), 2, "one has a connection, one is somebody's");
    drop(used);
    pool.sweep(now + KEEP);
    assert!(pool.places.is_empty());
}

#[tokio::test]
async fn of_too_many_those_that_idle_longest_are_closed() {
    let (server, pool, now) = (Server::start().await, Pool::default(), Instant::now());
    let mut far = Vec::new();
    for second in 0..20 {
        let (stream, end) = server.connect().await;
        far.push(end);
        pool.place(second % 3).give(stream, KEEP, now + Duration::from_secs(second));
    }
    let now = now + Duration::from_secs(20);
    pool.sweep_to(20, now);
    assert_eq!(pool.places.iter().map(|place| place.ages().len()).sum::<usize>(), 20);
    pool.sweep_to(7, now);
    let mut ages: Vec<_> =
        pool.places.iter().flat_map(|place| place.ages()).map(|since| now - since).collect();
    ages.sort();
    assert_eq!(ages, (1..=7).map(Duration::from_secs).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_that_is_not_to_be_kept_is_closed_at_once() {
    let (server, place) = (Server::start().await, Place::default());
    let (stream, mut far) = server.connect().await;
    place.give(stream, Duration::ZERO, Instant::now());
    assert!(place.is_empty());
    assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_take_at_once_each_gets_another() {
    let (server, place, now) = (Server::start().await, Arc::new(Place::default()), Instant::now());
    let mut far = Vec::new();
    for _ in 0..40 {
        let (stream, end) = server.connect().await;
        far.push(end);
        place.give(stream, KEEP, now);
    }
    let takers: Vec<_> = (0..60)
        .map(|_| {
            let place = Arc::clone(&place);
            tokio::spawn(async move { place.take(now) })
        })
        .collect();
    let mut got = Vec::new();
    for taker in takers {
        got.extend(taker.await.unwrap());
    }
    let ids: std::collections::HashSet<_> = got.iter().map(|stream| stream.id()).collect();
    assert_eq!((ids.len(), place.is_empty()), (40, true));
}
