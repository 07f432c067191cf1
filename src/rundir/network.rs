//! `network.json`: the instance's network, decided on first use and kept.

use std::io;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::paths::Places;
use crate::publish::{Durability, Published, publish_json, read_json};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InstanceNetwork {
    pub(crate) bridge: String,
    pub(crate) network: Ipv4Addr,
    pub(crate) prefix: u8,
    /// The bridge's own address, the pods' default route.
    pub(crate) gateway: Ipv4Addr,
}

pub(crate) fn write(places: &Places, network: &InstanceNetwork) -> io::Result<Published> {
    publish_json(&places.network(), network, Durability::Volatile)
}

pub(crate) fn read(places: &Places) -> io::Result<Option<InstanceNetwork>> {
    read_json(&places.network())
}
