//! Which addresses are never asked for the time, no matter who named them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not used. A resolver that blocks a name answers with one of these, and what
/// answers there is not the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("the unspecified address")]
    Unspecified,
    #[error("a multicast address")]
    Multicast,
    #[error("the broadcast address")]
    Broadcast,
    #[error("this machine")]
    Loopback,
}

impl Unusable {
    /// What makes an address unusable for every server. IPv4 in an IPv6 address (`::ffff:0.0.0.0`)
    /// reaches the same hosts and counts alike; behind NAT64 lies another network, with addresses
    /// of its own.
    pub(crate) fn by_itself(ip: IpAddr) -> Option<Unusable> {
        match ip.to_canonical() {
            ip if ip.is_multicast() => Some(Unusable::Multicast),
            IpAddr::V4(Ipv4Addr::BROADCAST) => Some(Unusable::Broadcast),
            // All of 0.0.0.0/8 is "this network" (RFC 1122, 3.2.1.3).
            IpAddr::V4(v4) if v4.octets()[0] == 0 => Some(Unusable::Unspecified),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(Unusable::Unspecified),
            _ => None,
        }
    }

    /// What makes an address unusable for the default server: this machine is not it either.
    pub(crate) fn for_default(ip: IpAddr) -> Option<Unusable> {
        let loopback = ip.to_canonical().is_loopback().then_some(Unusable::Loopback);
        loopback.or_else(|| Unusable::by_itself(ip))
    }
}
