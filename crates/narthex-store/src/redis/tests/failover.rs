//! Behind one address that leads to whichever server is the primary.

use super::*;
use std::sync::atomic::{AtomicBool, AtomicU16};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

/// One address that leads each new connection to the server of now, and none of the old ones any more once
/// they are `cut`: what is sent on them is taken and not passed on, as where a machine is gone.
struct Address {
    port: u16,
    to: Arc<AtomicU16>,
    cut: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
}

impl Address {
    async fn of(server: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (to, made) = (Arc::new(AtomicU16::new(server.port())), Arc::new(AtomicUsize::new(0)));
        let cut = Arc::new(AtomicBool::new(false));
        let (leads, stops, counts) = (Arc::clone(&to), Arc::clone(&cut), Arc::clone(&made));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counts.fetch_add(1, Ordering::Relaxed);
                let server = TcpStream::connect(("127.0.0.1", leads.load(Ordering::Relaxed))).await.unwrap();
                let stops = Arc::clone(&stops);
                tokio::spawn(pass(client, server, stops));
            }
        });
        Self { port, to, cut, made }
    }

    /// Leads those that come from now on there.
    fn lead_to(&self, server: &RedisServer) {
        self.to.store(server.port(), Ordering::Relaxed);
    }

    fn store(&self, server: &RedisServer) -> Redis {
        let timeout = Duration::from_millis(400);
        Redis::new(&RedisSettings { port: self.port, timeout, ..settings(server) }).unwrap()
    }
}

/// Passes on what either says, until the connection is cut; then it says nothing any more, but stays open.
async fn pass(client: TcpStream, server: TcpStream, cut: Arc<AtomicBool>) {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let back = tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
        if !cut.load(Ordering::Relaxed) {
            to_server.write_all(&buffer[..read]).await.unwrap();
        }
    }
    back.abort();
}

/// Nobody says that the connection is lost: the calls on it are not answered, that is all.
#[tokio::test]
async fn a_server_that_is_gone_without_a_word_is_given_up_after_one_call() {
    let (server, other) = (RedisServer::start(), RedisServer::start());
    for round in 0..5 {
        let address = Address::of(&server).await;
        let store = address.store(&server);
        put(&store, 1).await.unwrap();
        address.cut.store(true, Ordering::Relaxed);
        address.lead_to(&other);
        let took = refused(&store).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
        address.cut.store(false, Ordering::Relaxed);
        assert!(put(&store, 2).await.is_ok(), "round {round}: it has another connection");
        assert_eq!(address.made.load(Ordering::Relaxed), 2);
    }
}

/// A call that is given up before the library's own time for an answer is over, as it had to wait first.
#[tokio::test]
async fn a_call_that_waited_for_the_connection_gives_it_up_as_well() {
    let server = RedisServer::start();
    let address = Address::of(&server).await;
    let store = Arc::new(address.store(&server));
    put(&store, 1).await.unwrap();
    let held = store.link.hold().await;
    address.cut.store(true, Ordering::Relaxed);
    let asking = tokio::spawn({
        let store = Arc::clone(&store);
        async move { refused(&store).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(held);
    asking.await.unwrap();
    address.cut.store(false, Ordering::Relaxed);
    assert!(put(&store, 2).await.is_ok());
    assert_eq!(address.made.load(Ordering::Relaxed), 2);
}

/// The former primary goes on as a replica: its connections stay open, and it refuses to write.
#[tokio::test]
async fn a_primary_that_became_a_replica_is_left_for_the_new_one() {
    let (former, new) = (RedisServer::start(), RedisServer::start());
    let address = Address::of(&former).await;
    let store = address.store(&former);
    put(&store, 1).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let follow = |of: &RedisServer| {
        let mut command = cmd("REPLICAOF");
        command.arg("127.0.0.1").arg(of.port());
        command
    };
    redis(&former).ask::<String>(&follow(&new)).await.unwrap();
    address.lead_to(&new);
    let error = put(&store, 2).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    put(&store, 2).await.unwrap();
    assert!(redis(&new).get(&key(2)).await.unwrap().is_some());
    // Where the address leads to a replica for longer, not every call makes a new connection.
    redis(&new).ask::<String>(&follow(&former)).await.unwrap();
    let before = address.made.load(Ordering::Relaxed);
    for _ in 0..50 {
        put(&store, 3).await.unwrap_err();
    }
    let made = address.made.load(Ordering::Relaxed) - before;
    assert!(made <= 2, "{made}");
}
