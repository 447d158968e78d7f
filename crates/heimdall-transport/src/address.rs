//! Which addresses webhooks may go to: checked at registration and again at connect, on what the name resolved to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use async_trait::async_trait;
use thiserror::Error;

/// Which addresses our own requests may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressPolicy {
    /// Only addresses of the public Internet: for URLs that tenants choose.
    PublicOnly,
    /// Any address: where the operator allows it by configuration.
    Any,
}

/// Why an address is not used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The name does not resolve.
    #[error("`{0}` does not resolve")]
    Unresolved(String),
    /// The name resolves to an address that is not public.
    #[error("`{0}` is not a public address")]
    NotPublic(String),
}

/// Turns host names into addresses.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// All addresses of `host`.
    async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// The addresses of `host` that may be connected to. One address that is not public spoils the whole answer: a name
/// that points both outward and inward is a rebinding attempt, not a choice.
pub async fn resolve_checked(
    resolver: &dyn Resolver,
    host: &str,
    port: u16,
    policy: AddressPolicy,
) -> Result<Vec<SocketAddr>, AddressError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = match bare.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => {
            let answer = resolver.resolve(bare, port).await;
            answer.map_err(|_| AddressError::Unresolved(bare.to_owned()))?
        }
    };
    if found.is_empty() {
        return Err(AddressError::Unresolved(bare.to_owned()));
    }
    if policy == AddressPolicy::PublicOnly && !found.iter().all(|address| is_public(address.ip())) {
        return Err(AddressError::NotPublic(bare.to_owned()));
    }
    Ok(found)
}

/// Whether `ip` belongs to the public Internet: not private, loopback, link-local, shared, reserved, multicast or
/// documentation (the IANA special-purpose registries), and no such IPv4 address inside an IPv6 one.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19)))
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, second, third, fourth, fifth, sixth, seventh, eighth] = ip.segments();
    let embedded = Ipv4Addr::from((u32::from(seventh) << 16) | u32::from(eighth));
    let v4_prefix =
        [first, second, third, fourth, fifth] == [0; 5] && (sixth == 0xffff || sixth == 0);
    let nat64 = [first, second, third, fourth, fifth, sixth] == [0x64, 0xff9b, 0, 0, 0, 0];
    if v4_prefix || nat64 {
        return is_public_v4(embedded);
    }
    if first == 0x2002 {
        return is_public_v4(Ipv4Addr::from((u32::from(second) << 16) | u32::from(third)));
    }
    // Global unicast is 2000::/3; inside it, Teredo and documentation are not.
    (first & 0xe000) == 0x2000
        && !(first == 0x2001 && (second == 0 || second == 0xdb8 || (0x10..0x40).contains(&second)))
        && !(first == 0x3fff && second < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_behind_the_fence_are_not_public_in_any_spelling() {
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.2.1",
            "240.0.0.1",
            "::1",
            "::",
            "::ffff:169.254.169.254",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "1.1.1.1",
            "8.8.8.8",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    struct Both;

    #[async_trait]
    impl Resolver for Both {
        async fn resolve(&self, _: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
            Ok(vec![
                SocketAddr::from(([8, 8, 8, 8], port)),
                SocketAddr::from(([127, 0, 0, 1], port)),
            ])
        }
    }

    #[tokio::test]
    async fn a_name_that_points_inward_as_well_is_refused() {
        let answer = resolve_checked(&Both, "both.example", 443, AddressPolicy::PublicOnly).await;
        assert!(matches!(answer, Err(AddressError::NotPublic(_))));
        assert_eq!(
            resolve_checked(&Both, "both.example", 443, AddressPolicy::Any)
                .await
                .unwrap()
                .len(),
            2
        );
        let literal = resolve_checked(&Both, "[::1]", 443, AddressPolicy::PublicOnly).await;
        assert!(matches!(literal, Err(AddressError::NotPublic(_))));
    }
}
