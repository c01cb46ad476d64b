//! The pieces together, on a few calls: upstream and bare proxy in this process, the real load.

use crate::Error;
use crate::bare::Bare;
use crate::load::{Bound, Load, Pace, Tally, Target};
use crate::upstream;
use crate::workload::Workload;
use clap::ValueEnum as _;
use pingora::apps::ServerApp as _;
use pingora::protocols::l4::stream::Stream;
use pingora::server::configuration::ServerConf;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::LocalSet;

const FEW: Bound = Bound { time: Duration::from_secs(60), calls: 8 };

/// Runs `test` with the addresses of an upstream and of a bare proxy before it.
fn with_servers<F: Future<Output = ()>>(test: impl FnOnce(SocketAddr, SocketAddr) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap();
        tokio::task::spawn_local(upstream::serve(listener, upstream::TOOLS));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        tokio::task::spawn_local(serve_bare(listener, upstream));
        test(upstream, proxy).await;
    });
}

async fn serve_bare(listener: TcpListener, upstream: SocketAddr) {
    let proxy = Arc::new(pingora_proxy::http_proxy(&Arc::new(ServerConf::default()), Bare { upstream }));
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    while let Ok((stream, _)) = listener.accept().await {
        let (proxy, stopped) = (Arc::clone(&proxy), stopped.clone());
        tokio::spawn(async move {
            let stream: Stream = stream.into();
            proxy.process_new(Box::new(stream), &stopped).await;
        });
    }
}

fn target(address: SocketAddr) -> Target {
    Target {
        address,
        path: "/mcp".to_owned(),
        tokens: Arc::from(["a".to_owned(), "b".to_owned(), "c".to_owned()]),
    }
}

async fn few(target: &Target, workload: Workload, pace: Pace) -> Result<Tally, Error> {
    let mut load = Load::connect(target, workload, 2).await?;
    load.run(pace, FEW).await?;
    // The connections are still good after a round.
    load.run(pace, FEW).await
}

#[test]
fn every_workload_gets_its_answers_directly_and_through_the_bare_proxy() {
    with_servers(|upstream, proxy| async move {
        for address in [upstream, proxy] {
            for &workload in Workload::value_variants() {
                let tally = few(&target(address), workload, Pace::Closed).await.unwrap();
                assert_eq!(tally.latencies.count(), FEW.calls, "{workload:?}");
            }
        }
    });
}

#[test]
fn a_fixed_rate_is_kept_to_its_count() {
    with_servers(|upstream, _| async move {
        let tally = few(&target(upstream), Workload::Call, Pace::Rate(10_000)).await.unwrap();
        assert_eq!(tally.latencies.count(), FEW.calls);
    });
}

#[test]
fn an_answer_that_is_no_result_ends_the_round() {
    with_servers(|_, proxy| async move {
        let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = nowhere.local_addr().unwrap();
        drop(nowhere);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let broken = listener.local_addr().unwrap();
        tokio::task::spawn_local(serve_bare(listener, dead));
        let error = few(&target(broken), Workload::Call, Pace::Closed).await.unwrap_err();
        assert!(error.to_string().contains("status 502"), "{error}");
        few(&target(proxy), Workload::Call, Pace::Closed).await.unwrap();
    });
}

#[test]
fn an_idle_stream_opens_through_the_bare_proxy() {
    with_servers(|_, proxy| async move {
        crate::memory::open_stream(&target(proxy), 1).await.unwrap();
    });
}
