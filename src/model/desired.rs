//! What should be: pods that objects ask for, each ready to be told to a pod process or waiting for something.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::id::{PodId, Uid};
use super::image::ImageRef;
use super::pod_plan::{PodPlan, RestartPolicy};

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Desired {
    pub(crate) pods: BTreeMap<Uid, DesiredPod>,
    /// Images that some pod waits for and that should be pulled.
    pub(crate) pulls: BTreeSet<ImageRef>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DesiredPod {
    pub(crate) id: PodId,
    pub(crate) restart_policy: RestartPolicy,
    pub(crate) want: Want,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Want {
    Run(Box<PodPlan>),
    /// Something the manifest refers to is not there; the pod heals when it comes.
    Wait {
        why: Blocked,
        /// For a pod that lives: what it can take over of an edit nevertheless, on top of what it was told.
        meanwhile: Option<Box<PodPlan>>,
    },
    /// `grace` in seconds, in place of the pod's own.
    Gone {
        grace: Option<u32>,
    },
}

impl Want {
    /// Of a pod that does not live, or is not to change.
    pub(crate) fn wait(why: Blocked) -> Want {
        Want::Wait { why, meanwhile: None }
    }
}

/// kubelet's word for a pod whose process, which holds its sandbox, does not come up or does not stay.
pub(crate) const FAILED_SANDBOX: &str = "FailedCreatePodSandBox";

/// Why a pod cannot start, in kubelet's words, for each container that waits.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Blocked {
    /// Container name to reason and message; containers not named wait with ContainerCreating.
    pub(crate) containers: BTreeMap<String, Waiting>,
    /// A reason of the pod itself, such as `OutOfpods`.
    pub(crate) pod: Option<Waiting>,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Waiting {
    pub(crate) reason: String,
    pub(crate) message: String,
    /// Unknown of what an older binary has written down.
    #[serde(default)]
    pub(crate) cause: Cause,
}

/// What a wait is for, which tells whether it may be in vain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Cause {
    /// It passes: an address that becomes free, a rest between two tries.
    #[default]
    Passing,
    /// An image whose pull has failed, which the next try may bring.
    Pull,
    /// An image whose pull has failed, and another try would bring no other answer as things are.
    Refused,
    /// An image that no pull will bring.
    Image,
    /// Something that the manifests lack or that is not allowed: an edit ends it, and nothing else.
    Manifest,
}

impl Waiting {
    /// For what passes by itself.
    pub(crate) fn passing(reason: &str, message: String) -> Waiting {
        Waiting { reason: reason.to_owned(), message, cause: Cause::Passing }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message.as_str() {
            "" => f.write_str(&self.reason),
            message => write!(f, "{}: {message}", self.reason),
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pod = self.pod.iter().map(Waiting::to_string);
        let containers = self.containers.iter().map(|(name, why)| format!("container {name}: {why}"));
        let parts: Vec<String> = pod.chain(containers).collect();
        // Of an image that is being pulled there is nothing to tell.
        f.write_str(if parts.is_empty() { "an image" } else { "" })?;
        f.write_str(&parts.join("; "))
    }
}
