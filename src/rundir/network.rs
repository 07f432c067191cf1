//! `network.json`: the instance's network, decided on first use and kept.

use std::io;

use crate::model::network::InstanceNetwork;
use crate::paths::Places;
use crate::publish::{Durability, Published, publish_json, read_json};

pub(crate) fn write(places: &Places, network: &InstanceNetwork) -> io::Result<Published> {
    publish_json(&places.network(), network, Durability::Volatile)
}

pub(crate) fn read(places: &Places) -> io::Result<Option<InstanceNetwork>> {
    read_json(&places.network())
}
