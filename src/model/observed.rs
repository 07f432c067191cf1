//! What is, as far as a pass can see it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::id::Uid;
use super::image::{Archive, ImageRef, StoredImage};
use super::pod_plan::PodPlan;
use super::port::HostPort;
use super::record::{Deaths, Exit, Outcome, PodRecord, StopReason};
use super::time::{Moment, Timestamp};

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Observed {
    /// Those of which more may be to be seen.
    pub(crate) pods: BTreeMap<Uid, PodObservation>,
    /// Those that have ended and left nothing but their records.
    pub(crate) ended: Arc<BTreeMap<Uid, PodObservation>>,
    pub(crate) images: BTreeMap<ImageRef, ImageObservation>,
    /// Archives to be loaded because some image that is absent may be in one.
    pub(crate) preloads: BTreeMap<Archive, Preload>,
    pub(crate) leases: BTreeMap<Ipv4Addr, Uid>,
    /// Host ports of pods that have been told of them and are not gone.
    pub(crate) ports: BTreeMap<Uid, Vec<HostPort>>,
    /// Those that others have; looked for only while a pod that wants one is not started.
    pub(crate) taken: Vec<Taken>,
}

impl Observed {
    pub(crate) fn pod(&self, uid: &Uid) -> Option<&PodObservation> {
        self.pods.get(uid).or_else(|| self.ended.get(uid))
    }
}

/// A port of the machine that no pod of this instance has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) port: HostPort,
    pub(crate) by: Taker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taker {
    /// A socket listens on it.
    Process,
    /// A pod of another instance has it.
    Instance,
}

/// A pod that has a directory in the run directory, or an end on disc.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PodObservation {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// What the pod process was told; absent once its directory is gone.
    pub(crate) told: Option<Told>,
    pub(crate) process: ProcessObservation,
    /// The last state the pod process published.
    pub(crate) record: Option<Arc<PodRecord>>,
    /// The end that is on disc.
    pub(crate) finished: Option<Arc<Finished>>,
    /// How it ended that was told to go for good, once its process has left.
    pub(crate) departed: Option<Arc<Finished>>,
    /// Boot id under which a container of this pod was last started, if that is on disc.
    pub(crate) launched_in: Option<String>,
    /// How often its process has died of late.
    pub(crate) deaths: Option<Deaths>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) plan: Arc<PodPlan>,
    pub(crate) stop: Option<StopReason>,
}

/// Whether the pod process lives: it holds a lock on its directory for as long as it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessObservation {
    Alive,
    Dead,
}

/// `<state-dir>/objects/<uid>/finished.json`: the end of a pod, durable before anything reacts to it; and `departed.json`
/// beside it: how a pod ended that was told to go for good.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    pub(crate) record: PodRecord,
}

/// `<state-dir>/objects/<uid>/interrupted.json`: a pod that was stopped though it is still wanted, by `down`, by
/// SIGTERM to its process, by a shutdown. Not an end: the next watcher starts it, and takes the mark away.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Interrupted {
    pub(crate) at: Timestamp,
    /// What the pod process said last; absent if there was none.
    pub(crate) record: Option<PodRecord>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ImageObservation {
    Present {
        image: StoredImage,
        resolved_at: Timestamp,
    },
    Pulling,
    /// Absent, but it may be in an archive that is not loaded yet.
    Preloading,
    /// `retry_at` is when the next try is due.
    Failed {
        error: PullError,
        retry_at: Moment,
        stale: Option<StoredImage>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preload {
    Due,
    UnderWay,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct PullError {
    pub(crate) message: String,
    /// How many tries have failed in a row.
    pub(crate) tries: u32,
    #[serde(default)]
    pub(crate) outlook: Outlook,
}

/// What another try may bring of what could not be had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Outlook {
    /// A registry that cannot be reached, is in trouble or asks for patience may be otherwise then.
    #[default]
    MayPass,
    /// There is no such image, or not for who asks, or it is none.
    Final,
}

/// kubelet's word for an end that nobody saw.
pub(crate) const LOST: &str = "ContainerStatusUnknown";

/// An exit that nobody saw: the pod process had died.
pub(crate) fn lost_exit(started_at: Option<Timestamp>, seen_at: Timestamp) -> Exit {
    Exit {
        code: 137,
        signal: None,
        reason: LOST.to_owned(),
        message: "the pod process died before the container's end was recorded".to_owned(),
        started_at,
        finished_at: seen_at,
    }
}
