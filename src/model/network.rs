//! The network of an instance.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// One bridge and the range of addresses on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InstanceNetwork {
    pub(crate) bridge: String,
    pub(crate) network: Ipv4Addr,
    pub(crate) prefix: u8,
    /// The bridge's own address, the pods' default route.
    pub(crate) gateway: Ipv4Addr,
}

/// A range that an instance's is taken from (`--pod-cidr`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PodCidr {
    /// Its first address.
    pub(crate) network: Ipv4Addr,
    pub(crate) prefix: u8,
}

impl PodCidr {
    /// Where addresses are taken from if nobody says otherwise.
    pub(crate) const USUAL: PodCidr = PodCidr { network: Ipv4Addr::new(10, 77, 0, 0), prefix: 16 };

    /// # Errors
    /// Why it is none, in words.
    pub(crate) fn parse(text: &str) -> Result<PodCidr, String> {
        let form = || "it is not ADDRESS/PREFIX of IPv4".to_owned();
        let (address, prefix) = text.split_once('/').ok_or_else(form)?;
        let (address, prefix) =
            (address.parse::<Ipv4Addr>().map_err(|_| form())?, prefix.parse::<u8>().map_err(|_| form())?);
        if !(16..=28).contains(&prefix) {
            return Err(format!("its prefix is {prefix}; it may be 16 to 28"));
        }
        let mask = u32::MAX << (32 - u32::from(prefix));
        let first = Ipv4Addr::from_bits(address.to_bits() & mask);
        if first != address {
            return Err(format!("it does not begin with its first address: {first}/{prefix}"));
        }
        if address.is_loopback()
            || address.is_link_local()
            || address.is_multicast()
            || address.octets()[0] == 0
        {
            return Err(format!("addresses like {address} are no pod's"));
        }
        Ok(PodCidr { network: address, prefix })
    }

    pub(crate) fn holds(&self, of: &InstanceNetwork) -> bool {
        let mask = u32::MAX << (32 - u32::from(self.prefix));
        of.prefix >= self.prefix && of.network.to_bits() & mask == self.network.to_bits()
    }
}

impl fmt::Display for PodCidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_for_pods_is_one_of_ipv4_that_begins_with_its_first_address() {
        for text in ["10.88.0.0/16", "192.168.7.16/28", "100.64.0.0/22"] {
            assert_eq!(PodCidr::parse(text).unwrap().to_string(), text);
        }
        for (text, why) in [
            ("10.88.0.0", "ADDRESS/PREFIX"),
            ("fd00::/64", "ADDRESS/PREFIX"),
            ("10.88.0.0/15", "16 to 28"),
            ("10.88.0.0/29", "16 to 28"),
            ("10.88.1.0/16", "10.88.0.0/16"),
            ("127.0.0.0/16", "no pod's"),
            ("169.254.0.0/16", "no pod's"),
            ("224.0.0.0/16", "no pod's"),
        ] {
            let refused = PodCidr::parse(text).unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
        let network = |address: &str, prefix| {
            let (network, gateway) = (address.parse().unwrap(), Ipv4Addr::UNSPECIFIED);
            InstanceNetwork { bridge: String::new(), network, prefix, gateway }
        };
        assert!(PodCidr::USUAL.holds(&network("10.77.8.0", 22)));
        assert!(!PodCidr::USUAL.holds(&network("10.78.8.0", 22)));
        assert!(!PodCidr { prefix: 24, ..PodCidr::USUAL }.holds(&network("10.77.0.0", 22)));
    }
}
