//! Limits of a container's cgroup, of those controllers that the kernel has.

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    LinuxCpu, LinuxCpuBuilder, LinuxHugepageLimit, LinuxHugepageLimitBuilder, LinuxMemory,
    LinuxMemoryBuilder, LinuxPids, LinuxPidsBuilder, LinuxResources,
};

use crate::model::pod_plan::{ContainerPlan, PodPlan, QosClass, Resources};

use super::{CgroupView, Ground, devices};

/// Microseconds in which a quota is spent: the kernel's and Kubernetes' default.
const PERIOD: u64 = 100_000;
/// Microseconds; the kernel refuses less.
const LEAST_QUOTA: u64 = 1_000;

/// `cpu.shares` for one core, and its bounds.
const SHARES_OF_A_CORE: u64 = 1024;
const LEAST_SHARES: u64 = 2;
const MOST_SHARES: u64 = 262_144;

/// `None` where there is nothing to write: with any value, even an empty one, libcontainer asks a version 1 kernel
/// for its devices controller and fails where it has none.
pub(super) fn resources(
    pod: &PodPlan,
    container: &ContainerPlan,
    ground: &Ground,
) -> Result<Option<LinuxResources>, OciSpecError> {
    let controllers = ground.controllers;
    let memory = if controllers.memory { memory(&container.resources)? } else { None };
    let takes_any = controllers.devices || ground.cgroup_view == CgroupView::Unified;
    let asks_for_time =
        container.resources.cpu_limit_milli.is_some() || container.resources.cpu_request_milli.is_some();
    // The least of shares alone is not worth a container that does not start.
    let cpu =
        if controllers.cpu && (asks_for_time || takes_any) { Some(cpu(&container.resources)?) } else { None };
    let pids = if controllers.pids { pids(&container.resources)? } else { None };
    let devices =
        if controllers.devices { Some(devices::rules(container.security.privilege)?) } else { None };
    let huge_pages = if controllers.huge_pages { huge_pages(pod, &container.resources)? } else { Vec::new() };
    let huge_pages = Some(huge_pages).filter(|limits| !limits.is_empty());
    if memory.is_none() && cpu.is_none() && pids.is_none() && devices.is_none() && huge_pages.is_none() {
        return Ok(None);
    }
    let mut resources = LinuxResources::default();
    resources
        .set_memory(memory)
        .set_cpu(cpu)
        .set_pids(pids)
        .set_devices(devices)
        .set_hugepage_limits(huge_pages);
    Ok(Some(resources))
}

fn memory(limits: &Resources) -> Result<Option<LinuxMemory>, OciSpecError> {
    let limit = limits.memory_limit.map(signed);
    limit.map(|limit| LinuxMemoryBuilder::default().limit(limit).build()).transpose()
}

/// Who asks for no time has the least of shares, as for the kubelet: the kernel's own would outweigh one that asks.
fn cpu(limits: &Resources) -> Result<LinuxCpu, OciSpecError> {
    let shares = limits.cpu_request_milli.unwrap_or(0).saturating_mul(SHARES_OF_A_CORE) / 1000;
    let mut cpu = LinuxCpuBuilder::default().shares(shares.clamp(LEAST_SHARES, MOST_SHARES));
    if let Some(milli) = limits.cpu_limit_milli {
        let quota = (milli.saturating_mul(PERIOD) / 1000).max(LEAST_QUOTA);
        cpu = cpu.quota(signed(quota)).period(PERIOD);
    }
    cpu.build()
}

fn pids(limits: &Resources) -> Result<Option<LinuxPids>, OciSpecError> {
    let limit = limits.pids_limit.map(signed);
    limit.map(|limit| LinuxPidsBuilder::default().limit(limit).build()).transpose()
}

/// A container that asks for none has none of what another one of its pod asks for.
fn huge_pages(pod: &PodPlan, limits: &Resources) -> Result<Vec<LinuxHugepageLimit>, OciSpecError> {
    let sizes = pod.live.resources.huge_pages.keys();
    let limit = |size: &u64| {
        let limit = signed(limits.huge_pages.get(size).copied().unwrap_or(0));
        LinuxHugepageLimitBuilder::default().page_size(page_size(*size)).limit(limit).build()
    };
    sizes.map(limit).collect()
}

/// As the kernel names a size of pages in the files of its controller, such as `2MB`.
pub(crate) fn page_size(bytes: u64) -> String {
    match bytes {
        1_073_741_824.. => format!("{}GB", bytes >> 30),
        1_048_576.. => format!("{}MB", bytes >> 20),
        _ => format!("{}KB", bytes >> 10),
    }
}

/// The kubelet's `oom_score_adj`: the more of the machine's memory a container asks for, the later it is taken.
/// <https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#node-out-of-memory-behavior>
pub(crate) fn oom_score_adj(qos: QosClass, resources: &Resources, machine_memory: u64) -> i32 {
    const GUARANTEED: i32 = -997;
    const BEST_EFFORT: i32 = 1000;
    match qos {
        QosClass::Guaranteed => GUARANTEED,
        QosClass::BestEffort => BEST_EFFORT,
        QosClass::Burstable => {
            let request = u128::from(resources.memory_request.unwrap_or(0));
            let share = (1000 * request).checked_div(machine_memory.into()).unwrap_or(0);
            let score = BEST_EFFORT.saturating_sub(i32::try_from(share).unwrap_or(i32::MAX));
            score.clamp(BEST_EFFORT + GUARANTEED, BEST_EFFORT - 1)
        }
    }
}

/// The spec counts in signed numbers; what does not fit is as good as unlimited.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_that_asks_for_nothing_yields_to_one_that_asks() {
        let shares = |milli| {
            let resources = Resources { cpu_request_milli: milli, ..Resources::default() };
            cpu(&resources).unwrap().shares()
        };
        assert_eq!([None, Some(1), Some(500), Some(u64::MAX)].map(shares), [2, 2, 512, 262_144].map(Some));
    }

    #[test]
    fn sizes_of_pages_are_named_as_the_kernel_names_them() {
        assert_eq!([64 << 10, 2 << 20, 1 << 30, 16 << 30].map(page_size), ["64KB", "2MB", "1GB", "16GB"]);
    }

    #[test]
    fn the_kubelets_scores_are_given() {
        let score = |qos, request| {
            let resources = Resources { memory_request: request, ..Resources::default() };
            oom_score_adj(qos, &resources, 4 << 30)
        };
        assert_eq!(score(QosClass::Guaranteed, Some(1 << 30)), -997);
        assert_eq!(score(QosClass::BestEffort, None), 1000);
        assert_eq!(score(QosClass::Burstable, None), 999);
        assert_eq!(score(QosClass::Burstable, Some(1 << 30)), 750);
        assert_eq!(score(QosClass::Burstable, Some(4 << 30)), 3);
        assert_eq!(score(QosClass::Burstable, Some(u64::MAX)), 3);
    }
}
