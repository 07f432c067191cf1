//! Requests and limits of containers and of the pod they make up.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::api::{Container, PodSpec};
use crate::model::pod_plan::{ContainerPlan, QosClass, Resources, Role};
use crate::model::quantity;

/// Processes of one pod.
const POD_PIDS: u64 = 1024;

/// A request that is not given is the limit. Zero is as good as not given.
pub(super) fn of(requirements: Option<&ResourceRequirements>) -> Resources {
    let limits = requirements.and_then(|requirements| requirements.limits.as_ref());
    let requests = requirements.and_then(|requirements| requirements.requests.as_ref());
    let memory_limit = amount(limits, "memory", quantity::whole);
    let cpu_limit_milli = amount(limits, "cpu", quantity::milli);
    Resources {
        memory_limit,
        memory_request: amount(requests, "memory", quantity::whole).or(memory_limit),
        cpu_limit_milli,
        cpu_request_milli: amount(requests, "cpu", quantity::milli).or(cpu_limit_milli),
        pids_limit: None,
        huge_pages: limits.into_iter().flatten().filter_map(huge_page).collect(),
    }
}

/// What is limited is what is requested: Kubernetes takes no other.
fn huge_page((name, amount): (&String, &Quantity)) -> Option<(u64, u64)> {
    let amount = quantity::whole(&amount.0)?;
    Some((quantity::page_size(name)?, u64::try_from(amount).ok()?))
}

fn amount(
    list: Option<&BTreeMap<String, Quantity>>,
    name: &str,
    read: fn(&str) -> Option<i128>,
) -> Option<u64> {
    let amount = read(&list?.get(name)?.0)?;
    u64::try_from(amount).ok().filter(|amount| *amount > 0)
}

/// The pod's own cgroup: what it says of itself, else what its containers say together.
pub(super) fn of_pod(spec: &PodSpec, containers: &[ContainerPlan], init: &[ContainerPlan]) -> Resources {
    let own = of(spec.resources.as_ref());
    let sum = |pick: fn(&Resources) -> Option<u64>| together(containers, init, pick);
    let each = containers.iter().chain(init).map(|container| &container.resources);
    let sizes = each.chain([&own]).flat_map(|of| of.huge_pages.keys().copied());
    let huge_pages = sizes.map(|size| {
        let of_all = || together(containers, init, |of| of.huge_pages.get(&size).copied()).amount;
        (size, own.huge_pages.get(&size).copied().unwrap_or_else(of_all))
    });
    Resources {
        memory_limit: own.memory_limit.or_else(|| sum(|of| of.memory_limit).if_given_by_all()),
        memory_request: own.memory_request.or_else(|| sum(|of| of.memory_request).of_those_given()),
        cpu_limit_milli: own.cpu_limit_milli.or_else(|| sum(|of| of.cpu_limit_milli).if_given_by_all()),
        cpu_request_milli: own.cpu_request_milli.or_else(|| sum(|of| of.cpu_request_milli).of_those_given()),
        pids_limit: Some(POD_PIDS),
        huge_pages: huge_pages.collect(),
    }
}

/// What containers need when most of them run, and whether each of them says what it needs.
struct Together {
    amount: u64,
    given_by_all: bool,
}

impl Together {
    /// One container without a limit leaves the pod without.
    fn if_given_by_all(self) -> Option<u64> {
        self.given_by_all.then_some(self.amount)
    }

    fn of_those_given(self) -> Option<u64> {
        (self.amount > 0).then_some(self.amount)
    }
}

/// Sidecars run beside everything, each plain init container alone, the others all at once.
fn together(
    containers: &[ContainerPlan],
    init: &[ContainerPlan],
    pick: impl Fn(&Resources) -> Option<u64>,
) -> Together {
    let amount = |container: &ContainerPlan| pick(&container.resources).unwrap_or(0);
    let sidecars: u64 = init.iter().filter(|container| container.role == Role::Sidecar).map(amount).sum();
    let initial = init.iter().filter(|container| container.role == Role::Init).map(amount).max().unwrap_or(0);
    let later: u64 = containers.iter().map(amount).sum();
    Together {
        amount: sidecars.saturating_add(initial.max(later)),
        given_by_all: containers.iter().chain(init).all(|container| pick(&container.resources).is_some()),
    }
}

/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/>
pub(crate) fn qos_class(spec: &PodSpec) -> QosClass {
    let all: Vec<Resources> = match &spec.resources {
        Some(own) => vec![of(Some(own))],
        None => containers(spec).map(|container| of(container.resources.as_ref())).collect(),
    };
    let nothing = Resources::default();
    if all.iter().all(|resources| *resources == nothing) {
        return QosClass::BestEffort;
    }
    let guaranteed = all.iter().all(|of| {
        of.memory_limit.is_some()
            && of.cpu_limit_milli.is_some()
            && of.memory_request == of.memory_limit
            && of.cpu_request_milli == of.cpu_limit_milli
    });
    if guaranteed { QosClass::Guaranteed } else { QosClass::Burstable }
}

fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers.iter().flatten().chain(&spec.containers)
}
