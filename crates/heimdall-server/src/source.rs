use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use actix_web::HttpRequest;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A network: `10.0.0.0/8`, `fd00::/8`, or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    base: IpAddr,
    bits: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a network is an address, or an address and a prefix length such as `10.0.0.0/8`")]
pub struct CidrError;

impl Cidr {
    /// Whether the address lies in this network. An IPv4 address in its IPv6-mapped form counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                base.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(base), IpAddr::V6(other)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.bits))
                    .unwrap_or(0);
                base.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits.parse::<u8>().map_err(|_| CidrError)?)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| CidrError)?;
        let longest = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(longest);
        if bits > longest {
            Err(CidrError)
        } else {
            Ok(Self { base, bits })
        }
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;

    fn try_from(text: String) -> Result<Self, CidrError> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        format!("{}/{}", cidr.base, cidr.bits)
    }
}

/// Who a request comes from: the peer, or behind a trusted proxy the address that proxy names.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    trusted: Vec<Cidr>,
}

impl Sources {
    /// Believes `X-Forwarded-For` from these networks only.
    pub fn trusting(trusted: Vec<Cidr>) -> Self {
        Self { trusted }
    }

    /// The address a request counts for.
    pub fn of(&self, request: &HttpRequest) -> IpAddr {
        let peer = request
            .peer_addr()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |addr| {
                addr.ip().to_canonical()
            });
        if !self.is_trusted(peer) {
            return peer;
        }
        // From the right: each hop was written by the one before it, the first that is not ours is the client.
        let all = request
            .headers()
            .get_all("x-forwarded-for")
            .filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = all
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .collect();
        let mut client = peer;
        for hop in hops.iter().rev() {
            let Ok(address) = hop.parse::<IpAddr>() else {
                break;
            };
            client = address.to_canonical();
            if !self.is_trusted(client) {
                break;
            }
        }
        client
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

/// What a source is counted by: an IPv4 address, or the /64 that one IPv6 customer usually has.
pub(crate) fn bucket(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn source(peer: &str, forwarded: &str) -> String {
        let sources = Sources::trusting(vec!["10.0.0.0/8".parse().unwrap()]);
        let request = TestRequest::default().peer_addr(peer.parse().unwrap());
        sources
            .of(&request
                .insert_header(("x-forwarded-for", forwarded))
                .to_http_request())
            .to_string()
    }

    #[test]
    fn only_a_trusted_peer_may_name_another_source() {
        assert_eq!(source("192.0.2.1:1", "203.0.113.9"), "192.0.2.1");
        assert_eq!(
            source("10.1.1.1:1", "198.51.100.1, 203.0.113.9, 10.2.2.2"),
            "203.0.113.9"
        );
        assert_eq!(source("10.1.1.1:1", "rubbish"), "10.1.1.1");
        assert_eq!(source("[::ffff:10.1.1.1]:1", "203.0.113.9"), "203.0.113.9");
    }

    #[test]
    fn prefix_lengths_at_both_ends_hold() {
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("203.0.113.9".parse().unwrap()));
        let one: Cidr = "203.0.113.9".parse().unwrap();
        assert!(
            one.contains("203.0.113.9".parse().unwrap())
                && !one.contains("203.0.113.8".parse().unwrap())
        );
        assert!("10.0.0.0/33".parse::<Cidr>().is_err());
    }
}
