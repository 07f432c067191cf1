//! The state machine inside one pod, for the shim: `(state, event, now) → (state, effects)`.
//!
//! ```text
//! the pod                                                     each container
//!
//!        ┌──────── MakeSandbox ────────┐                      Idle ──Start──► Starting ◄──Start──┐
//!        ▼                             │                                        │    │           │
//!     Making ──SandboxFailed──► Undoing ──ToreDown──► Retrying          Started │    │ NotStarted│ when due
//!      │   │                       │                     │                      ▼    └─────────► │
//!      │   └─StopAsked─► Abandoning│                     │                   Running ──Exited──► Resting
//!      │ SandboxReady         │    │                     │                      │                │
//!      ▼                      │    │ StopAsked           │ StopAsked     Signal │                │ no more runs
//!     Live                    │    │                     │                      ▼                ▼
//!      │ StopAsked, deadline, │    │                     │                   Halting ──Exited──► Ended
//!      │ or all has ended     │    │                     │               (Kill at its end)  or Resting, when
//!      ▼                      ▼    ▼                     ▼                                  a new image waits
//!   Stopping ──all quiet──► TearingDown ──ToreDown──► Gone (Leave)
//! ```
//!
//! A step takes the event in, then does what is due: the second half looks at the state alone, so an event that
//! comes twice, late or out of order leads to the same place. In `Live` and `Stopping` what is due follows from the
//! containers (`startup`, `stop`), whether a container runs again from `restart`, how the pod ended from `phase`.
//! While a container runs, `health` and `prober` say when its hook and probes are due and what their verdicts do;
//! `halt` says how it is told to end.

mod change;
mod container;
mod halt;
mod health;
mod note;
mod phase;
mod prober;
mod report;
mod restart;
mod startup;
mod stop;
#[cfg(test)]
mod tests;
mod turn;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::model::handler::{Errand, Verdict, Work};
use crate::model::pod_plan::{ContainerPlan, PodPlan};
use crate::model::record::{Conditions, EventRecord, Exit, Past, StopReason};
use crate::model::time::{Moment, Now};

use container::Container;
pub(crate) use restart::again as runs_again;
use stop::Stop;
use turn::Turn;

/// Later than any deadline.
const NEVER: Moment = Moment(Duration::MAX);

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
    /// Something that the pod was to have cannot be had on this machine; it goes on without.
    Lacks {
        container: Option<String>,
        what: String,
    },
    /// A probe or a hook has come to an end.
    HandlerEnded {
        errand: Errand,
        verdict: Verdict,
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
    /// Run a probe or a hook. It ends with its container.
    RunHandler {
        errand: Errand,
        work: Work,
    },
    /// Its end is of no more interest.
    EndHandler {
        errand: Errand,
    },
    /// Write changed limits to the cgroups of the pod and its containers.
    ApplyResources,
    /// Write down, once and for good, how run number `restart` ended. Given for each `Exited`, and for each
    /// `NotStarted`, which counts as a run that ended with 128. `again`: as things are another run follows.
    RecordExit {
        container: String,
        restart: u32,
        exit: Exit,
        again: bool,
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
    plan: Rc<PodPlan>,
    began: Now,
    stage: Stage,
    /// In the plan's order, init containers first.
    containers: Vec<Container>,
    conditions: Conditions,
    events: Vec<EventRecord>,
}

#[derive(Debug, Clone, PartialEq)]
enum Stage {
    /// The sandbox is being made; `owed` is what a change of the plan asks for once it is there.
    Making {
        failures: u32,
        owed: Vec<Effect>,
    },
    /// The sandbox is being made though nobody wants it any more.
    Abandoning(Stop),
    /// What a failed try has left is being removed.
    Undoing {
        failures: u32,
        message: String,
    },
    /// Nothing is there; the next try is due at `at`.
    Retrying {
        failures: u32,
        message: String,
        at: Moment,
    },
    Live,
    Stopping(Stop),
    TearingDown(Stop),
    Gone(Stop),
}

impl PodState {
    /// A pod of which nothing exists yet, and the first thing to do.
    /// `past` tells of containers that ran under an earlier process of the same pod.
    pub(crate) fn new(plan: PodPlan, past: &BTreeMap<String, Past>, now: Now) -> (PodState, Vec<Effect>) {
        let container = |container: &ContainerPlan| Container::new(container, past.get(&container.name));
        let containers = plan.all_containers().map(container).collect();
        let stage = Stage::Making { failures: 0, owed: Vec::new() };
        let conditions = Conditions::unmet(now.wall);
        let (plan, events) = (Rc::new(plan), Vec::new());
        let mut state = PodState { plan, began: now, stage, containers, conditions, events };
        state.note_conditions(now);
        (state, vec![Effect::MakeSandbox])
    }

    pub(crate) fn step(&self, event: Event, now: Now) -> (PodState, Vec<Effect>) {
        let mut turn = Turn::begin(self.clone(), now);
        turn.take_in(event);
        turn.do_what_is_due();
        turn.end()
    }

    /// When `Event::Tick` is due: a back-off, a grace period or a deadline ends.
    pub(crate) fn wake_at(&self) -> Option<Moment> {
        match &self.stage {
            Stage::Making { .. } | Stage::Undoing { .. } => self.deadline(),
            Stage::Retrying { at, .. } => self.deadline().into_iter().chain([*at]).min(),
            Stage::Live => {
                let due = self.containers.iter().filter_map(|container| container.due(NEVER));
                self.deadline().into_iter().chain(due).min()
            }
            Stage::Stopping(stop) => {
                self.containers.iter().filter_map(|container| container.due(stop.kill_at)).min()
            }
            Stage::Abandoning(_) | Stage::TearingDown(_) | Stage::Gone(_) => None,
        }
    }

    /// Whether it has been told to stop, or stops by itself, and has not gone.
    pub(crate) fn is_stopping(&self) -> bool {
        match self.stage {
            Stage::Abandoning(_) | Stage::Stopping(_) | Stage::TearingDown(_) => true,
            Stage::Making { .. }
            | Stage::Undoing { .. }
            | Stage::Retrying { .. }
            | Stage::Live
            | Stage::Gone(_) => false,
        }
    }

    /// The plan in force.
    pub(crate) fn plan(&self) -> &PodPlan {
        &self.plan
    }

    fn deadline(&self) -> Option<Moment> {
        let seconds = self.plan.live.active_deadline?;
        Some(self.began.boot + Duration::from_secs(seconds.into()))
    }
}
