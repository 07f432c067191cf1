//! The state machine inside one pod, for the shim: `(state, event, now) → (state, effects)`.

use crate::model::pod_plan::PodPlan;
use crate::model::record::{Exit, PodRecord, StopReason};
use crate::model::time::{Moment, Now};

/// What happened. One that the state does not wait for, such as the end of a container that does not run, is
/// ignored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    SandboxReady,
    SandboxFailed {
        message: String,
    },
    /// Comes before the `Exited` of the same run.
    Started {
        container: String,
        pid: i32,
    },
    /// Could not be created or started; `reason` is kubelet's word, such as CreateContainerError.
    NotStarted {
        container: String,
        reason: &'static str,
        message: String,
    },
    Exited {
        container: String,
        end: RawEnd,
    },
    PlanChanged(Box<PodPlan>),
    /// `grace` in seconds, in place of the plan's.
    StopAsked {
        why: StopReason,
        grace: Option<u32>,
    },
    /// Nothing but time has moved.
    Tick,
    ToreDown,
}

/// An end as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawEnd {
    /// As the process left it, 0 to 255, or 128 + signal.
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
    pub(crate) oom_killed: bool,
    /// Of the termination message file or the log's tail.
    pub(crate) message: String,
}

/// What the shim is to do about it. Doing returns at once; what it leads to comes back as an `Event`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    MakeSandbox,
    /// Run number `restart` of a container, from 0.
    Start {
        container: String,
        restart: u32,
    },
    Signal {
        container: String,
        signal: i32,
    },
    /// SIGKILL to the container's whole cgroup.
    Kill {
        container: String,
    },
    /// Write changed limits to the cgroups of the pod and its containers.
    ApplyResources,
    /// Write down, once and for good, how run number `restart` ended. Given for each `Exited`, and for each
    /// `NotStarted`, which counts as a run that ended with 128.
    RecordExit {
        container: String,
        restart: u32,
        exit: Exit,
    },
    /// Write changed projected files.
    RefreshVolumes,
    /// Unmount, release the network, remove the cgroup, as often as it takes; also what a failed `MakeSandbox` left.
    TearDown,
    /// The pod has ended and everything is torn down: record it and leave.
    Leave,
}

/// The pod as its own process knows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PodState {
    plan: PodPlan,
}

impl PodState {
    /// A pod of which nothing exists yet, and the first thing to do.
    pub(crate) fn new(plan: PodPlan, now: Now) -> (PodState, Vec<Effect>) {
        let _ = now;
        (PodState { plan }, vec![Effect::MakeSandbox])
    }

    pub(crate) fn step(&self, event: Event, now: Now) -> (PodState, Vec<Effect>) {
        let _ = (event, now);
        unimplemented!()
    }

    /// When `Event::Tick` is due: a back-off, a grace period or a deadline ends.
    pub(crate) fn wake_at(&self) -> Option<Moment> {
        unimplemented!()
    }

    /// Number of the container's present run, of its last one while none is under way; 0 before the first.
    pub(crate) fn restart_of(&self, container: &str) -> u32 {
        let _ = container;
        unimplemented!()
    }

    /// The plan in force.
    pub(crate) fn plan(&self) -> &PodPlan {
        &self.plan
    }

    /// What is published of it. Wall-clock times in it were taken when things happened.
    pub(crate) fn record(&self, shim_pid: i32) -> PodRecord {
        let _ = shim_pid;
        unimplemented!()
    }
}
