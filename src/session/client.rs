//! Who asks: an address and what the client says it is.

use std::net::{IpAddr, Ipv6Addr};

use super::proof::ShownProof;
use super::quota::Meter;

/// Bytes of a User-Agent that are looked at.
const MAX_USER_AGENT_BYTES: usize = 512;

/// A name in the User-Agent and what it is called; the first that is found counts, so imitators come before the imitated.
const PROGRAMS: [(&str, &str); 12] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("Wget/", "Wget"),
    ("rclone/", "rclone"),
    ("python", "Python"),
];

const SYSTEMS: [(&str, &str); 8] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
];

/// Who asks, as far as the connection and the request say.
#[derive(Clone, Debug)]
pub struct ClientInfo {
    /// The client's address, by the trusted proxies' word only.
    pub address: IpAddr,
    /// The User-Agent header: what the owner reads, and a trait of the client.
    pub user_agent: Option<String>,
    /// The Accept-Language header: a trait of the client.
    pub language: Option<String>,
    /// The proof of possession that the request shows.
    pub proof: Option<ShownProof>,
    /// What its request counts as.
    pub meter: Meter,
}

impl ClientInfo {
    /// A name that the owner may recognise; made of our own words, never of the client's.
    pub fn device(&self) -> String {
        let agent = self.user_agent.as_deref().unwrap_or_default();
        let agent = &agent[..agent.floor_char_boundary(MAX_USER_AGENT_BYTES)];
        let first =
            |names: &[(&str, &'static str)]| names.iter().find(|(sign, _)| agent.contains(sign)).map(|(_, name)| *name);
        match (first(&PROGRAMS), first(&SYSTEMS)) {
            (Some(program), Some(system)) => format!("{program} on {system}"),
            (Some(name), None) | (None, Some(name)) => name.into(),
            (None, None) => "Unknown device".into(),
        }
    }
}

/// The network that counts as one client: an IPv4 address, or the /64 that one IPv6 customer has at least.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(agent: Option<&str>) -> ClientInfo {
        let user_agent = agent.map(str::to_owned);
        ClientInfo { address: [192, 0, 2, 1].into(), user_agent, language: None, proof: None, meter: Meter::default() }
    }

    #[test]
    fn devices_are_named_by_program_and_system() {
        let cases = [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 \
                 Safari/537.36 Edg/140.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile \
                 Safari/537.36",
                "Chrome on Android",
            ),
            ("curl/8.14.1", "curl"),
            ("python-requests/2.32", "Python"),
            ("<script>alert(1)</script>", "Unknown device"),
            ("", "Unknown device"),
        ];
        for (agent, device) in cases {
            assert_eq!(client(Some(agent)).device(), device, "{agent}");
        }
        assert_eq!(client(None).device(), "Unknown device");
    }

    #[test]
    fn a_user_agent_is_read_up_to_its_limit_and_no_further() {
        let device = |padding: usize| {
            let agent = format!("{}curl/", "\u{e9}".repeat(padding));
            client(Some(&agent)).device()
        };
        assert_eq!(device((MAX_USER_AGENT_BYTES - 5) / 2), "curl");
        assert_eq!(device(MAX_USER_AGENT_BYTES / 2 - 1), "Unknown device");
    }

    #[test]
    fn one_customer_is_one_network() {
        let same = [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ];
        for (one, other) in same {
            assert_eq!(network(one.parse().unwrap()), network(other.parse().unwrap()));
        }
        let different = [("192.0.2.1", "192.0.2.2"), ("2001:db8:1:2::1", "2001:db8:1:3::1")];
        for (one, other) in different {
            assert_ne!(network(one.parse().unwrap()), network(other.parse().unwrap()));
        }
    }
}
