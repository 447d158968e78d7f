//! Networks.

use std::net::IpAddr;

/// Networks whose proxies are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TrustedProxies(Vec<Network>);

/// A network: its address and how many leading bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u8,
}

impl TrustedProxies {
    pub(crate) fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    pub(crate) fn has_everything(&self) -> bool {
        self.0.iter().any(|network| network.bits == 0)
    }
}

impl Network {
    /// Reads `10.0.0.0/8` or a single address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (
                address.parse::<IpAddr>().ok()?,
                Some(bits.parse::<u8>().ok()?),
            ),
            None => (text.parse::<IpAddr>().ok()?, None),
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { address, bits })
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                self.bits == 0
                    || (own.to_bits() ^ other.to_bits()) >> (32 - u32::from(self.bits)) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                self.bits == 0
                    || (own.to_bits() ^ other.to_bits()) >> (128 - u32::from(self.bits)) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let inside = |network: &str, address: &str| {
            Network::parse(network)
                .unwrap()
                .contains(address.parse().unwrap())
        };
        assert!(inside("10.0.0.0/8", "10.255.1.1") && !inside("10.0.0.0/8", "11.0.0.1"));
        assert!(
            inside("0.0.0.0/0", "1.2.3.4")
                && inside("::1", "::1")
                && inside("127.0.0.1", "::ffff:127.0.0.1")
        );
        assert!(
            inside("2001:db8::/32", "2001:db8:1::1") && !inside("2001:db8::/32", "2001:db9::1")
        );
        assert!(Network::parse("10.0.0.0/33").is_none() && Network::parse("not-an-ip").is_none());
    }
}
