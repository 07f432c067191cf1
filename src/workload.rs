//! Objects → pods wanted. Resolves every reference, so that a `PodPlan` needs nothing looked up.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::model::desired::Desired;
use crate::model::id::Uid;
use crate::model::image::ImageRef;
use crate::model::network::InstanceNetwork;
use crate::model::object::Known;
use crate::model::observed::{ImageObservation, Observed};
use crate::model::time::Now;

/// What the machine and the instance have to offer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Machine {
    pub(crate) node_name: String,
    pub(crate) host_ip: Ipv4Addr,
    /// The host's own resolv.conf.
    pub(crate) resolv_conf: String,
    /// Thousandths of a core.
    pub(crate) cpu_milli: u64,
    /// Bytes.
    pub(crate) memory: u64,
    /// Absent where no bridge can be made: pods then have `lo` alone.
    pub(crate) network: Option<InstanceNetwork>,
    pub(crate) boot_id: String,
}

/// The pods that `objects` ask for, and the images to be pulled for them.
pub(crate) fn expand(
    objects: &BTreeMap<Uid, Known>,
    observed: &Observed,
    machine: &Machine,
    now: Now,
) -> Desired {
    let _ = (objects, observed, machine, now);
    unimplemented!()
}

/// The image that a pod's container names, if there is one of that name in the store.
pub(crate) fn images_named(objects: &BTreeMap<Uid, Known>) -> Vec<ImageRef> {
    let _: Option<ImageObservation> = None;
    let _ = objects;
    unimplemented!()
}
