use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::error::TenantError;

const MAX_URL: usize = 2_000;

/// Checks an address that a tenant wants us to call, and gives it in its canonical form. The address that a name
/// resolves to is checked again at every connect; this refuses what can be seen at once.
pub(crate) fn check(
    field: &'static str,
    text: &str,
    allow_private: bool,
) -> Result<Url, TenantError> {
    let refuse = |reason| Err(TenantError::invalid(field, reason));
    if text.len() > MAX_URL {
        return refuse("is too long");
    }
    let Ok(url) = Url::parse(text) else {
        return refuse("is no address");
    };
    let spoken = match url.scheme() {
        "https" => true,
        "http" => allow_private,
        _ => false,
    };
    if !spoken {
        return refuse("must begin with https://");
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return refuse("must not hold a user name, a password or a fragment");
    }
    let usual = matches!(url.port_or_known_default(), Some(80 | 443 | 8000..=8999));
    if !usual && !allow_private {
        return refuse("must use port 443, 80 or 8000 to 8999");
    }
    // The parser has turned `2130706433`, `0x7f.1` and the like into the address that they mean.
    let private = match url.host() {
        None => return refuse("has no host"),
        Some(Host::Ipv4(address)) => is_private(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_private(IpAddr::V6(address)),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name.is_empty()
                || !name.contains('.')
                || name.ends_with(".localhost")
                || name.ends_with(".internal")
                || name.ends_with(".local")
        }
    };
    if private && !allow_private {
        return refuse("must not be a private address");
    }
    Ok(url)
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped().or_else(|| embedded(address)) {
            Some(inner) => is_private_v4(inner),
            None => is_private_v6(address),
        },
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (b == 18 || b == 19))
        || (a == 192 && b == 0 && c == 0)
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || first & 0xfe00 == 0xfc00
        || first & 0xffc0 == 0xfe80
        || (first == 0x2001 && second == 0xdb8)
        || first == 0x0100
}

// NAT64, 6to4 and IPv4-compatible addresses carry an IPv4 address inside.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match (a, b) {
        (0x64, 0xff9b) => Some(join(high, low)),
        (0x2002, _) => Some(join(b, c)),
        (0, 0) if (c, d, e, f) == (0, 0, 0, 0) && (high, low) > (0, 1) => Some(join(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_lead_inward_are_refused_in_every_spelling() {
        for bad in [
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://10.1.2.3/",
            "https://localhost/",
            "https://a.localhost/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://0.0.0.0/",
            "https://100.64.0.1/",
            "https://user@example.com/",
            "https://u:p@example.com/",
            "https://example.com:22/",
            "http://example.com/",
            "ftp://example.com/",
            "https://",
            "example.com",
            "",
            "https://example.com/#x",
            "https://intranet/",
            "https://①②⑦.⓪.⓪.①/",
        ] {
            assert!(check("url", bad, false).is_err(), "{bad}");
        }
        for good in [
            "https://example.com/hook?x=1",
            "https://hooks.example.com:8443/",
            "https://93.184.216.34/",
        ] {
            assert!(check("url", good, false).is_ok(), "{good}");
        }
    }

    #[test]
    fn configuration_may_allow_the_machine_itself() {
        assert!(check("url", "http://127.0.0.1:9999/hook", true).is_ok());
        assert!(check("url", "http://user@127.0.0.1:9999/hook", true).is_err());
    }
}
