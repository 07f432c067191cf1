//! What is published of a pod.

use std::net::Ipv4Addr;

use crate::model::pod_plan::{NetworkPlan, Role};
use crate::model::record::{
    ContainerRecord, ContainerState, FORMAT, Outcome, PodRecord, SandboxState, Stopping,
};
use crate::model::time::Now;

use super::container::{Container, Status};
use super::health::Health;
use super::{PodState, Stage, phase};

impl PodState {
    /// What is published of it. Wall-clock times in it were taken when things happened.
    pub(crate) fn record(&self, shim_pid: i32) -> PodRecord {
        PodRecord {
            format: FORMAT,
            binary: env!("CARGO_PKG_VERSION").to_owned(),
            id: self.plan.id.clone(),
            revision: self.plan.revision.clone(),
            shim_pid,
            address: self.address(),
            started_at: self.began.wall,
            sandbox: self.sandbox(),
            containers: self.containers.iter().map(|container| self.container_record(container)).collect(),
            stopping: self.stopping(),
            outcome: self.outcome(),
            conditions: Some(self.conditions.clone()),
            events: self.events.clone(),
        }
    }

    /// After each step, so that each time is that of the step that made the difference.
    pub(super) fn note_conditions(&mut self, now: Now) {
        let record = self.record(0);
        self.conditions.follow(&record, now.wall);
    }

    fn address(&self) -> Option<Ipv4Addr> {
        match &self.plan.network {
            NetworkPlan::Bridge { address, .. } => Some(*address),
            NetworkPlan::Host | NetworkPlan::Loopback => None,
        }
    }

    fn sandbox(&self) -> SandboxState {
        match &self.stage {
            Stage::Making { .. } | Stage::Abandoning(_) => SandboxState::Making,
            Stage::Undoing { message, .. } | Stage::Retrying { message, .. } => {
                SandboxState::Failed { message: message.clone() }
            }
            Stage::Live | Stage::Stopping(_) | Stage::TearingDown(_) | Stage::Gone(_) => SandboxState::Ready,
        }
    }

    fn stopping(&self) -> Option<Stopping> {
        match &self.stage {
            Stage::Making { .. } | Stage::Undoing { .. } | Stage::Retrying { .. } | Stage::Live => None,
            Stage::Abandoning(stop)
            | Stage::Stopping(stop)
            | Stage::TearingDown(stop)
            | Stage::Gone(stop) => stop.record(),
        }
    }

    /// Told once nothing can change it any more, that is with `Effect::Leave`.
    fn outcome(&self) -> Option<Outcome> {
        match &self.stage {
            Stage::Gone(stop) => Some(phase::outcome(&self.containers, stop)),
            Stage::Making { .. }
            | Stage::Abandoning(_)
            | Stage::Undoing { .. }
            | Stage::Retrying { .. }
            | Stage::Live
            | Stage::Stopping(_)
            | Stage::TearingDown(_) => None,
        }
    }

    fn container_record(&self, container: &Container) -> ContainerRecord {
        let image = &container.plan.image;
        ContainerRecord {
            name: container.plan.name.clone(),
            role: container.plan.role,
            image: image.authored.clone(),
            image_id: image.stored.as_ref().map(|stored| stored.digest.clone()).unwrap_or_default(),
            state: self.container_state(container),
            last: match &container.status {
                Status::Resting { exit, .. } => Some(exit.clone()),
                Status::Idle
                | Status::Starting
                | Status::Running { .. }
                | Status::Halting { .. }
                | Status::Ended(_) => container.last.clone(),
            },
            restart_count: container.restart,
            started: is_started(container),
            ready: is_ready(container),
        }
    }

    fn container_state(&self, container: &Container) -> ContainerState {
        match &container.status {
            Status::Idle | Status::Starting => ContainerState::Waiting {
                reason: self.creating(container).to_owned(),
                message: String::new(),
            },
            // As the kubelet has it, which tells nothing of a container before its hook has ended.
            Status::Running { health, .. } if !health.post_start_is_over() => ContainerState::Waiting {
                reason: self.creating(container).to_owned(),
                message: String::new(),
            },
            Status::Running { pid, since, .. } | Status::Halting { pid, since, .. } => {
                ContainerState::Running { pid: *pid, since: since.wall }
            }
            Status::Resting { waiting, .. } => {
                ContainerState::Waiting { reason: waiting.reason.clone(), message: waiting.message.clone() }
            }
            Status::Ended(exit) => ContainerState::Terminated(exit.clone()),
        }
    }

    /// kubelet's word for a container that is to run and does not yet.
    fn creating(&self, container: &Container) -> &'static str {
        let has_run = container.restart > 0;
        match container.plan.role {
            Role::App if has_run || self.plan.init_containers.is_empty() => "ContainerCreating",
            Role::Init | Role::Sidecar | Role::App => "PodInitializing",
        }
    }
}

fn is_started(container: &Container) -> bool {
    container.health().is_some_and(Health::is_started)
}

/// A plain init container is ready once it has done its work.
fn is_ready(container: &Container) -> bool {
    match container.plan.role {
        Role::Init => container.lets_next_start(),
        Role::Sidecar | Role::App => container.health().is_some_and(Health::is_ready),
    }
}
