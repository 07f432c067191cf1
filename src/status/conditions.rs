//! Conditions of a pod. Since when each is so is what the pod's process has noted; where that says otherwise, as of a
//! pod whose process is gone, there is no time, and none is invented.

use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{Container, PodSpec};
use crate::model::desired::{FAILED_SANDBOX, Waiting};
use crate::model::record::{Conditions, Outcome, SandboxState, Standing};
use crate::model::time::Timestamp;

use super::Course;
use super::containers::{has_completed, has_started};
use super::pod::Phase;

/// `False`, and why.
struct Unmet {
    reason: &'static str,
    message: String,
}

/// In the order in which kubelet lists them.
pub(super) fn conditions(
    spec: &PodSpec,
    course: &Course,
    phase: Phase,
    held_back: Option<&Waiting>,
    init: &[ContainerStatus],
    app: &[ContainerStatus],
) -> Vec<PodCondition> {
    let sidecars = || sidecars(spec, init);
    let unready: Vec<&str> =
        sidecars().chain(app).filter(|status| !status.ready).map(|status| status.name.as_str()).collect();
    let scheduled = match held_back {
        // It has its place, and does not come up there.
        Some(why) if why.reason == FAILED_SANDBOX => Ok(()),
        Some(why) => Err(Unmet { reason: "Unschedulable", message: why.message.clone() }),
        None => Ok(()),
    };
    let conditions = [
        (condition("PodReadyToStartContainers", sandbox(course)), Noted::By(|noted| noted.sandbox)),
        (initialized(spec, phase, init, app), Noted::By(|noted| noted.initialized)),
        (condition("Ready", ready(phase, &unready)), Noted::By(|noted| noted.ready)),
        (condition("ContainersReady", ready(phase, &unready)), Noted::By(|noted| noted.ready)),
        (condition("PodScheduled", scheduled), Noted::WithItsPlace),
    ];
    // Nothing tells of the end but that the sandbox went with it.
    let end = disruption(course, phase).map(|condition| (condition, Noted::AtTheEnd));
    let timed = |(condition, noted): (PodCondition, Noted)| {
        let since = noted.since(course, condition.status == "True").map(Time);
        PodCondition { last_transition_time: since, ..condition }
    };
    conditions.into_iter().chain(end).map(timed).collect()
}

/// Where it stands since when a condition is so.
enum Noted {
    By(fn(&Conditions) -> Standing),
    /// A pod has its place from when it is started, and before, while something else is waited for.
    WithItsPlace,
    /// Of what is said of ended pods alone.
    AtTheEnd,
}

impl Noted {
    fn since(&self, course: &Course, met: bool) -> Option<Timestamp> {
        // One that was stopped waits since then, what its process noted before counts as long as it still holds.
        let stopped = || course.interrupted.as_ref().map(|interrupted| interrupted.at);
        let waits = || stopped().or_else(|| Some(course.waiting.as_ref()?.since));
        let record = course.record().or_else(|| course.stopped()?.record.as_ref());
        match (self, record) {
            (Noted::By(standing), Some(record)) => {
                let standing = standing(record.conditions.as_ref()?);
                (standing.met == met).then_some(standing.since)
            }
            (Noted::WithItsPlace, Some(record)) => Some(record.started_at),
            (Noted::By(_) | Noted::WithItsPlace, None) => waits(),
            (Noted::AtTheEnd, Some(record)) => Some(record.conditions.as_ref()?.sandbox.since),
            (Noted::AtTheEnd, None) => None,
        }
    }
}

/// Said only of pods that it is so of, as in Kubernetes.
fn disruption(course: &Course, phase: Phase) -> Option<PodCondition> {
    let outcome = course.outcome().filter(|outcome| phase == Phase::Failed && outcome.is_disruption())?;
    let message = match outcome {
        Outcome::Failed { message, .. } => Some(message.clone()),
        Outcome::Succeeded | Outcome::Deleted | Outcome::Interrupted => None,
    };
    let reason = Some("TerminationByKubelet".to_owned());
    Some(PodCondition { reason, message, ..condition("DisruptionTarget", Ok(())) })
}

fn condition(type_: &str, met: Result<(), Unmet>) -> PodCondition {
    let (status, reason, message) = match met {
        Ok(()) => ("True", None, None),
        Err(unmet) => {
            let message = Some(unmet.message).filter(|message| !message.is_empty());
            ("False", Some(unmet.reason.to_owned()).filter(|reason| !reason.is_empty()), message)
        }
    };
    let status = status.to_owned();
    PodCondition { type_: type_.to_owned(), status, reason, message, ..PodCondition::default() }
}

/// The reasonless `False` of a condition that says nothing more.
fn sandbox(course: &Course) -> Result<(), Unmet> {
    let ready = course.record().is_some_and(|record| match record.sandbox {
        SandboxState::Ready => true,
        SandboxState::Making | SandboxState::Failed { .. } => false,
    });
    let gone = course.outcome().is_some() || course.lost;
    if ready && !gone { Ok(()) } else { Err(Unmet { reason: "", message: String::new() }) }
}

fn ready(phase: Phase, unready: &[&str]) -> Result<(), Unmet> {
    match phase {
        Phase::Succeeded => Err(Unmet { reason: "PodCompleted", message: String::new() }),
        Phase::Failed => Err(Unmet { reason: "PodFailed", message: String::new() }),
        Phase::Pending | Phase::Running | Phase::Unknown if unready.is_empty() => Ok(()),
        Phase::Pending | Phase::Running | Phase::Unknown => Err(Unmet {
            reason: "ContainersNotReady",
            message: format!("containers with unready status: [{}]", unready.join(" ")),
        }),
    }
}

fn initialized(
    spec: &PodSpec,
    phase: Phase,
    init: &[ContainerStatus],
    app: &[ContainerStatus],
) -> PodCondition {
    let done = |(container, status): &(&Container, &ContainerStatus)| match is_sidecar(container) {
        true => status.started == Some(true),
        false => has_completed(status),
    };
    let declared = spec.init_containers.iter().flatten();
    let incomplete: Vec<&str> =
        declared.zip(init).filter(|pair| !done(pair)).map(|(_, status)| status.name.as_str()).collect();
    // App containers start only after all of this, so one that has started settles it.
    let over = incomplete.is_empty() || app.iter().any(has_started);
    let mut condition = condition(
        "Initialized",
        if over {
            Ok(())
        } else {
            Err(Unmet {
                reason: "ContainersNotInitialized",
                message: format!("containers with incomplete status: [{}]", incomplete.join(" ")),
            })
        },
    );
    if over && phase == Phase::Succeeded {
        condition.reason = Some("PodCompleted".to_owned());
    }
    condition
}

fn sidecars<'a>(spec: &'a PodSpec, init: &'a [ContainerStatus]) -> impl Iterator<Item = &'a ContainerStatus> {
    let declared = spec.init_containers.iter().flatten();
    declared.zip(init).filter(|(container, _)| is_sidecar(container)).map(|(_, status)| status)
}

pub(super) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}
