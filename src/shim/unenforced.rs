//! What a pod was to have and this machine cannot give. It runs all the same, and its events say so.

use crate::bundle::Controllers;
use crate::model::pod_plan::{PodPlan, Resources};
use crate::sandbox::network::Pinned;

/// In words for the pod's events.
pub(super) fn by(plan: &PodPlan, have: Controllers, pinned: Pinned) -> Vec<String> {
    let asked = |pick: fn(&Resources) -> bool| {
        let containers = plan.all_containers().map(|container| &container.resources);
        containers.chain([&plan.live.resources]).any(pick)
    };
    let cpu = |of: &Resources| of.cpu_limit_milli.is_some() || of.cpu_request_milli.is_some();
    let without = [
        (!have.memory && asked(|of| of.memory_limit.is_some()), "memory limits: no memory controller"),
        (!have.cpu && asked(cpu), "cpu limits and requests: no cpu controller"),
        (!have.pids && asked(|of| of.pids_limit.is_some()), "the limit of processes: no pids controller"),
        (
            !have.huge_pages && asked(|of| !of.huge_pages.is_empty()),
            "limits of huge pages: no hugetlb controller",
        ),
        (pinned == Pinned::No, "the pod's own addresses as senders: bridges are not filtered by nf_tables"),
    ];
    without.iter().filter(|(lacks, _)| *lacks).map(|(_, what)| format!("not enforced: {what}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::pod_plan::{Live, sample};

    const ALL: Controllers =
        Controllers { memory: true, cpu: true, pids: true, devices: true, huge_pages: true };
    const NONE: Controllers =
        Controllers { memory: false, cpu: false, pids: false, devices: false, huge_pages: false };

    fn asking_for_everything() -> Resources {
        Resources {
            memory_limit: Some(1 << 30),
            memory_request: None,
            cpu_limit_milli: None,
            cpu_request_milli: Some(100),
            pids_limit: Some(1024),
            huge_pages: BTreeMap::from([(2 << 20, 4 << 20)]),
        }
    }

    fn pod(resources: Resources) -> PodPlan {
        let live = Live { resources, ..sample::pod().live };
        PodPlan { containers: vec![sample::container("main")], live, ..sample::pod() }
    }

    #[test]
    fn each_controller_that_is_missing_is_told_of_by_its_name() {
        let pod = pod(asking_for_everything());
        assert_eq!(by(&pod, ALL, Pinned::Yes), [] as [&str; 0]);
        for (have, missing) in [
            (Controllers { memory: false, ..ALL }, "not enforced: memory limits: no memory controller"),
            (Controllers { cpu: false, ..ALL }, "not enforced: cpu limits and requests: no cpu controller"),
            (Controllers { pids: false, ..ALL }, "not enforced: the limit of processes: no pids controller"),
            (
                Controllers { huge_pages: false, ..ALL },
                "not enforced: limits of huge pages: no hugetlb controller",
            ),
        ] {
            assert_eq!(by(&pod, have, Pinned::Yes), [missing]);
        }
        assert_eq!(by(&pod, NONE, Pinned::No).len(), 5);
    }

    #[test]
    fn what_one_container_asks_for_is_missed_by_the_pod() {
        let mut pod = pod(Resources::default());
        assert_eq!(by(&pod, NONE, Pinned::Yes), [] as [&str; 0]);
        pod.containers[0].resources.cpu_limit_milli = Some(500);
        assert_eq!(by(&pod, NONE, Pinned::Yes).len(), 1);
    }
}
