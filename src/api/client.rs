//! Who is on the other side: the address that limits count, and the browser's name for itself.
//!
//! `X-Forwarded-For` is believed only for as long as the hop that wrote it is one of the operator's own proxies. Every
//! other header that claims an address is ignored.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{HeaderName, USER_AGENT};

use crate::config::Network;

/// Most bytes that are kept of a `User-Agent`.
pub const MAX_USER_AGENT_BYTES: usize = 256;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client behind `peer`, walking back through `trusted` proxies.
pub fn address(peer: SocketAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let mut address = peer.ip().to_canonical();
    let hops = headers.get_all(X_FORWARDED_FOR).iter().rev().flat_map(|line| line.as_bytes().rsplit(|b| *b == b','));
    for hop in hops {
        if !trusted.iter().any(|network| network.contains(address)) {
            break;
        }
        match std::str::from_utf8(hop).ok().and_then(parse_hop) {
            Some(earlier) => address = earlier,
            None => break,
        }
    }
    address
}

/// The client's name for itself, cut to [`MAX_USER_AGENT_BYTES`] and to printable characters.
pub fn user_agent(headers: &HeaderMap) -> String {
    let value = headers.get(USER_AGENT).map_or(&[][..], |value| value.as_bytes());
    value
        .iter()
        .take(MAX_USER_AGENT_BYTES)
        .map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '?' })
        .collect()
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let ip = hop.parse().or_else(|_| hop.parse::<SocketAddr>().map(|with_port| with_port.ip()));
    let ip = ip.or_else(|_| hop.trim_start_matches('[').trim_end_matches(']').parse());
    ip.ok().map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address_of(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(X_FORWARDED_FOR, line.parse().unwrap());
        }
        headers.insert("forwarded", "for=9.9.9.9".parse().unwrap());
        headers.insert("x-real-ip", "9.9.9.9".parse().unwrap());
        let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        address(SocketAddr::new(peer.parse().unwrap(), 1), &headers, &trusted).to_string()
    }

    #[test]
    fn only_configured_proxies_are_believed() {
        for (peer, forwarded, trusted, expected) in [
            ("1.1.1.1", &["2.2.2.2"][..], &[][..], "1.1.1.1"),
            ("1.1.1.1", &["2.2.2.2"], &["1.1.1.1/32"], "2.2.2.2"),
            ("::ffff:1.1.1.1", &["2.2.2.2"], &["1.1.1.1/32"], "2.2.2.2"),
            ("1.1.1.1", &["3.3.3.3, 2.2.2.2"], &["1.1.1.1/32"], "2.2.2.2"),
            ("1.1.1.1", &["3.3.3.3, 2.2.2.2"], &["1.1.1.1/32", "2.0.0.0/8"], "3.3.3.3"),
            ("1.1.1.1", &["3.3.3.3", "2.2.2.2"], &["1.1.1.1/32", "2.0.0.0/8"], "3.3.3.3"),
            ("1.1.1.1", &["2.2.2.2:4711"], &["1.1.1.1/32"], "2.2.2.2"),
            ("1.1.1.1", &["[2001:db8::1]:443"], &["1.1.1.1/32"], "2001:db8::1"),
            ("1.1.1.1", &["[2001:db8::1]"], &["1.1.1.1/32"], "2001:db8::1"),
            ("1.1.1.1", &["unknown"], &["1.1.1.1/32"], "1.1.1.1"),
            ("1.1.1.1", &["3.3.3.3, garbage"], &["1.1.1.1/32"], "1.1.1.1"),
            ("1.1.1.1", &[], &["1.1.1.1/32"], "1.1.1.1"),
        ] {
            assert_eq!(address_of(peer, forwarded, trusted), expected, "{peer} {forwarded:?} {trusted:?}");
        }
    }

    #[test]
    fn a_user_agent_is_cut_and_made_printable() {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, http::HeaderValue::from_bytes(b"curl/8\t\xff").unwrap());
        assert_eq!(user_agent(&headers), "curl/8??");
        headers.insert(USER_AGENT, "x".repeat(MAX_USER_AGENT_BYTES + 1).parse().unwrap());
        assert_eq!(user_agent(&headers).len(), MAX_USER_AGENT_BYTES);
        assert_eq!(user_agent(&HeaderMap::new()), "");
    }
}
