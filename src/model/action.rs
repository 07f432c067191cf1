//! What is to be done, as data: `plan::diff` returns it, the daemon does it, `diff` prints it.

use std::fmt;

use super::desired::Blocked;
use super::id::PodId;
use super::image::PullRequest;
use super::pod_plan::PodPlan;
use super::record::StopReason;
use super::time::Moment;

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Plan {
    /// At most one for each pod, stops before starts.
    pub(crate) actions: Vec<Action>,
    /// When to look again though nothing happens.
    pub(crate) wake_at: Option<Moment>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    Pull(PullRequest),
    /// Start a pod process.
    Launch(Box<PodPlan>),
    /// Tell a living pod process its new plan.
    Tell(Box<PodPlan>),
    /// Have a living pod process look at what it was told: whoever told it may have died before it knocked.
    Remind {
        pod: PodId,
    },
    /// `grace` in seconds, in place of the pod's own.
    Stop {
        pod: PodId,
        why: StopReason,
        grace: Option<u32>,
    },
    /// Write down why a pod is not started yet.
    Wait {
        pod: PodId,
        why: Blocked,
    },
    /// The pod process is dead and left something behind: kill, unmount, remove, and record the end if there is
    /// none and the pod will not be started again.
    Sweep {
        pod: PodId,
        then: AfterSweep,
    },
    /// Nothing of the pod is left and its object is to go: remove the object's record.
    Forget {
        pod: PodId,
    },
    /// A machine restart ended a pod that is not to be run again.
    Lose {
        pod: PodId,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterSweep {
    /// The end is known or does not matter.
    Nothing,
    /// Record Failed: containers whose end nobody saw ended with 137.
    RecordLoss,
    /// The pod will be started again by a later pass.
    StartAgain,
    /// The same, but the process died of itself: the more often it did, the later.
    StartLater,
}

impl fmt::Display for AfterSweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AfterSweep::Nothing => "nothing",
            AfterSweep::RecordLoss => "record its loss",
            AfterSweep::StartAgain => "start it again",
            AfterSweep::StartLater => "start it again, after a rest if it died before",
        })
    }
}

/// Why a pass was made; logged once for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    Startup,
    ManifestsChanged,
    PodChanged,
    TimerFired,
    Asked,
}

impl fmt::Display for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wake::Startup => "startup",
            Wake::ManifestsChanged => "manifests changed",
            Wake::PodChanged => "pod changed",
            Wake::TimerFired => "timer fired",
            Wake::Asked => "asked",
        })
    }
}
