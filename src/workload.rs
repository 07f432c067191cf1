//! Objects → pods wanted. Resolves every reference, so that a `PodPlan` needs nothing looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::api::{Object, Pod, PodSpec};
use crate::model::desired::{Desired, DesiredPod, Want};
use crate::model::id::{PodId, Uid};
use crate::model::image::ImageRef;
use crate::model::network::InstanceNetwork;
use crate::model::object::Known;
use crate::model::objects::Objects;
use crate::model::observed::{Observed, ProcessObservation};
use crate::model::pod_plan::{PodPlan, RestartPolicy};
use crate::model::time::Now;

use address::Addresses;
use ports::Ports;
use references::References;

mod address;
mod container;
mod control;
mod cron;
mod downward;
mod env;
mod expansion;
mod files;
mod handlers;
mod image;
mod job;
mod pod;
mod ports;
mod pull_secrets;
mod references;
mod resolver;
mod resources;
mod revision;
mod security;
mod sysctls;
mod volumes;

#[cfg(test)]
mod tests;

pub(crate) use control::{Agenda, control};
pub(crate) use cron::{next_time, next_times};
pub(crate) use job::{Retry, edited_in_vain, index_of, is_same_run, is_same_wish, retry};
pub(crate) use pod::creating;
pub(crate) use pull_secrets::{PullSecrets, pull_secrets};
pub(crate) use resources::qos_class;
pub(crate) use revision::is_same_pod;

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

/// The pods that `objects` ask for, and the images to be pulled for them. A pod that has ended has had what it
/// asked for and is not among them: it needs neither image nor address.
pub(crate) fn expand(objects: &Objects, observed: &Observed, machine: &Machine, now: Now) -> Desired {
    let references = References::among(objects);
    let mut addresses = Addresses::new(machine.network.as_ref(), &observed.leases);
    let mut ports = Ports::new(observed);
    let mut desired = Desired::default();
    for (known, pod) in pods_by_age(objects) {
        let uid = &known.record.uid;
        let ended = observed.pod(uid).is_some_and(|seen| seen.finished.is_some());
        let want = match &known.record.deletion {
            Some(deletion) => Want::Gone { grace: deletion.grace },
            None if ended => continue,
            None => {
                let offers = Offers { machine, addresses: &addresses, ports: &ports };
                let told = told(observed, uid);
                let resolution = pod::resolve(known, pod, told, &references, &observed.images, offers, now);
                desired.pulls.extend(resolution.pulls);
                match resolution.plan {
                    Ok(plan) => {
                        addresses.take(&plan.network);
                        ports.take(&plan.id, &plan.host_ports);
                        Want::Run(plan)
                    }
                    Err(why) => Want::Wait { why, meanwhile: resolution.meanwhile },
                }
            }
        };
        let id = pod_id(known);
        desired.pods.insert(uid.clone(), DesiredPod { id, restart_policy: restart_policy(pod), want });
    }
    desired
}

/// What a pod lives by: the images that it was given are its own for as long as it does.
fn told<'a>(observed: &'a Observed, uid: &Uid) -> Option<&'a PodPlan> {
    let seen = observed.pods.get(uid).filter(|seen| seen.process == ProcessObservation::Alive)?;
    Some(&seen.told.as_ref()?.plan)
}

/// What pods have to share.
#[derive(Clone, Copy)]
struct Offers<'a> {
    machine: &'a Machine,
    addresses: &'a Addresses<'a>,
    ports: &'a Ports<'a>,
}

/// Pods that ask for ports of the machine.
pub(crate) fn with_host_ports(objects: &Objects) -> Vec<&Uid> {
    let pods = pods_by_age(objects).into_iter();
    let asking =
        pods.filter(|(_, pod)| pod.spec.as_ref().is_some_and(|spec| !ports::wanted(spec).is_empty()));
    asking.map(|(known, _)| &known.record.uid).collect()
}

/// Every image that a pod names and that lies in the store or would, with the directories of the manifests that
/// name it; a name that is none is passed over.
pub(crate) fn images_named(objects: &Objects) -> BTreeMap<ImageRef, BTreeSet<PathBuf>> {
    let mut named: BTreeMap<ImageRef, BTreeSet<PathBuf>> = BTreeMap::new();
    for (known, pod) in pods_by_age(objects) {
        let base = image::base(known);
        let Some(spec) = &pod.spec else { continue };
        for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
            let image = container.image.as_deref().unwrap_or_default();
            if let Ok(image) = image::reference(known, image) {
                named.entry(image).or_default().insert(base.clone());
            }
        }
    }
    named.remove(&ImageRef::HostRoot);
    named
}

/// A container that has a certain image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageUser {
    pub(crate) pod: PodId,
    pub(crate) container: String,
    /// The image as the container's author wrote it.
    pub(crate) authored: String,
}

/// Containers of pods that are not on their way out and that have this image.
pub(crate) fn users_of(objects: &Objects, wanted: &ImageRef) -> Vec<ImageUser> {
    let mut users = Vec::new();
    for (known, pod) in pods_by_age(objects).into_iter().filter(|(known, _)| known.record.deletion.is_none())
    {
        let Some(spec) = &pod.spec else { continue };
        for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
            let authored = container.image.as_deref().unwrap_or_default();
            if image::reference(known, authored).is_ok_and(|image| image == *wanted) {
                let (container, authored) = (container.name.clone(), authored.to_owned());
                users.push(ImageUser { pod: pod_id(known), container, authored });
            }
        }
    }
    users
}

fn has_image(known: &Known, spec: &PodSpec, wanted: &ImageRef) -> bool {
    let mut all = spec.init_containers.iter().flatten().chain(&spec.containers);
    all.any(|container| {
        let authored = container.image.as_deref().unwrap_or_default();
        image::reference(known, authored).is_ok_and(|image| image == *wanted)
    })
}

/// Those that have not come to rest. The older pod is served first where addresses run out.
fn pods_by_age(objects: &Objects) -> Vec<(&Known, &Pod)> {
    let mut pods: Vec<(&Known, &Pod)> = objects
        .pods()
        .filter_map(|known| match &*known.object {
            Object::Pod(pod) => Some((known, &**pod)),
            Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Namespace(_)
            | Object::Job(_)
            | Object::CronJob(_)
            | Object::Unserved { .. } => None,
        })
        .collect();
    pods.sort_by(|(a, _), (b, _)| {
        (a.record.created_at, &a.record.uid).cmp(&(b.record.created_at, &b.record.uid))
    });
    pods
}

fn pod_id(known: &Known) -> PodId {
    let key = &known.record.key;
    PodId { namespace: key.namespace.clone(), name: key.name.clone(), uid: known.record.uid.clone() }
}

pub(crate) fn restart_policy(pod: &Pod) -> RestartPolicy {
    let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    policy_named(policy).unwrap_or(RestartPolicy::Always)
}

fn policy_named(name: Option<&str>) -> Option<RestartPolicy> {
    match name? {
        "Always" => Some(RestartPolicy::Always),
        "OnFailure" => Some(RestartPolicy::OnFailure),
        "Never" => Some(RestartPolicy::Never),
        _ => None,
    }
}
