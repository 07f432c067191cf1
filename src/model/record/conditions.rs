//! Since when the conditions of a pod are as they are: what Kubernetes calls `lastTransitionTime`.

use serde::{Deserialize, Serialize};

use super::{ContainerRecord, ContainerState, PodRecord, SandboxState};
use crate::model::pod_plan::Role;
use crate::model::time::Timestamp;

/// Noted by whoever changes the record. Why a condition is not met is for readers to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Conditions {
    /// `PodReadyToStartContainers`.
    pub(crate) sandbox: Standing,
    pub(crate) initialized: Standing,
    /// `ContainersReady`, and `Ready`, which differs from it nowhere.
    pub(crate) ready: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) met: bool,
    pub(crate) since: Timestamp,
}

impl Conditions {
    /// Of a pod that begins.
    pub(crate) fn unmet(since: Timestamp) -> Conditions {
        let unmet = Standing { met: false, since };
        Conditions { sandbox: unmet, initialized: unmet, ready: unmet }
    }

    /// As `record` has them now; what is as before keeps its time.
    pub(crate) fn follow(&mut self, record: &PodRecord, now: Timestamp) {
        let PodRecord { containers, outcome, .. } = record;
        let lives = outcome.is_none();
        self.sandbox.turn(lives && record.sandbox == SandboxState::Ready, now);
        self.initialized.turn(record.is_initialized(), now);
        let ready = containers.iter().filter(|one| one.role != Role::Init).all(|one| one.ready);
        self.ready.turn(lives && ready, now);
    }
}

impl Standing {
    fn turn(&mut self, met: bool, now: Timestamp) {
        if self.met != met {
            *self = Standing { met, since: now };
        }
    }
}

impl PodRecord {
    /// App containers start only after all of this, so one that has started settles it.
    pub(crate) fn is_initialized(&self) -> bool {
        let is_done = |one: &ContainerRecord| match one.role {
            Role::Init => matches!(&one.state, ContainerState::Terminated(exit) if exit.code == 0),
            Role::Sidecar => one.started,
            Role::App => true,
        };
        let has_started = |one: &ContainerRecord| {
            let waits = matches!(one.state, ContainerState::Waiting { .. });
            one.role == Role::App && (one.last.is_some() || !waits)
        };
        self.containers.iter().all(is_done) || self.containers.iter().any(has_started)
    }
}
