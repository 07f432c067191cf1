//! What a pod process says of itself: the state it publishes, the end it records.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::back_off;
use super::desired::Blocked;
use super::id::PodId;
use super::pod_plan::{Revision, Role};
use super::time::{Moment, Timestamp};

mod conditions;

pub(crate) use conditions::{Conditions, Standing};

/// Raised when a reader of the earlier shape could misread the new one.
pub(crate) const FORMAT: u32 = 1;

/// `state.json`: replaced whole by the pod process each time something in it changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PodRecord {
    pub(crate) format: u32,
    /// Version of the droppod that runs this pod.
    pub(crate) binary: String,
    pub(crate) id: PodId,
    /// Of the plan in force.
    pub(crate) revision: Revision,
    pub(crate) shim_pid: i32,
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) started_at: Timestamp,
    pub(crate) sandbox: SandboxState,
    /// In the plan's order, init containers first.
    pub(crate) containers: Vec<ContainerRecord>,
    pub(crate) stopping: Option<Stopping>,
    pub(crate) outcome: Option<Outcome>,
    /// Absent where an older binary wrote this.
    #[serde(default)]
    pub(crate) conditions: Option<Conditions>,
    pub(crate) events: Vec<EventRecord>,
}

impl PodRecord {
    /// What the ends of its containers come to, as the kubelet judges a pod that was told to stop: one that has not ended,
    /// or never ran, has not succeeded.
    pub(crate) fn by_exits(&self) -> Outcome {
        let succeeded = |role| {
            let mut of_role = self.containers.iter().filter(move |container| container.role == role);
            of_role.all(
                |container| matches!(&container.state, ContainerState::Terminated(exit) if exit.code == 0),
            )
        };
        if succeeded(Role::Init) && succeeded(Role::App) {
            Outcome::Succeeded
        } else {
            let message = "the pod was stopped before its end".to_owned();
            Outcome::Failed { reason: String::new(), message }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SandboxState {
    Making,
    Ready,
    Failed { message: String },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ContainerRecord {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// As the author wrote it.
    pub(crate) image: String,
    /// `sha256:…`, empty for the host's own root.
    pub(crate) image_id: String,
    pub(crate) state: ContainerState,
    /// How the instance before this one ended.
    pub(crate) last: Option<Exit>,
    pub(crate) restart_count: u32,
    pub(crate) started: bool,
    pub(crate) ready: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ContainerState {
    Waiting { reason: String, message: String },
    Running { pid: i32, since: Timestamp },
    Terminated(Exit),
}

/// How one run of a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exit {
    /// 128 + signal if a signal ended it.
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
    /// kubelet's word: Completed, Error, OOMKilled, StartError, ContainerCannotRun, ContainerStatusUnknown.
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stopping {
    pub(crate) since: Timestamp,
    pub(crate) why: StopReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StopReason {
    /// The object is gone or replaced.
    Deleted,
    /// SIGTERM to the pod process, `down`, or the end of the pipe that an `up` holds: made anew when wanted.
    Interrupted,
    DeadlineExceeded,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StopReason::Deleted => "deleted",
            StopReason::Interrupted => "interrupted",
            StopReason::DeadlineExceeded => "deadline exceeded",
        })
    }
}

/// How a pod ended. Absent while it lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Succeeded,
    Failed { reason: String, message: String },
    Deleted,
    Interrupted,
}

/// Reason of the end of a pod that went with its machine.
pub(crate) const NODE_LOST: &str = "NodeLost";

impl Outcome {
    /// The machine, not the program, ended it: Kubernetes' `DisruptionTarget`.
    pub(crate) fn is_disruption(&self) -> bool {
        match self {
            Outcome::Failed { reason, .. } => reason == NODE_LOST,
            Outcome::Interrupted => true,
            Outcome::Succeeded | Outcome::Deleted => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventRecord {
    pub(crate) kind: EventKind,
    /// kubelet's word, such as Pulled, Created, Started, Killing, BackOff, Failed, FailedMount.
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) container: Option<String>,
    pub(crate) count: u32,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EventKind {
    Normal,
    Warning,
}

/// `waiting.json`: why a pod is not started yet, by whoever would start it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WaitingRecord {
    pub(crate) id: PodId,
    pub(crate) why: Blocked,
    pub(crate) since: Timestamp,
}

/// `<run-dir>/starts/<uid>.json`: what whoever directs a pod remembers of it while its processes come and go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StartRecord {
    pub(crate) deaths: Option<Deaths>,
    /// Of each container that ran.
    #[serde(default)]
    pub(crate) past: BTreeMap<String, Past>,
    /// Of the time before there was a process, and of processes that are gone.
    pub(crate) events: Vec<EventRecord>,
}

/// What a container's runs came to under pod processes that are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Past {
    /// How many there were: the number of the next.
    pub(crate) runs: u32,
    pub(crate) last: Option<Exit>,
    /// Of an app that is not to run again while others of its pod do.
    #[serde(default)]
    pub(crate) is_over: bool,
}

/// Deaths of a pod's processes in a row: each puts the next start off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deaths {
    pub(crate) count: u32,
    pub(crate) last: Moment,
    /// When the process after the last death was started; absent until then.
    pub(crate) launched: Option<Moment>,
    /// What the process that died said last.
    pub(crate) words: String,
}

impl Deaths {
    /// When the pod may be started again.
    pub(crate) fn retry_at(&self) -> Moment {
        self.last + back_off::delay(self.count)
    }
}

impl EventRecord {
    /// Of what happened once, at `at`.
    pub(crate) fn once(
        kind: EventKind,
        reason: &str,
        message: String,
        container: Option<&str>,
        at: Timestamp,
    ) -> EventRecord {
        EventRecord {
            kind,
            reason: reason.to_owned(),
            message,
            container: container.map(str::to_owned),
            count: 1,
            first: at,
            last: at,
        }
    }
}

/// Events kept for one pod; the oldest go first.
pub(crate) const EVENTS_KEPT: usize = 20;

/// Adds an event, or counts it up if the same was the last of its kind.
pub(crate) fn note(events: &mut Vec<EventRecord>, event: EventRecord) {
    let same = events.iter().position(|known| {
        known.reason == event.reason && known.message == event.message && known.container == event.container
    });
    match same {
        Some(at) => {
            let mut known = events.remove(at);
            known.count += event.count;
            known.last = event.last;
            events.push(known);
        }
        None => {
            if events.len() == EVENTS_KEPT {
                events.remove(0);
            }
            events.push(event);
        }
    }
}
