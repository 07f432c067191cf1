//! One Pod object → its plan, or the reasons why it cannot start yet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::api::{Container, Pod, PodSpec};
use crate::model::desired::{Blocked, Cause, Waiting};
use crate::model::id::PodId;
use crate::model::image::ImageRef;
use crate::model::object::Known;
use crate::model::observed::ImageObservation;
use crate::model::pod_plan::{
    ContainerPlan, HostAlias, IpcMode, Live, NetworkPlan, PidMode, PodPlan, Role, VolumePlan,
};
use crate::model::port::HostPort;
use crate::model::time::Now;

use super::image::{self, Standing};
use super::references::{References, Unresolved};
use super::security::to_id;
use super::{
    Machine, Offers, container, pod_id, ports, resolver, resources, restart_policy, revision, sysctls,
    volumes,
};

/// Seconds, where a pod does not say.
const GRACE: u32 = 30;
/// Longest host name that Linux takes from a DNS label.
const HOSTNAME: usize = 63;

/// What the references in a pod are resolved against.
pub(super) struct Facts<'a> {
    pub(super) id: &'a PodId,
    pub(super) pod: &'a Pod,
    pub(super) spec: &'a PodSpec,
    pub(super) references: &'a References<'a>,
    pub(super) machine: &'a Machine,
    pub(super) network: NetworkPlan,
    pub(super) host_ports: Vec<HostPort>,
    pub(super) base: PathBuf,
}

pub(super) struct Resolution {
    pub(super) plan: Result<Box<PodPlan>, Blocked>,
    /// Of a pod that lives and waits: what it can take over nevertheless.
    pub(super) meanwhile: Option<Box<PodPlan>>,
    pub(super) pulls: BTreeSet<ImageRef>,
}

/// `told` is what the pod lives by, if it does.
pub(super) fn resolve(
    known: &Known,
    pod: &Pod,
    told: Option<&PodPlan>,
    references: &References<'_>,
    images: &BTreeMap<ImageRef, ImageObservation>,
    offers: Offers<'_>,
    now: Now,
) -> Resolution {
    let id = pod_id(known);
    let nothing = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&nothing);
    let host_ports = ports::wanted(spec);
    let network = match (offers.ports.clash(&id, &host_ports), spec.host_network) {
        (Some(clash), _) => Err(clash),
        (None, Some(true)) => Ok(NetworkPlan::Host),
        (None, Some(false) | None) => offers.addresses.offer(&id.uid),
    };
    let network = match sysctls::forbidden(spec).map_or(network, Err) {
        Ok(network) => network,
        Err(why) => {
            let blocked = Blocked { containers: BTreeMap::new(), pod: Some(why) };
            let meanwhile = told.and_then(|told| meanwhile(known, pod, spec, told, None));
            return Resolution { plan: Err(blocked), meanwhile, pulls: BTreeSet::new() };
        }
    };
    let machine = offers.machine;
    let base = image::base(known);
    let facts = Facts { id: &id, pod, spec, references, machine, network, host_ports, base };
    let mut waits = Waits::default();
    let containers = facts.plans(known, told, images, now, &mut waits);
    let volumes = match volumes::volumes(&facts) {
        Ok(volumes) => Some(volumes),
        Err(failed) => {
            waits.all(spec, &failed.to_string());
            None
        }
    };
    match volumes {
        Some(volumes) if !waits.blocked => {
            let plan = Ok(Box::new(facts.assemble(known, volumes, containers)));
            Resolution { plan, meanwhile: None, pulls: waits.pulls }
        }
        volumes => Resolution {
            plan: Err(Blocked { containers: waits.containers, pod: None }),
            meanwhile: told.and_then(|told| meanwhile(known, pod, spec, told, volumes)),
            pulls: waits.pulls,
        },
    }
}

/// What a pod lives by, with the part of its object that needs nothing else: labels, annotations, periods, resources,
/// and the content of its volumes where there is such. `None` if its object asks for another pod.
fn meanwhile(
    known: &Known,
    pod: &Pod,
    spec: &PodSpec,
    told: &PodPlan,
    volumes: Option<BTreeMap<String, VolumePlan>>,
) -> Option<Box<PodPlan>> {
    let volumes = volumes.unwrap_or_else(|| told.volumes.clone());
    let revision = revision::with_images_of(told, &known.record.authored, &volumes);
    if revision.pod != told.revision.pod {
        return None;
    }
    let declared = || spec.init_containers.iter().flatten().chain(&spec.containers);
    let edited = |one: &ContainerPlan| {
        let own = declared().find(|container| container.name == one.name);
        let resources =
            own.map_or_else(|| one.resources.clone(), |own| resources::of(own.resources.as_ref()));
        ContainerPlan { resources, ..one.clone() }
    };
    let init_containers: Vec<ContainerPlan> = told.init_containers.iter().map(edited).collect();
    let containers: Vec<ContainerPlan> = told.containers.iter().map(edited).collect();
    let live = live(pod, spec, &containers, &init_containers);
    Some(Box::new(PodPlan { revision, live, volumes, init_containers, containers, ..told.clone() }))
}

fn live(pod: &Pod, spec: &PodSpec, containers: &[ContainerPlan], init_containers: &[ContainerPlan]) -> Live {
    Live {
        labels: pod.metadata.labels.clone().unwrap_or_default(),
        annotations: pod.metadata.annotations.clone().unwrap_or_default(),
        grace: spec.termination_grace_period_seconds.map_or(GRACE, seconds),
        active_deadline: spec.active_deadline_seconds.map(seconds),
        resources: resources::of_pod(spec, containers, init_containers),
    }
}

/// What keeps a pod from starting, gathered over all of its containers.
#[derive(Default)]
struct Waits {
    blocked: bool,
    containers: BTreeMap<String, Waiting>,
    pulls: BTreeSet<ImageRef>,
}

impl Waits {
    fn one(&mut self, container: &str, why: Option<Waiting>) {
        self.blocked = true;
        self.containers.extend(why.map(|why| (container.to_owned(), why)));
    }

    /// Volumes come before containers, so their trouble is told in place of the containers' own.
    fn all(&mut self, spec: &PodSpec, message: &str) {
        let reason = creating(spec);
        for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
            let (reason, message) = (reason.to_owned(), message.to_owned());
            let why = Waiting { reason, message, cause: Cause::Manifest };
            self.one(&container.name, Some(why));
        }
        self.blocked = true;
    }
}

/// kubelet's word for a container that waits for nothing in particular.
pub(crate) fn creating(spec: &PodSpec) -> &'static str {
    let has_init = spec.init_containers.as_ref().is_some_and(|init| !init.is_empty());
    if has_init { "PodInitializing" } else { "ContainerCreating" }
}

impl<'a> Facts<'a> {
    /// The pod's own address; a pod without a network has its loopback alone.
    pub(super) fn pod_ip(&self) -> Ipv4Addr {
        match self.network {
            NetworkPlan::Host => self.machine.host_ip,
            NetworkPlan::Bridge { address, .. } => address,
            NetworkPlan::Loopback => Ipv4Addr::LOCALHOST,
        }
    }

    pub(super) fn container(&self, name: &str) -> Result<&'a Container, Unresolved> {
        let mut all = self.spec.init_containers.iter().flatten().chain(&self.spec.containers);
        let found = all.find(|container| container.name == name);
        found.ok_or_else(|| Unresolved::NoContainer { container: name.to_owned() })
    }

    pub(super) fn hostname(&self) -> String {
        if self.network == NetworkPlan::Host {
            return self.machine.node_name.clone();
        }
        let spec = self.spec;
        let given =
            spec.hostname_override.as_ref().or(spec.hostname.as_ref()).filter(|name| !name.is_empty());
        let name: String = given.unwrap_or(&self.id.name).chars().take(HOSTNAME).collect();
        name.trim_end_matches(['-', '.']).to_owned()
    }

    /// Every container that can be planned; what keeps the others is added to `waits`.
    fn plans(
        &self,
        known: &Known,
        told: Option<&PodPlan>,
        images: &BTreeMap<ImageRef, ImageObservation>,
        now: Now,
        waits: &mut Waits,
    ) -> Vec<ContainerPlan> {
        let init = self.spec.init_containers.iter().flatten().map(|container| {
            let sidecar = container.restart_policy.as_deref() == Some("Always");
            (container, if sidecar { Role::Sidecar } else { Role::Init })
        });
        let app = self.spec.containers.iter().map(|container| (container, Role::App));
        let mut plans = Vec::new();
        for (container, role) in init.chain(app) {
            let given = told.and_then(|told| told.all_containers().find(|one| one.name == container.name));
            match image::standing(container, known, given.map(|given| &given.image), images, now) {
                Standing::Ready(image) => match container::plan(self, container, role, image) {
                    Ok(plan) => plans.push(plan),
                    Err(why) => waits.one(&container.name, Some(why)),
                },
                Standing::Awaited { pull, why } => {
                    waits.pulls.extend(pull);
                    waits.one(&container.name, why);
                }
            }
        }
        plans
    }

    fn assemble(
        &self,
        known: &Known,
        volumes: BTreeMap<String, VolumePlan>,
        all_containers: Vec<ContainerPlan>,
    ) -> PodPlan {
        let spec = self.spec;
        let (mut containers, init_containers): (Vec<_>, Vec<_>) =
            all_containers.into_iter().partition(|container| container.role == Role::App);
        containers.shrink_to_fit();
        let security = spec.security_context.as_ref();
        PodPlan {
            id: self.id.clone(),
            revision: revision::revision(&known.record.authored, &volumes),
            live: live(self.pod, spec, &containers, &init_containers),
            restart_policy: restart_policy(self.pod),
            hostname: self.hostname(),
            network: self.network.clone(),
            host_ports: self.host_ports.clone(),
            pid: match (spec.host_pid, spec.share_process_namespace) {
                (Some(true), _) => PidMode::Host,
                (Some(false) | None, Some(true)) => PidMode::Pod,
                (Some(false) | None, Some(false) | None) => PidMode::Container,
            },
            ipc: if spec.host_ipc == Some(true) { IpcMode::Host } else { IpcMode::Pod },
            host_aliases: self.host_aliases(),
            resolv_conf: resolver::resolv_conf(spec, &self.machine.resolv_conf),
            sysctls: self.sysctls(),
            volumes,
            init_containers,
            containers,
            fs_group: security.and_then(|security| security.fs_group).and_then(to_id),
            qos: resources::qos_class(spec),
        }
    }

    fn host_aliases(&self) -> Vec<HostAlias> {
        let aliases = self.spec.host_aliases.iter().flatten();
        aliases
            .map(|alias| HostAlias {
                ip: alias.ip.clone(),
                names: alias.hostnames.clone().unwrap_or_default(),
            })
            .collect()
    }

    /// `ping` needs no capability where the group range lets everybody open an ICMP socket.
    fn sysctls(&self) -> BTreeMap<String, String> {
        let security = self.spec.security_context.as_ref();
        let asked = security.into_iter().flat_map(|security| security.sysctls.iter().flatten());
        let mut sysctls: BTreeMap<String, String> =
            asked.map(|sysctl| (sysctl.name.clone(), sysctl.value.clone())).collect();
        if self.network != NetworkPlan::Host {
            let everybody = || "0 2147483647".to_owned();
            sysctls.entry("net.ipv4.ping_group_range".to_owned()).or_insert_with(everybody);
        }
        sysctls
    }
}

/// A negative grace period is one second, as at the API server; a period beyond 136 years is that.
fn seconds(given: i64) -> u32 {
    if given < 0 { 1 } else { u32::try_from(given).unwrap_or(u32::MAX) }
}
