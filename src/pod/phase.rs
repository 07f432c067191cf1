//! How runs and pods end, in kubelet's words.

use crate::model::pod_plan::Role;
use crate::model::record::{Exit, Outcome, StopReason};
use crate::model::time::Now;

use super::RawEnd;
use super::container::Container;
use super::stop::{Stop, Why};

pub(super) const DEADLINE_EXCEEDED: &str = "Pod was active on the node longer than the specified deadline";

pub(super) fn exit(end: RawEnd, since: Option<Now>, now: Now) -> Exit {
    let killed = end.signal == Some(9) || end.code == 137;
    let reason = match end.code {
        _ if end.oom_killed && killed => "OOMKilled",
        0 => "Completed",
        _ => "Error",
    };
    Exit {
        code: end.code,
        signal: end.signal,
        reason: reason.to_owned(),
        message: end.message,
        started_at: since.map(|since| since.wall),
        finished_at: now.wall,
    }
}

/// The end of a run that never was.
pub(super) fn start_error(waiting_reason: &str, message: &str, now: Now) -> Exit {
    let reason = if waiting_reason == "RunContainerError" { "StartError" } else { "ContainerCannotRun" };
    Exit {
        code: 128,
        signal: None,
        reason: reason.to_owned(),
        message: message.to_owned(),
        started_at: None,
        finished_at: now.wall,
    }
}

/// Whether the containers alone have decided the pod's end: an init container has failed for good, or every app
/// container has ended for good.
pub(super) fn is_over(containers: &[Container]) -> bool {
    let init_failed = of_role(containers, Role::Init).any(ended_badly);
    init_failed || of_role(containers, Role::App).all(|container| container.last_end().is_some())
}

/// Sidecars never decide.
pub(super) fn outcome(containers: &[Container], stop: &Stop) -> Outcome {
    match stop.why {
        Why::Over => {
            let mut deciding = of_role(containers, Role::Init).chain(of_role(containers, Role::App));
            if deciding.any(ended_badly) {
                // kubelet gives no reason of the pod's own: those of its containers say it.
                Outcome::Failed { reason: String::new(), message: String::new() }
            } else {
                Outcome::Succeeded
            }
        }
        Why::Asked(StopReason::Deleted) => Outcome::Deleted,
        Why::Asked(StopReason::Interrupted) => Outcome::Interrupted,
        Why::Asked(StopReason::DeadlineExceeded) => {
            Outcome::Failed { reason: "DeadlineExceeded".to_owned(), message: DEADLINE_EXCEEDED.to_owned() }
        }
    }
}

fn of_role(containers: &[Container], role: Role) -> impl Iterator<Item = &Container> {
    containers.iter().filter(move |container| container.plan.role == role)
}

fn ended_badly(container: &Container) -> bool {
    container.last_end().is_some_and(|exit| exit.code != 0)
}
