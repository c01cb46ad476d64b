//! How far inside a call may go.

use super::address::{classify, embedded};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// How far inside the gateway's own network an address is, or a call may go. What an operator wrote may be
/// anywhere; what a stranger's document names must not be further inside than the stranger.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Reach {
    /// Addresses of the public internet.
    Public,
    /// Also those of private networks, and any other that is not globally reachable.
    Private,
    /// Also this machine itself.
    Loopback,
}

impl Reach {
    /// Where `ip` is, looking through the IPv6 forms that embed an IPv4 address.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => of_v4(v4),
            IpAddr::V6(v6) => embedded(v6).map_or_else(|| of_v6(v6), of_v4),
        }
    }

    /// Where the host of `url` is: the furthest outside of its addresses, since whoever owns a name can give it
    /// an address inside beside its own. `None`: it has none now.
    pub async fn of_host(url: &Url) -> Option<Self> {
        match url.host()? {
            Host::Ipv4(ip) => Some(Self::of(ip.into())),
            Host::Ipv6(ip) => Some(Self::of(ip.into())),
            Host::Domain(name) => {
                let found = tokio::net::lookup_host((name, 0)).await.ok()?;
                Self::outermost(found.map(|address| address.ip()))
            }
        }
    }

    fn outermost(addresses: impl Iterator<Item = IpAddr>) -> Option<Self> {
        addresses.map(Self::of).min()
    }
}

/// Whether a call that may go as far as `reach` may go to `ip`.
pub(super) fn is_allowed(ip: IpAddr, reach: Reach, allow_link_local: bool) -> bool {
    classify(ip).is_allowed(allow_link_local) && Reach::of(ip) <= reach
}

/// The IANA IPv4 special-purpose registry: what is not globally reachable is not public.
fn of_v4(ip: Ipv4Addr) -> Reach {
    let [a, b, c, _] = ip.octets();
    let special = match a {
        0 | 10 => true,
        100 => (64..128).contains(&b),
        169 => b == 254,
        172 => (16..32).contains(&b),
        192 => b == 168 || (b == 0 && (c == 0 || c == 2)) || (b == 88 && c == 99),
        198 => b == 18 || b == 19 || (b == 51 && c == 100),
        203 => b == 0 && c == 113,
        _ => a >= 224,
    };
    match a {
        127 => Reach::Loopback,
        _ if special => Reach::Private,
        _ => Reach::Public,
    }
}

/// Global unicast is 2000::/3, but for protocol assignments, tunnels and documentation.
fn of_v6(ip: Ipv6Addr) -> Reach {
    let [first, second, ..] = ip.segments();
    let global = (0x2000..0x4000).contains(&first);
    // 2001::/23 holds Teredo, ORCHID and benchmarks; 2001:db8::/32 and 3fff::/20 are for documents.
    let special =
        (first == 0x2001 && (second < 0x0200 || second == 0x0db8)) || (first == 0x3fff && second < 0x1000);
    if ip.is_loopback() {
        Reach::Loopback
    } else if global && !special {
        Reach::Public
    } else {
        Reach::Private
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(text: &str) -> Reach {
        Reach::of(text.parse().unwrap())
    }

    #[test]
    fn only_global_addresses_are_public() {
        for text in
            ["8.8.8.8", "1.1.1.1", "100.63.0.1", "172.32.0.1", "192.169.0.1", "2606:4700::1111", "2a00::1"]
        {
            assert_eq!(reach(text), Reach::Public, "{text}");
        }
        for text in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "192.0.0.192",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "0.0.0.0",
            "fd00::1",
            "fc00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
            "100::1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
        ] {
            assert_eq!(reach(text), Reach::Private, "{text}");
        }
    }

    #[test]
    fn every_form_of_this_machine_is_seen_through() {
        for text in
            ["127.0.0.1", "127.255.0.3", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]
        {
            assert_eq!(reach(text), Reach::Loopback, "{text}");
        }
    }

    #[test]
    fn nobody_is_let_further_inside_than_said() {
        let may = |ip: &str, reach| is_allowed(ip.parse().unwrap(), reach, false);
        assert!(may("8.8.8.8", Reach::Public) && may("8.8.8.8", Reach::Loopback));
        assert!(!may("10.0.0.1", Reach::Public) && may("10.0.0.1", Reach::Private));
        assert!(!may("127.0.0.1", Reach::Private) && may("127.0.0.1", Reach::Loopback));
        for reach in [Reach::Public, Reach::Private, Reach::Loopback] {
            assert!(!may("169.254.169.254", reach) && !may("0.0.0.0", reach));
        }
    }

    #[test]
    fn an_address_inside_beside_ones_own_lets_nobody_in() {
        let outermost = |all: &[&str]| Reach::outermost(all.iter().map(|text| text.parse().unwrap()));
        assert_eq!(outermost(&["127.0.0.1", "8.8.8.8", "10.0.0.1"]), Some(Reach::Public));
        assert_eq!(outermost(&["::1", "fd00::1"]), Some(Reach::Private));
        assert_eq!(outermost(&["::1", "127.0.0.1"]), Some(Reach::Loopback));
        assert_eq!(outermost(&[]), None);
    }

    #[tokio::test]
    async fn the_reach_of_a_host_is_that_of_its_address() {
        let of = |url: &'static str| async move { Reach::of_host(&url.parse().unwrap()).await };
        assert_eq!(of("http://127.0.0.1:1/x").await, Some(Reach::Loopback));
        assert_eq!(of("http://localhost/").await, Some(Reach::Loopback));
        assert_eq!(of("https://[fd00::1]/").await, Some(Reach::Private));
        assert_eq!(of("https://8.8.8.8/").await, Some(Reach::Public));
    }
}
