//! Who is on the other side: the address that limits count, the browser's name for itself, and what it proves.
//!
//! `X-Forwarded-For` is believed only for as long as the hop that wrote it is one of the operator's own proxies. Every
//! other header that claims an address is ignored.

use std::net::{IpAddr, SocketAddr};

use http::header::{ACCEPT_LANGUAGE, HeaderName, USER_AGENT};
use http::{HeaderMap, Method};
use url::Url;

use crate::config::{Network, Secret};
use crate::session::ShownProof;

/// Most bytes that are kept of a `User-Agent`.
pub const MAX_USER_AGENT_BYTES: usize = 256;

/// Most bytes that are kept of an `Accept-Language`.
pub const MAX_LANGUAGE_BYTES: usize = 64;

/// Where a proof of possession comes (RFC 9449, section 4.1).
pub const DPOP: HeaderName = HeaderName::from_static("dpop");

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
    printable(headers, USER_AGENT, MAX_USER_AGENT_BYTES)
}

/// The languages that the client asks for, cut to [`MAX_LANGUAGE_BYTES`] and to printable characters.
pub fn language(headers: &HeaderMap) -> String {
    printable(headers, ACCEPT_LANGUAGE, MAX_LANGUAGE_BYTES)
}

/// The proof of possession that the request for `path` shows; several make one that is none.
pub fn proof(headers: &HeaderMap, method: &Method, public_url: &Url, path: &str) -> Option<ShownProof> {
    let shown: Vec<_> = headers.get_all(DPOP).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    let mut url = public_url.clone();
    url.set_path(path);
    (!shown.is_empty()).then(|| ShownProof { text: Secret::new(shown.join(",")), method: method.to_string(), url })
}

fn printable(headers: &HeaderMap, name: HeaderName, most: usize) -> String {
    let value = headers.get(name).map_or(&[][..], |value| value.as_bytes());
    value
        .iter()
        .take(most)
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
