//! The text that names a server, as people write it: what is meant, or what is wrong with it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address::Unusable;
use crate::text::bare;

/// Host and port that a text names. The host is in lower case (its zone apart), an IPv6 address
/// without its brackets.
pub(super) fn read(text: &str) -> Result<(String, u16), Reason> {
    let text = inside(text)?;
    if text.contains("://") {
        return Err(Reason::Url);
    }
    if text.contains([',', ';']) {
        return Err(Reason::Several);
    }
    if is_ipv6(text) {
        return Ok((ipv6(text)?, NTP_PORT));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or(Reason::Bracket)?;
            if !is_ipv6(host) {
                return Err(Reason::NotIpv6);
            }
            let port = match after {
                "" => None,
                _ => Some(after.strip_prefix(':').ok_or(Reason::AfterBracket)?),
            };
            (ipv6(host)?, port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (name(host)?, Some(port)),
            None => (name(text)?, None),
        },
    };
    let port = port.map_or(Some(NTP_PORT), read_port).ok_or(Reason::Port)?;
    Ok((host, port))
}

/// Without what stands around it, of which something must be left.
fn inside(text: &str) -> Result<&str, Reason> {
    let text = bare(text);
    if text.is_empty() {
        return Err(Reason::Empty);
    }
    if text.starts_with(['"', '\'']) || text.ends_with(['"', '\'']) {
        return Err(Reason::Quote);
    }
    Ok(text)
}

fn is_ipv6(text: &str) -> bool {
    text.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// An IPv6 address, where it is link-local with the interface that it is local to.
fn ipv6(text: &str) -> Result<String, Reason> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let ip: Ipv6Addr = address.parse().map_err(|_| Reason::NotIpv6)?;
    usable(ip.into())?;
    match (ip.is_unicast_link_local(), zone) {
        (true, None) => Err(Reason::NoZone),
        (false, Some(_)) => Err(Reason::StrayZone),
        (true, Some(zone)) if !is_zone(zone) => Err(Reason::Zone),
        (true, Some(zone)) => Ok(format!("{}%{zone}", address.to_ascii_lowercase())),
        (false, None) => Ok(address.to_ascii_lowercase()),
    }
}

/// Name or number of an interface, of the length that systems have for one.
fn is_zone(zone: &str) -> bool {
    (1..=ZONE_LEN_MAX).contains(&zone.len()) && zone.bytes().all(is_host_byte)
}

/// A host name or an IPv4 address.
fn name(host: &str) -> Result<String, Reason> {
    if host.is_empty() {
        return Err(Reason::NoHost);
    }
    if !host.bytes().all(is_host_byte) {
        return Err(Reason::Character);
    }
    // A dot at the end says that the name is whole; an address is that anyway.
    let undotted = host.strip_suffix('.').unwrap_or(host);
    let mut labels = undotted.split('.');
    if host.len() > HOST_LEN_MAX || labels.clone().any(|label| label.len() > LABEL_LEN_MAX) {
        return Err(Reason::TooLong);
    }
    if labels.clone().any(str::is_empty) {
        return Err(Reason::NoHost);
    }
    if labels.next_back().is_some_and(is_number) {
        // Resolvers take 10.1 for 10.0.0.1 and 010.0.0.1 for 8.0.0.1.
        let ip: Ipv4Addr = undotted.parse().map_err(|_| Reason::NotIpv4)?;
        usable(ip.into())?;
        return Ok(undotted.to_owned());
    }
    Ok(host.to_ascii_lowercase())
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

/// Whether resolvers would read the last label as part of an IPv4 address.
fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

fn usable(ip: IpAddr) -> Result<(), Reason> {
    Unusable::by_itself(ip).map_or(Ok(()), |unusable| Err(Reason::Unusable(unusable)))
}

fn read_port(digits: &str) -> Option<u16> {
    // `u16::from_str` would also take a plus sign.
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|port| plain && *port != 0)
}

/// What is wrong with a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Reason {
    #[error("it is empty")]
    Empty,
    #[error("it has a quotation mark at one end")]
    Quote,
    #[error("it is a URL")]
    Url,
    #[error("it names more than one server")]
    Several,
    #[error("the bracket of its IPv6 address is not closed")]
    Bracket,
    #[error("the text in its brackets is not an IPv6 address")]
    NotIpv6,
    #[error("only :port may follow the closing bracket")]
    AfterBracket,
    #[error("its link-local address needs the interface, as in fe80::1%eth0")]
    NoZone,
    #[error("only a link-local address (fe80::) has an interface behind a %")]
    StrayZone,
    #[error("the text after the % is not the name of an interface")]
    Zone,
    #[error("its host is empty")]
    NoHost,
    #[error("its host is longer than 253 characters or has a label longer than 63")]
    TooLong,
    #[error("its host has a character other than letters, digits, '.', '-' and '_'")]
    Character,
    #[error("its host ends in a number but is not an IPv4 address")]
    NotIpv4,
    #[error("its host is {0}")]
    Unusable(Unusable),
    #[error("its port is not a number from 1 to 65535")]
    Port,
}

/// Where no other is named.
pub(super) const NTP_PORT: u16 = 123;
const HOST_LEN_MAX: usize = 253;
const LABEL_LEN_MAX: usize = 63;
const ZONE_LEN_MAX: usize = 15;
