//! The serving side: a server that does nothing but bring a request to the upstream and its answer back.

use super::tls::Tls;
use super::wire::within;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode, header};
use narthex_config::model::{
    Admin, Auth, Breaker, CatalogueLimits, Config, Credential, Health, HttpLimits, HttpVersion, PinMode,
    Pins, Protocol, PublicUrl, SecretStores, Server, Store, Transport, Upstream as Settings, UpstreamId,
};
use narthex_proxy::body::{self, BodyBudget, BodyError};
use narthex_proxy::forward::{self, Answer, Early, ForwardError, Outbound, Relay, RelayEnd};
use narthex_upstreams::{Busy, Connections, Upstream, Upstreams};
use pingora::apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// Longest request body.
pub(super) const LIMIT: usize = 16 * 1024 * 1024;

/// How one request ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Its body was not read.
    Body(BodyError),
    /// The upstream was not asked.
    Busy(Busy),
    /// The upstream did not answer.
    Failed(ForwardError),
    /// Its answer was relayed.
    Relayed { end: RelayEnd, sent: usize, retries: usize },
}

impl Outcome {
    pub(super) fn end(&self) -> RelayEnd {
        match self {
            Self::Relayed { end, .. } => *end,
            other => panic!("not relayed: {other:?}"),
        }
    }

    pub(super) fn failure(&self) -> &'static str {
        match self {
            Self::Failed(error) => error.reason(),
            other => panic!("not failed: {other:?}"),
        }
    }
}

/// What differs from one request to the next is said in the query: `once` (not replayable), `stay`
/// (a client that goes away does not cancel), `longer`/`shorter` (the body is rewritten), `endless`
/// (a stream that ends on shutdown), `expired` (the token runs out at once).
pub(super) struct App {
    upstream: Arc<Upstream>,
    connections: Connections,
    budget: BodyBudget,
    body_within: Duration,
    write_within: Duration,
    options: HttpServerOptions,
    outcomes: mpsc::UnboundedSender<Outcome>,
}

/// A running server.
pub(super) struct Door {
    pub(super) addr: SocketAddr,
    pub(super) budget: BodyBudget,
    pub(super) upstream: Arc<Upstream>,
    pub(super) accepted: Arc<AtomicUsize>,
    outcomes: mpsc::UnboundedReceiver<Outcome>,
    stop: watch::Sender<bool>,
}

/// What a server is like.
pub(super) struct Plan {
    pub(super) settings: Settings,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) body_within: Duration,
    pub(super) write_within: Duration,
    pub(super) budget: usize,
}

impl Plan {
    /// A plain server in front of `upstream`.
    pub(super) fn to(upstream: SocketAddr) -> Self {
        Self {
            settings: settings(&format!("http://{upstream}/mcp")),
            tls: None,
            body_within: Duration::from_secs(20),
            write_within: Duration::from_secs(20),
            budget: 64 * 1024 * 1024,
        }
    }

    pub(super) fn http(mut self, version: HttpVersion) -> Self {
        self.settings.http = version;
        self
    }

    /// Serves over TLS.
    pub(super) fn behind(mut self, tls: &Arc<Tls>) -> Self {
        self.tls = Some(Arc::clone(tls));
        self
    }

    /// Calls the upstream over TLS.
    pub(super) fn trusting(mut self, tls: &Tls, upstream: SocketAddr) -> Self {
        let url: url::Url = format!("https://localhost:{}/mcp", upstream.port()).parse().expect("a URL");
        self.settings.transport = Transport::Http(url.into());
        self.settings.ca = Some(tls.ca_file());
        self
    }

    pub(super) async fn open(self) -> Door {
        Door::open(self).await
    }
}

/// An upstream with its defaults, except for short timeouts.
pub(super) fn settings(url: &str) -> Settings {
    Settings {
        transport: Transport::Http(url.parse::<url::Url>().expect("a URL").into()),
        catalogue: CatalogueLimits::default(),
        health: Health::default(),
        credential: Credential::None,
        timeout: Duration::from_secs(15),
        connect_timeout: Duration::from_secs(5),
        stream_idle_timeout: Duration::from_secs(15),
        keepalive: Duration::from_secs(30),
        http: HttpVersion::Auto,
        protocol: Protocol::Auto,
        pins: PinMode::Off,
        ca: None,
        tls: None,
        max_concurrent: NonZeroU32::new(1024).expect("not 0"),
        breaker: Breaker {
            failures: NonZeroU32::new(1000).expect("not 0"),
            cooldown: Duration::from_millis(200),
        },
        allow_link_local: false,
        insecure: false,
    }
}

fn build(settings: Settings) -> Arc<Upstream> {
    let id = UpstreamId::from("up");
    let config = config(BTreeMap::from([(id.clone(), settings)]));
    let upstreams = Upstreams::build(&config, None, Instant::now()).expect("upstreams");
    Arc::clone(upstreams.get(&id).expect("it is there").first())
}

/// A configuration of these upstreams and nothing else.
pub(super) fn config(upstreams: BTreeMap<UpstreamId, Settings>) -> Config {
    Config {
        server: server(),
        admin: Admin { listen: SocketAddr::from(([127, 0, 0, 1], 0)) },
        auth: Auth::default(),
        tenants: BTreeMap::new(),
        pins: Pins { file: "pins.json".into(), mode: PinMode::Off },
        secrets: SecretStores::default(),
        store: Store::default(),
        upstreams,
        routes: BTreeMap::new(),
    }
}

fn server() -> Server {
    Server {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        public_url: PublicUrl { url: String::new(), origin: String::new(), path: String::new() },
        tls: None,
        allowed_origins: Vec::new(),
        seal_keys: Vec::new(),
        state_dir: ".".into(),
        threads: None,
        grace_period: Duration::from_secs(1),
        limits: HttpLimits {
            body: LIMIT,
            header_block: 32 * 1024,
            json_depth: 64,
            connections: 1024,
            buffered: LIMIT,
            streams_per_caller: 16,
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(5),
            ..HttpLimits::default()
        },
    }
}

impl Door {
    async fn open(plan: Plan) -> Self {
        let (tell, outcomes) = mpsc::unbounded_channel();
        let (stop, shutdown) = watch::channel(false);
        let budget = BodyBudget::new(plan.budget);
        let upstream = build(plan.settings);
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        let app = Arc::new(App {
            upstream: Arc::clone(&upstream),
            connections: Connections::default(),
            budget: budget.clone(),
            body_within: plan.body_within,
            write_within: plan.write_within,
            options,
            outcomes: tell,
        });
        tokio::spawn(sweep(Arc::downgrade(&app)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let addr = listener.local_addr().expect("bound");
        let accepted = Arc::new(AtomicUsize::new(0));
        tokio::spawn(accept(listener, app, plan.tls, shutdown, Arc::clone(&accepted)));
        Self { addr, budget, upstream, accepted, outcomes, stop }
    }

    /// How the next request to end ended. Whatever its end, its body's bytes are given back.
    pub(super) async fn outcome(&mut self) -> Outcome {
        let outcome = self.outcome_of_many().await;
        assert_eq!(self.budget.held(), 0, "body bytes are still held after {outcome:?}");
        assert_eq!(self.upstream.in_flight(), 0, "a slot is still held after {outcome:?}");
        outcome
    }

    /// The same while other requests are under way.
    pub(super) async fn outcome_of_many(&mut self) -> Outcome {
        within(self.outcomes.recv()).await.expect("an outcome")
    }

    /// Tells the server to stop.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Acquire)
    }
}

/// As the gateway's housekeeping does, but more often.
async fn sweep(app: Weak<App>) {
    while let Some(app) = app.upgrade() {
        app.connections.sweep(Instant::now());
        drop(app);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn accept(
    listener: TcpListener,
    app: Arc<App>,
    tls: Option<Arc<Tls>>,
    shutdown: ShutdownWatch,
    accepted: Arc<AtomicUsize>,
) {
    while let Ok((tcp, _)) = listener.accept().await {
        accepted.fetch_add(1, Ordering::AcqRel);
        let (app, tls, shutdown) = (Arc::clone(&app), tls.clone(), shutdown.clone());
        tokio::spawn(async move {
            tcp.set_nodelay(true).expect("nodelay");
            let plain = pingora::protocols::l4::stream::Stream::from(tcp);
            let stream: Stream = match tls {
                None => Box::new(plain),
                Some(tls) => match tls.serving().tls_handshake(plain).await {
                    Ok(stream) => Box::new(stream),
                    Err(_) => return,
                },
            };
            app.process_new(stream, &shutdown).await;
        });
    }
}

#[async_trait]
impl HttpServerApp for App {
    async fn process_new_http(
        self: &Arc<Self>,
        mut client: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if !matches!(client.read_request().await, Ok(true)) {
            return None;
        }
        if *shutdown.borrow() {
            client.set_keepalive(None);
        }
        client.set_write_timeout(Some(self.write_within));
        let outcome = self.serve(&mut client, shutdown).await;
        let reusable = matches!(outcome, Outcome::Relayed { end: RelayEnd::Complete | RelayEnd::Ended, .. });
        let settings = HttpPersistentSettings::for_session(&client);
        let stream = if reusable { client.finish().await.ok().flatten() } else { None };
        let _ = self.outcomes.send(outcome);
        stream.map(|s| ReusedHttpStream::from_reusable_stream(s, settings))
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}

impl App {
    async fn serve(&self, client: &mut ServerSession, shutdown: &ShutdownWatch) -> Outcome {
        let asked = client.req_header().uri.query().unwrap_or_default().to_owned();
        let body = match body::read(client, LIMIT, self.body_within, &self.budget).await {
            Ok(body) => body,
            Err(error) => {
                let _ = client.respond_error(status_of(error)).await;
                return Outcome::Body(error);
            }
        };
        let request = outbound(client.req_header(), body.bytes.clone(), &asked, &self.upstream);
        let mut slot = match self.upstream.enter(Instant::now()) {
            Ok(slot) => slot,
            Err(busy) => {
                let _ = client.respond_error(503).await;
                return Outcome::Busy(busy);
            }
        };
        let mut client_gone = false;
        let cancel = !asked.contains("stay");
        let sent =
            forward::send(client, &mut client_gone, cancel, &self.upstream, &self.connections, &request)
                .await;
        drop((request, body));
        let mut answer = match sent {
            Ok(answer) => answer,
            Err(error) => {
                slot.passage.failed(Instant::now());
                let _ = client.respond_error(502).await;
                return Outcome::Failed(error);
            }
        };
        slot.passage.succeeded();
        let taken = if asked.contains("late") { Ok(None) } else { Early::take(&mut answer).map(Some) };
        let early = match taken {
            Ok(early) => early.map_or_else(Bytes::new, |e| e.bytes),
            Err(error) => {
                self.connections.abandon(answer.connection);
                let _ = client.respond_error(502).await;
                return Outcome::Failed(error);
            }
        };
        let relay = Relay {
            filter: None,
            client_gone,
            cancel_with_client: cancel,
            early,
            until: asked.contains("expired").then(SystemTime::now),
            end_on_shutdown: asked.contains("endless").then_some(shutdown),
        };
        self.relay(client, answer, relay).await
    }

    async fn relay(&self, client: &mut ServerSession, answer: Answer, mut relay: Relay<'_>) -> Outcome {
        let retries = answer.retries;
        let header = response(answer.header().expect("a header"));
        if !relay.client_gone {
            relay.client_gone = client.write_response_header(Box::new(header)).await.is_err();
        }
        let (end, sent) = relay.run(client, answer, &self.upstream, &self.connections).await;
        Outcome::Relayed { end, sent, retries }
    }
}

fn status_of(error: BodyError) -> u16 {
    match error {
        BodyError::TooLarge => 413,
        BodyError::TooSlow => 408,
        BodyError::Saturated => 503,
        BodyError::Expectation => 417,
        _ => 400,
    }
}

fn outbound(inbound: &RequestHeader, body: Bytes, asked: &str, upstream: &Upstream) -> Outbound {
    let body = if asked.contains("longer") {
        [&body[..], &body[..], b"!"].concat().into()
    } else if asked.contains("shorter") {
        body.slice(..body.len() / 2)
    } else {
        body
    };
    let path = inbound.uri.path_and_query().expect("a path").as_str().as_bytes();
    let mut header = RequestHeader::build(inbound.method.clone(), path, Some(4)).expect("a header");
    header.insert_header(header::HOST, &upstream.host).expect("host");
    if inbound.method != Method::GET {
        header.insert_header(header::CONTENT_LENGTH, body.len().to_string()).expect("length");
    }
    Outbound { header, body, replayable: !asked.contains("once") }
}

/// The answer's header for the client: its status, type and length, and nothing else.
fn response(answer: &ResponseHeader) -> ResponseHeader {
    let mut header = ResponseHeader::build(answer.status, Some(4)).expect("a header");
    if let Some(kind) = answer.headers.get(header::CONTENT_TYPE) {
        header.insert_header(header::CONTENT_TYPE, kind).expect("type");
    }
    let bodiless = matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    match answer.headers.get(header::CONTENT_LENGTH) {
        Some(length) => header.insert_header(header::CONTENT_LENGTH, length).expect("length"),
        None if bodiless => {}
        None => header.insert_header(header::TRANSFER_ENCODING, "chunked").expect("encoding"),
    }
    header
}
