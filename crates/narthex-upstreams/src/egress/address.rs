//! Which addresses the gateway may call.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AddressKind {
    /// Public, private or loopback unicast: what operators put in their configuration.
    Unicast,
    /// Link-local (RFC 3927, RFC 4291), where cloud metadata services live, and their other
    /// well-known addresses: allowed only by `allow_link_local: true`.
    LinkLocal,
    /// Unspecified, multicast, broadcast: never a server.
    NotAServer,
}

impl AddressKind {
    /// Whether the gateway may connect to it.
    #[must_use]
    pub fn is_allowed(self, allow_link_local: bool) -> bool {
        match self {
            Self::Unicast => true,
            Self::LinkLocal => allow_link_local,
            Self::NotAServer => false,
        }
    }
}

/// The kind of `ip`, looking through the IPv6 forms that embed an IPv4 address (mapped, compatible,
/// translated, NAT64 and 6to4), so that none of them hides one.
#[must_use]
pub fn classify(ip: IpAddr) -> AddressKind {
    match ip {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => match embedded(v6) {
            Some(v4) => classify_v4(v4),
            None => classify_v6(v6),
        },
    }
}

fn classify_v4(ip: Ipv4Addr) -> AddressKind {
    // Metadata services outside 169.254.0.0/16: Alibaba Cloud, Oracle Cloud (classic), Azure.
    const METADATA: [Ipv4Addr; 3] =
        [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];
    if ip.octets()[0] == 0 || ip.is_multicast() || ip.octets()[0] >= 240 {
        AddressKind::NotAServer
    } else if ip.is_link_local() || METADATA.contains(&ip) {
        AddressKind::LinkLocal
    } else {
        AddressKind::Unicast
    }
}

fn classify_v6(ip: Ipv6Addr) -> AddressKind {
    // Metadata services in unique-local space: AWS, Google Cloud.
    const METADATA: [Ipv6Addr; 2] = [
        Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254),
        Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254),
    ];
    if ip.is_unspecified() || ip.is_multicast() {
        AddressKind::NotAServer
    } else if ip.is_unicast_link_local() || METADATA.contains(&ip) {
        AddressKind::LinkLocal
    } else {
        AddressKind::Unicast
    }
}

/// The IPv4 address inside, if this is one of the embedding forms.
pub(super) fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = ip.segments();
    let low = |hi: u16, lo: u16| Ipv4Addr::from((u32::from(hi) << 16) | u32::from(lo));
    match s {
        [0, 0, 0, 0, 0, 0xffff, hi, lo]
        | [0, 0, 0, 0, 0xffff, 0, hi, lo]
        | [0x0064, 0xff9b, 0, 0, 0, 0, hi, lo]
        | [0x0064, 0xff9b, 1, .., hi, lo] => Some(low(hi, lo)),
        [0, 0, 0, 0, 0, 0, hi, lo] if hi != 0 => Some(low(hi, lo)),
        [0x2002, hi, lo, ..] => Some(low(hi, lo)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_metadata_address_is_seen_through() {
        for text in [
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "168.63.129.16",
            "fd20:ce::254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
        ] {
            let kind = text.parse().map(classify);
            assert_eq!(kind, Ok(AddressKind::LinkLocal), "{text}");
        }
    }

    #[test]
    fn what_is_no_server_is_never_called() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::",
            "ff02::1",
            "::ffff:0.0.0.0",
        ] {
            let kind = text.parse().map(classify);
            assert_eq!(kind, Ok(AddressKind::NotAServer), "{text}");
            assert!(!AddressKind::NotAServer.is_allowed(true));
        }
    }

    #[test]
    fn ordinary_hosts_are_allowed() {
        for text in ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.1", "8.8.8.8", "2001:db8::1", "fd00::1"] {
            let kind = text.parse().map(classify);
            assert_eq!(kind, Ok(AddressKind::Unicast), "{text}");
        }
    }
}
