//! The network of an instance.

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
