//! Which addresses a registry may send us to.
//!
//! A registry on the internet must not make this program ask a machine of the local network, such as a metadata service.
//! A name that resolves to such an address cannot be seen here (DNS rebinding); an address written out can.

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

/// Whether something that `from` says may lead to `to`: anything public, the same host, and anything where `from` is private itself.
pub async fn may_lead(from: &Url, to: &Url) -> bool {
    if !is_private(to) || from.host() == to.host() || is_private(from) {
        return true;
    }
    resolves_to_private(from).await
}

/// Whether the name in `url` resolves, and to private addresses only. A name that does not resolve here counts as public.
async fn resolves_to_private(url: &Url) -> bool {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return false };
    let Ok(addresses) = tokio::net::lookup_host((host, port)).await else { return false };
    let mut addresses = addresses.peekable();
    addresses.peek().is_some()
        && addresses.all(|address| match address.ip() {
            IpAddr::V4(address) => is_private_v4(address),
            IpAddr::V6(address) => is_private_v6(address),
        })
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || a == 0
        // Shared address space (RFC 6598).
        || (a == 100 && (64..128).contains(&b))
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    // Mapped (::ffff:0:0/96), compatible (::/96) and NAT64 (64:ff9b::/96) forms carry an IPv4 address.
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = Ipv4Addr::from((u32::from(g) << 16) | u32::from(h));
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0 | 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => is_private_v4(v4),
        // Unique local fc00::/7, link-local fe80::/10, site-local fec0::/10, multicast ff00::/8.
        _ => (a & 0xfe00) == 0xfc00 || (a & 0xff80) == 0xfe80 || (a & 0xff00) == 0xff00,
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
        ] {
            assert!(is_private(&Url::parse(private).unwrap()), "{private}");
        }
        for public in [
            "https://8.8.8.8/",
            "https://100.128.0.1/",
            "https://172.32.0.1/",
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
        assert!(!may_lead(&url("https://8.8.8.8/"), &url("https://169.254.169.254/latest")).await);
        assert!(may_lead(&url("https://8.8.8.8/"), &url("https://cdn.example/blob")).await);
        assert!(may_lead(&url("https://10.0.0.5/"), &url("https://10.0.0.6:9000/blob")).await);
        assert!(may_lead(&url("https://10.0.0.5/"), &url("https://10.0.0.5:9000/blob")).await);
    }
}
