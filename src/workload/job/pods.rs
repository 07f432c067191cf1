//! The pods of a Job, by what they count as.

use crate::api::{Object, Pod};
use crate::model::indexes::Indexes;
use crate::model::object::Known;
use crate::model::record::{ContainerRecord, ContainerState, Outcome, PodRecord, StopReason};
use crate::model::time::Timestamp;
use crate::workload::control::Child;

/// On pods of an Indexed Job, as label and annotation.
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";

pub(super) struct Pods<'a> {
    /// Their end is on disc and not counted yet.
    pub(super) ended: Vec<Ended<'a>>,
    pub(super) active: Vec<Active<'a>>,
    /// Told to stop by a person: they count as failed, and are to go.
    pub(super) stopped: Vec<Child<'a>>,
    /// Indexes of those on their way out, `None` for a pod without one.
    pub(super) going: Vec<Option<u64>>,
}

pub(super) struct Ended<'a> {
    pub(super) child: Child<'a>,
    pub(super) index: Option<u64>,
    pub(super) outcome: &'a Outcome,
    pub(super) record: &'a PodRecord,
}

#[derive(Clone, Copy)]
pub(super) struct Active<'a> {
    pub(super) child: Child<'a>,
    pub(super) index: Option<u64>,
}

impl<'a> Pods<'a> {
    pub(super) fn sort(children: &[Child<'a>], counted: &Indexes) -> Pods<'a> {
        let mut pods = Pods { ended: Vec::new(), active: Vec::new(), stopped: Vec::new(), going: Vec::new() };
        for child in children {
            let child = *child;
            let index = index(child.known);
            let is_counted = counted.contains(child.number);
            if let Some(finished) = child.seen.and_then(|seen| seen.finished.as_ref()) {
                if !is_counted {
                    let (outcome, record) = (&finished.outcome, &finished.record);
                    pods.ended.push(Ended { child, index, outcome, record });
                }
            } else if child.is_to_go() {
                pods.going.push(index);
            } else if was_stopped(&child) {
                pods.stopped.push(child);
                pods.going.push(index);
            } else {
                pods.active.push(Active { child, index });
            }
        }
        pods.ended
            .sort_by_key(|pod| (pod.record.containers.iter().filter_map(ended_at).max(), pod.child.number));
        pods
    }

    /// None is alive any more, or could come to be.
    pub(super) fn is_empty(&self) -> bool {
        self.active.is_empty() && self.going.is_empty()
    }
}

fn ended_at(container: &ContainerRecord) -> Option<Timestamp> {
    match &container.state {
        ContainerState::Terminated(exit) => Some(exit.finished_at),
        ContainerState::Running { .. } | ContainerState::Waiting { .. } => None,
    }
}

/// A pod that nobody here has ended, and that is to stop for good.
fn was_stopped(child: &Child<'_>) -> bool {
    let told = child.seen.and_then(|seen| seen.told.as_ref()).and_then(|told| told.stop);
    match told {
        Some(StopReason::Deleted) => true,
        Some(StopReason::Interrupted | StopReason::DeadlineExceeded) | None => false,
    }
}

/// Which part of an Indexed Job a pod is.
pub(crate) fn index_of(pod: &Pod) -> Option<u64> {
    pod.metadata.annotations.as_ref()?.get(INDEX)?.parse().ok()
}

pub(super) fn index(known: &Known) -> Option<u64> {
    match &known.object {
        Object::Pod(pod) => index_of(pod),
        Object::ConfigMap(_)
        | Object::Secret(_)
        | Object::Namespace(_)
        | Object::Job(_)
        | Object::CronJob(_)
        | Object::Unserved { .. } => None,
    }
}
