//! Which addresses a registry may send us to.
//!
//! A registry on the internet must not make this program ask a machine of the local network, such as a metadata service: by no address,
//! and by no name that has one. A name that changes its address between this look and the connection (DNS rebinding) is not seen.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Whether both have the same scheme, host and port.
pub fn is_same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}

/// Whether the host of `url` is written as an address, or the name `localhost`, that only this machine or its network can reach.
pub fn is_private(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_private_v4(address),
        Some(Host::Ipv6(address)) => is_private_v6(address),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
        }
        None => true,
    }
}

/// Where something that somebody else says may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    /// Not there.
    Nowhere,
    /// There, as long as it is a public address.
    Outside,
    /// There, whatever it is.
    Anywhere,
}

/// Whether something that `from` says may lead to `to`: anything public, the same host, and anything where `from` is private itself;
/// but to no address at which a cloud tells a machine its own secrets.
///
/// A name that does not resolve here, as behind a proxy that resolves for us, counts as public: it is the proxy's to say where it leads.
pub async fn lead(from: &Url, to: &Url) -> Lead {
    lead_by(from, to, addresses).await
}

async fn lead_by(from: &Url, to: &Url, addresses: impl AsyncFn(&Url) -> Vec<IpAddr>) -> Lead {
    if from.host() == to.host() {
        return Lead::Anywhere;
    }
    // One private address of several is enough for somebody who wants us to go there.
    let found = match to.host() {
        Some(Host::Ipv4(address)) => vec![address.into()],
        Some(Host::Ipv6(address)) => vec![address.into()],
        _ => addresses(to).await,
    };
    if found.iter().any(is_of_the_machine) {
        return Lead::Nowhere;
    }
    if is_private(from) {
        return Lead::Anywhere;
    }
    if !is_private(to) && !found.iter().any(is_private_address) {
        return Lead::Outside;
    }
    let own = addresses(from).await;
    if !own.is_empty() && own.iter().all(is_private_address) { Lead::Anywhere } else { Lead::Nowhere }
}

/// What the name in `url` resolves to; nothing where it does not.
async fn addresses(url: &Url) -> Vec<IpAddr> {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Vec::new() };
    let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await;
    found.map(|found| found.map(|address| address.ip()).collect()).unwrap_or_default()
}

/// Whether an address is a service for this very machine: link-local ones, and those of Azure, Alibaba, Amazon and Google that are not.
fn is_of_the_machine(address: &IpAddr) -> bool {
    let v4 = match *address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(address) => carried(address),
    };
    if let Some(address) = v4 {
        return address.is_link_local() || matches!(address.octets(), AZURE | [100, 100, 100, 200]);
    }
    let IpAddr::V6(address) = address else { return false };
    match address.segments() {
        [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..] => true,
        [a, ..] => (a & 0xffc0) == 0xfe80,
    }
}

/// Where Azure tells its machines what they are, in the midst of public addresses.
const AZURE: [u8; 4] = [168, 63, 129, 16];

/// The IPv4 address that mapped (::ffff:0:0/96), translated (::ffff:0:0:0/96), compatible (::/96), NAT64 (64:ff9b::/96) and 6to4
/// (2002::/16) forms carry.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let (high, low) = match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0 | 0xffff) | (0, 0, 0, 0, 0xffff, 0) | (0x64, 0xff9b, 0, 0, 0, 0) => (g, h),
        (0x2002, ..) => (b, c),
        _ => return None,
    };
    Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
}

pub(super) fn is_private_address(address: &IpAddr) -> bool {
    match *address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => is_private_v6(address),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.octets() == AZURE
        // This network, and what is reserved, with the address of all.
        || a == 0
        || a >= 240
        // Shared address space (RFC 6598), protocol assignments (RFC 6890), benchmarks (RFC 2544).
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    if let Some(address) = carried(address) {
        return is_private_v4(address);
    }
    match address.segments() {
        // NAT64 of a network's own (64:ff9b:1::/48), and Teredo (2001::/32).
        [0x64, 0xff9b, 1, ..] | [0x2001, 0, ..] => true,
        // Unique local fc00::/7, link-local fe80::/10, site-local fec0::/10, multicast ff00::/8.
        [a, ..] => (a & 0xfe00) == 0xfc00 || (a & 0xff80) == 0xfe80 || (a & 0xff00) == 0xff00,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_private_addresses() {
        for private in [
            "http://127.0.0.1/",
            "http://10.1.2.3/",
            "http://172.16.0.1/",
            "http://192.168.1.1/",
            "http://169.254.169.254/",
            "http://0.0.0.0/",
            "http://100.64.0.1/",
            "http://[::1]/",
            "http://[::]/",
            "http://[fe80::1]/",
            "http://[fd00::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://localhost/",
            "http://LOCALHOST./",
            "http://a.localhost/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://192.0.0.8/",
            "http://198.19.0.1/",
            "http://240.0.0.1/",
            "http://255.255.255.255/",
            "http://[2002:a9fe:a9fe::1]/",
            "http://[64:ff9b:1::808:808]/",
            "http://[2001::1]/",
            "http://168.63.129.16/",
            "http://[::ffff:0:10.0.0.1]/",
        ] {
            assert!(is_private(&Url::parse(private).unwrap()), "{private}");
        }
        for public in [
            "https://8.8.8.8/",
            "https://100.128.0.1/",
            "https://172.32.0.1/",
            "https://192.0.1.1/",
            "https://198.20.0.1/",
            "https://[2002:808:808::1]/",
            "https://[2001:4860::1]/",
            "https://ghcr.io/",
            "https://[::ffff:8.8.8.8]/",
        ] {
            assert!(!is_private(&Url::parse(public).unwrap()), "{public}");
        }
    }

    #[tokio::test]
    async fn a_public_registry_leads_to_no_private_address() {
        let url = |text: &str| Url::parse(text).unwrap();
        assert_eq!(lead(&url("https://8.8.8.8/"), &url("https://169.254.169.254/latest")).await, Lead::Nowhere);
        assert_eq!(lead(&url("https://8.8.8.8/"), &url("https://8.8.4.4/blob")).await, Lead::Outside);
        assert_eq!(lead(&url("https://10.0.0.5/"), &url("https://10.0.0.6:9000/blob")).await, Lead::Anywhere);
        assert_eq!(lead(&url("https://10.0.0.5/"), &url("https://10.0.0.5:9000/blob")).await, Lead::Anywhere);
    }

    #[tokio::test]
    async fn nobody_leads_to_the_services_of_this_machine() {
        let url = |host: &str| Url::parse(&format!("http://{host}/")).unwrap();
        for host in [
            "169.254.169.254",
            "169.254.170.2",
            "168.63.129.16",
            "100.100.100.200",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[fd20:ce::254]",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
        ] {
            for from in ["10.0.0.5", "8.8.8.8", "localhost", "[fd00::1]", "169.254.1.1"] {
                assert_eq!(lead(&url(from), &url(host)).await, Lead::Nowhere, "{from} {host}");
            }
            assert_eq!(lead(&url(host), &url(host)).await, Lead::Anywhere);
        }
    }

    #[tokio::test]
    async fn names_lead_where_they_resolve_to() {
        let resolve = async |url: &Url| -> Vec<IpAddr> {
            let found: &[&str] = match url.host_str().unwrap() {
                "ghcr.io" => &["140.82.121.33", "2606:50c0::1"],
                "cdn.example" => &["1.2.3.4"],
                "metadata.google.internal" => &["169.254.169.254"],
                "mixed.example" => &["1.2.3.4", "10.0.0.1"],
                "registry.corp.example" | "store.corp.example" => &["10.0.0.7", "fd00::7"],
                "half.corp.example" => &["10.0.0.7", "1.2.3.4"],
                _ => &[],
            };
            found.iter().map(|address| address.parse().unwrap()).collect()
        };
        for (from, to, may) in [
            ("ghcr.io", "cdn.example", true),
            ("ghcr.io", "metadata.google.internal", false),
            ("ghcr.io", "mixed.example", false),
            ("ghcr.io", "localhost", false),
            // What does not resolve here is the proxy's to know.
            ("ghcr.io", "unknown.example", true),
            ("unknown.example", "10.0.0.1", false),
            ("registry.corp.example", "store.corp.example", true),
            ("registry.corp.example", "10.0.0.9", true),
            ("half.corp.example", "store.corp.example", false),
            ("half.corp.example", "half.corp.example:8443", true),
            ("half.corp.example", "10.0.0.9", false),
            // Not even a private registry.
            ("10.0.0.9", "metadata.google.internal", false),
            ("registry.corp.example", "metadata.google.internal", false),
        ] {
            let url = |host: &str| Url::parse(&format!("https://{host}/")).unwrap();
            assert_eq!(lead_by(&url(from), &url(to), resolve).await != Lead::Nowhere, may, "{from} {to}");
        }
    }
}
