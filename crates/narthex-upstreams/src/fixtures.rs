//! Settings for the tests.

use narthex_config::model::{
    Breaker, CatalogueLimits, Credential, Endpoints, Health, HttpVersion, Protocol, Transport, Upstream,
};
use std::num::NonZeroU32;
use std::time::Duration;

/// Failures in a row that open a breaker.
pub(crate) const FAILURES: u32 = 2;
/// How long it stays open.
pub(crate) const COOLDOWN: Duration = Duration::from_secs(10);

/// An upstream at `urls`, with short time-outs.
pub(crate) fn settings(urls: &[impl AsRef<str>]) -> Upstream {
    let mut urls = urls.iter().map(|url| url.as_ref().parse().unwrap());
    Upstream {
        transport: Transport::Http(Endpoints { first: urls.next().unwrap(), others: urls.collect() }),
        credential: Credential::None,
        timeout: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(1),
        stream_idle_timeout: Duration::from_secs(1),
        keepalive: Duration::from_secs(60),
        http: HttpVersion::Auto,
        protocol: Protocol::Auto,
        pins: narthex_config::model::PinMode::Off,
        ca: None,
        tls: None,
        max_concurrent: NonZeroU32::new(8).unwrap(),
        breaker: Breaker { failures: NonZeroU32::new(FAILURES).unwrap(), cooldown: COOLDOWN },
        catalogue: CatalogueLimits::default(),
        health: Health::default(),
        allow_link_local: false,
        insecure: true,
    }
}
