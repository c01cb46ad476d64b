//! The yardstick: the least that can be called a proxy with `pingora-proxy`. Everything that is not
//! `upstream_peer` is the library's default, on one thread.

use async_trait::async_trait;
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};
use std::net::SocketAddr;

/// Sends every request to one address.
#[derive(Clone, Copy, Debug)]
pub struct Bare {
    /// Where to.
    pub upstream: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }
}

/// How a bare proxy process is started.
#[derive(Clone, Copy, Debug, clap::Parser)]
pub struct BareOptions {
    /// Where to listen.
    #[arg(long)]
    pub listen: SocketAddr,
    /// Where every request goes.
    #[arg(long)]
    pub upstream: SocketAddr,
    /// Run one current-thread runtime instead of Pingora's default work-stealing one.
    #[arg(long)]
    pub no_work_stealing: bool,
}

/// Runs the proxy until the process is killed.
pub fn run(options: BareOptions) -> ! {
    let conf = ServerConf { work_stealing: !options.no_work_stealing, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Bare { upstream: options.upstream });
    service.add_tcp(&options.listen.to_string());
    server.add_service(service);
    server.run_forever()
}
