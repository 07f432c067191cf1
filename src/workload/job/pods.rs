//! The pods of a Job, by what they count as.

use crate::api::{Object, Pod};
use crate::model::job::JobRecord;
use crate::model::object::Known;
use crate::model::observed::{Finished, PodObservation, ProcessObservation};
use crate::model::record::{ContainerRecord, ContainerState, Outcome, PodRecord, StopReason};
use crate::model::time::Timestamp;
use crate::workload::control::Child;

/// On pods of an Indexed Job, as label and annotation.
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";

pub(super) struct Pods<'a> {
    /// Their end is on disc and not counted yet.
    pub(super) ended: Vec<Ended<'a>>,
    pub(super) active: Vec<Active<'a>>,
    /// On their way out, not by the Job's own wish, and not counted yet: they count as failed.
    pub(super) deleted: Vec<Child<'a>>,
    /// Told to stop by a person: they are to go.
    pub(super) stopped: Vec<Child<'a>>,
    /// Indexes of those on their way out, `None` for a pod without one.
    pub(super) going: Vec<Option<u64>>,
}

/// When a pod that is deleted counts, and may be replaced: `podReplacementPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replacement {
    /// At once, as failed.
    TerminatingOrFailed,
    /// Once it has ended, as it ended.
    Failed,
}

pub(super) struct Ended<'a> {
    pub(super) child: Child<'a>,
    pub(super) index: Option<u64>,
    pub(super) outcome: Outcome,
    /// Absent of a pod that was deleted before it ran, or whose process died on its way out.
    pub(super) record: Option<&'a PodRecord>,
}

#[derive(Clone, Copy)]
pub(super) struct Active<'a> {
    pub(super) child: Child<'a>,
    pub(super) index: Option<u64>,
}

impl<'a> Pods<'a> {
    pub(super) fn sort(children: &[Child<'a>], job: &JobRecord, replacement: Replacement) -> Pods<'a> {
        let mut pods = Pods {
            ended: Vec::new(),
            active: Vec::new(),
            deleted: Vec::new(),
            stopped: Vec::new(),
            going: Vec::new(),
        };
        for child in children {
            let child = *child;
            let index = index(child.known);
            let is_counted = job.counted.contains(child.number);
            if let Some(finished) = child.seen.and_then(|seen| seen.finished.as_ref()) {
                if !is_counted {
                    let (outcome, record) = (finished.outcome.clone(), Some(&finished.record));
                    pods.ended.push(Ended { child, index, outcome, record });
                }
                continue;
            }
            if !child.is_to_go() && !was_stopped(&child) {
                pods.active.push(Active { child, index });
                continue;
            }
            pods.going.push(index);
            if !child.is_to_go() {
                pods.stopped.push(child);
            }
            if is_counted || job.dismissed.contains(child.number) {
                continue;
            }
            match replacement {
                Replacement::TerminatingOrFailed => pods.deleted.push(child),
                Replacement::Failed => pods.ended.extend(departed(child, index)),
            }
        }
        pods.ended.sort_by_key(|pod| {
            let containers = pod.record.into_iter().flat_map(|record| &record.containers);
            (containers.filter_map(ended_at).max(), pod.child.number)
        });
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

/// How a pod that was told to go has ended, as the kubelet would have told it, once its process has left.
fn departed(child: Child<'_>, index: Option<u64>) -> Option<Ended<'_>> {
    let departed = child.seen.and_then(|seen| seen.departed.as_deref());
    let is_there = |seen: &PodObservation| match seen.process {
        ProcessObservation::Alive => true,
        ProcessObservation::Dead => seen.told.is_some() || seen.record.is_some(),
    };
    match departed {
        None if child.seen.is_some_and(is_there) => None,
        Some(Finished { record, .. }) => {
            Some(Ended { child, index, outcome: record.by_exits(), record: Some(record) })
        }
        None => {
            let outcome = Outcome::Failed { reason: String::new(), message: String::new() };
            Some(Ended { child, index, outcome, record: None })
        }
    }
}

/// A pod that nobody here has ended, and that is to stop for good, or has.
fn was_stopped(child: &Child<'_>) -> bool {
    let Some(seen) = child.seen else { return false };
    match seen.told.as_ref().map(|told| told.stop) {
        Some(Some(StopReason::Deleted)) => true,
        Some(Some(StopReason::Interrupted | StopReason::DeadlineExceeded) | None) => false,
        None => seen.departed.is_some(),
    }
}

/// Which part of an Indexed Job a pod is.
pub(crate) fn index_of(pod: &Pod) -> Option<u64> {
    pod.metadata.annotations.as_ref()?.get(INDEX)?.parse().ok()
}

pub(super) fn index(known: &Known) -> Option<u64> {
    match &*known.object {
        Object::Pod(pod) => index_of(pod),
        Object::ConfigMap(_)
        | Object::Secret(_)
        | Object::Namespace(_)
        | Object::Job(_)
        | Object::CronJob(_)
        | Object::Unserved { .. } => None,
    }
}
