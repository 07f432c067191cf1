//! PodStatus: the phase and what goes with it.

use k8s_openapi::api::core::v1::{ContainerStatus, HostIP, PodIP};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{Pod, PodSpec, PodStatus};
use crate::model::desired::Waiting;
use crate::model::pod_plan::QosClass;
use crate::model::record::Outcome;
use crate::workload::qos_class;

use super::{Course, STOPPED, conditions, containers, edit};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
    Unknown,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Phase::Pending => "Pending",
            Phase::Running => "Running",
            Phase::Succeeded => "Succeeded",
            Phase::Failed => "Failed",
            Phase::Unknown => "Unknown",
        }
    }
}

/// `status` of a Pod as the kubelet would write it. `host_ip` is the machine's own address.
pub(crate) fn pod_status(pod: &Pod, course: &Course, host_ip: &str) -> PodStatus {
    let nothing = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&nothing);
    let init = containers::statuses(spec.init_containers.as_deref().unwrap_or_default(), spec, course);
    let app = containers::statuses(&spec.containers, spec, course);
    let phase = phase(course, &app);
    let held_back = held_back(course);
    let (reason, message) = match course.outcome() {
        Some(Outcome::Failed { reason, message }) => (given(reason), given(message)),
        Some(Outcome::Succeeded | Outcome::Deleted | Outcome::Interrupted) | None => {
            match (held_back, course.stopped(), edit::trouble(spec, course)) {
                (Some(why), _, _) => (given(&why.reason), given(&why.message)),
                (None, Some(_), _) => {
                    (given(STOPPED), given("the pod was stopped; the next watcher starts it"))
                }
                // It runs on, and only here is there a place to say what it does not do.
                (None, None, Some((reason, message))) => (given(reason), given(&message)),
                (None, None, None) => (None, None),
            }
        }
    };
    let host_ip = given(host_ip);
    let pod_ip = match spec.host_network {
        Some(true) => host_ip.clone().filter(|_| course.record().is_some()),
        Some(false) | None => course.record().and_then(|record| record.address).map(|ip| ip.to_string()),
    };
    PodStatus {
        phase: Some(phase.word().to_owned()),
        conditions: Some(conditions::conditions(spec, course, phase, held_back, &init, &app)),
        host_ips: host_ip.clone().map(|ip| vec![HostIP { ip }]),
        host_ip,
        pod_ips: pod_ip.clone().map(|ip| vec![PodIP { ip }]),
        pod_ip,
        start_time: course.record().map(|record| Time(record.started_at)),
        qos_class: Some(qos_word(spec).to_owned()),
        init_container_statuses: Some(init).filter(|statuses| !statuses.is_empty()),
        container_statuses: Some(app),
        reason,
        message,
        ..PodStatus::default()
    }
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// A reason of the pod itself why it is not started.
fn held_back(course: &Course) -> Option<&Waiting> {
    match course.record() {
        Some(_) => None,
        None => course.waiting.as_ref()?.why.pod.as_ref(),
    }
}

/// How a pod ended is what is recorded, never what its containers look like: they may yet be started again.
fn phase(course: &Course, app: &[ContainerStatus]) -> Phase {
    match course.outcome() {
        Some(Outcome::Succeeded) => Phase::Succeeded,
        Some(Outcome::Failed { .. }) => Phase::Failed,
        Some(Outcome::Deleted | Outcome::Interrupted) | None if course.lost => Phase::Unknown,
        Some(Outcome::Deleted | Outcome::Interrupted) | None if course.stopped().is_some() => Phase::Pending,
        Some(Outcome::Deleted | Outcome::Interrupted) | None => {
            if !app.is_empty() && app.iter().all(containers::has_started) {
                Phase::Running
            } else {
                Phase::Pending
            }
        }
    }
}

fn qos_word(spec: &PodSpec) -> &'static str {
    match qos_class(spec) {
        QosClass::Guaranteed => "Guaranteed",
        QosClass::Burstable => "Burstable",
        QosClass::BestEffort => "BestEffort",
    }
}
