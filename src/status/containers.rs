//! ContainerStatus of each container that a pod declares.

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{Container, PodSpec};
use crate::model::desired::Blocked;
use crate::model::id::PodId;
use crate::model::pod_plan::Role;
use crate::model::record::{self, ContainerRecord, Exit};
use crate::workload::creating;

use super::{Course, STOPPED};

pub(super) fn statuses(declared: &[Container], spec: &PodSpec, course: &Course) -> Vec<ContainerStatus> {
    declared.iter().map(|container| status(container, spec, course)).collect()
}

/// Runs, or has run.
pub(super) fn has_started(status: &ContainerStatus) -> bool {
    let ended_before = status.last_state.as_ref().is_some_and(|last| last.terminated.is_some());
    let running = status.state.as_ref().is_some_and(|now| now.running.is_some() || now.terminated.is_some());
    running || ended_before
}

/// The init container has done what it is there for.
pub(super) fn has_completed(status: &ContainerStatus) -> bool {
    let terminated = status.state.as_ref().and_then(|state| state.terminated.as_ref());
    terminated.is_some_and(|terminated| terminated.exit_code == 0)
}

fn status(container: &Container, spec: &PodSpec, course: &Course) -> ContainerStatus {
    let stopped = course.stopped().and_then(|stopped| stopped.record.as_ref());
    let known = course.record().or(stopped).and_then(|record| {
        let known = record.containers.iter().find(|known| known.name == container.name)?;
        Some((&record.id, known))
    });
    match known {
        Some((pod, known)) => recorded(pod, known, spec, course),
        None => ContainerStatus {
            name: container.name.clone(),
            image: container.image.clone().unwrap_or_default(),
            started: Some(false),
            state: Some(not_started(container, spec, course)),
            last_state: Some(ContainerState::default()),
            ..ContainerStatus::default()
        },
    }
}

fn not_started(container: &Container, spec: &PodSpec, course: &Course) -> ContainerState {
    let waiting = course.waiting.as_ref().filter(|_| course.record().is_none());
    let own = |why: &'_ Blocked| why.containers.get(&container.name).or(why.pod.as_ref()).cloned();
    match waiting.and_then(|waiting| own(&waiting.why)) {
        Some(why) => waiting_state(&why.reason, &why.message),
        None if course.stopped().is_some() => waiting_state(STOPPED, ""),
        None => waiting_state(creating(spec), ""),
    }
}

fn recorded(pod: &PodId, known: &ContainerRecord, spec: &PodSpec, course: &Course) -> ContainerStatus {
    let id = |restart: u32| Some(format!("droppod://{}/{}/{restart}", pod.uid, known.name));
    let run = known.restart_count;
    // A container that waits has not begun the next run: its number is still that of the last one.
    let (state, last_run, container_id) = match &known.state {
        record::ContainerState::Waiting { reason, message } => {
            let reason = if reason.is_empty() { creating(spec) } else { reason };
            let trouble = course.sandbox_trouble().filter(|_| message.is_empty());
            let message = trouble.unwrap_or(message);
            (waiting_state(reason, message), run, known.last.as_ref().and_then(|_| id(run)))
        }
        record::ContainerState::Running { since, .. } => {
            let running = ContainerStateRunning { started_at: Some(Time(*since)) };
            let state = ContainerState { running: Some(running), ..ContainerState::default() };
            (state, run.saturating_sub(1), id(run))
        }
        record::ContainerState::Terminated(exit) => {
            (terminated_state(exit, id(run)), run.saturating_sub(1), id(run))
        }
    };
    let mut last_state = known.last.as_ref().map(|exit| terminated_state(exit, id(last_run)));
    let mut state = state;
    if course.stopped().is_some() {
        let ended = std::mem::replace(&mut state, waiting_state(STOPPED, ""));
        last_state = Some(ended).filter(|ended| ended.terminated.is_some()).or(last_state);
    }
    let mut status = ContainerStatus {
        name: known.name.clone(),
        image: known.image.clone(),
        image_id: known.image_id.clone(),
        container_id,
        ready: known.ready && !course.lost && course.stopped().is_none(),
        started: Some(known.started && course.stopped().is_none()),
        restart_count: i32::try_from(run).unwrap_or(i32::MAX),
        state: Some(state),
        last_state: Some(last_state.unwrap_or_default()),
        ..ContainerStatus::default()
    };
    // kubelet calls an init container ready once it has succeeded.
    status.ready |= known.role == Role::Init && has_completed(&status);
    status
}

fn waiting_state(reason: &str, message: &str) -> ContainerState {
    let message = (!message.is_empty()).then(|| message.to_owned());
    let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

fn terminated_state(exit: &Exit, container_id: Option<String>) -> ContainerState {
    let terminated = ContainerStateTerminated {
        container_id,
        exit_code: exit.code,
        signal: exit.signal,
        reason: Some(exit.reason.clone()).filter(|reason| !reason.is_empty()),
        message: Some(exit.message.clone()).filter(|message| !message.is_empty()),
        started_at: exit.started_at.map(Time),
        finished_at: Some(Time(exit.finished_at)),
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}
