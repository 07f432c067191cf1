//! When an `up` is over.
//!
//! ```text
//! Running ──all that end have ended, no image to be had, nothing can start, timeout, signal──▶ Stopping
//! Stopping ──no pod is left──▶ over        Stopping ──a second signal──▶ Stopping, at once
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::api::Object;
use crate::model::desired::{Blocked, DesiredPod, Want};
use crate::model::id::{PodId, Uid};
use crate::model::observed::ProcessObservation;
use crate::model::pod_plan::RestartPolicy;
use crate::model::record::StopReason;
use crate::model::time::Moment;
use crate::rundir::goal::{self, StopOrder};
use crate::status::{self, Course};

use super::pass::{Passed, Wish, World};

/// One word about one pod, each time it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) pod: PodId,
    /// kubectl's STATUS column.
    pub(crate) word: String,
}

/// How every pod of the batch ended, or where it stood.
#[derive(Debug, Default)]
pub(crate) struct BatchReport {
    pub(crate) pods: Vec<(PodId, Course)>,
}

/// Why a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BatchEnd {
    /// Every pod that ends by itself has ended.
    Completed,
    TimedOut,
    /// What is left cannot start for want of an image.
    NoImage,
    /// What is left cannot start for want of something it refers to.
    Blocked,
    Interrupted,
}

#[derive(Debug)]
pub(super) struct Batch {
    deadline: Option<Moment>,
    progress: mpsc::Sender<Progress>,
    words: BTreeMap<Uid, String>,
    /// The last that was seen of each pod, also after it has gone.
    courses: BTreeMap<Uid, (PodId, Course)>,
    stopping: Option<BatchEnd>,
}

impl Batch {
    pub(super) fn new(timeout: Option<Duration>, progress: mpsc::Sender<Progress>, now: Moment) -> Batch {
        Batch {
            deadline: timeout.map(|timeout| now + timeout),
            progress,
            words: BTreeMap::new(),
            courses: BTreeMap::new(),
            stopping: None,
        }
    }

    pub(super) fn wish(&self) -> Wish {
        if self.stopping.is_some() { Wish::AllGone } else { Wish::AsDeclared }
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.deadline.filter(|_| self.stopping.is_none())
    }

    /// The first signal stops with grace, each further one at once.
    pub(super) fn interrupt(&mut self, world: &World) {
        if self.stopping.is_none() {
            tracing::info!("interrupted, pods stop");
            self.stopping = Some(BatchEnd::Interrupted);
            return;
        }
        tracing::info!("interrupted again, pods are killed");
        for uid in self.courses.keys() {
            let order = StopOrder { why: StopReason::Deleted, grace: Some(0) };
            if let Err(error) = goal::order_stop(&world.hands.places.pod(uid), order) {
                tracing::warn!(%uid, %error, "pod not told to stop at once");
            }
        }
    }

    /// Takes over what a pass saw; tells the end once nothing is left.
    pub(super) fn follow(&mut self, world: &World, passed: &Passed, now: Moment) -> Option<BatchEnd> {
        for (uid, known) in world.inventory.objects() {
            let Object::Pod(pod) = &known.object else { continue };
            let course = passed.seen.course(uid);
            if self.stopping.is_some() && !self.is_news(uid, &course) {
                continue;
            }
            let mut pod = pod.clone();
            let host_ip = world.machine.host_ip.to_string();
            pod.status = Some(status::pod_status(&pod, &course, &host_ip));
            let word = status::status_word(&pod);
            let id = PodId {
                namespace: known.record.key.namespace.clone(),
                name: known.record.key.name.clone(),
                uid: uid.clone(),
            };
            if self.words.get(uid) != Some(&word) {
                self.words.insert(uid.clone(), word.clone());
                // A caller that reads too slowly misses a word; the report at the end has all.
                drop(self.progress.try_send(Progress { pod: id.clone(), word }));
            }
            self.courses.insert(uid.clone(), (id, course));
        }
        if self.stopping.is_none() {
            let timed_out = self.deadline.is_some_and(|deadline| now >= deadline);
            let finished =
                |uid: &Uid| passed.seen.observed.pods.get(uid).is_some_and(|pod| pod.finished.is_some());
            self.stopping = match verdict(&passed.desired.pods, finished) {
                // Why a pod waits was written down by this pass, and is seen by the next.
                Some(BatchEnd::NoImage | BatchEnd::Blocked) if passed.changed > 0 => None,
                Some(end) => Some(end),
                None => timed_out.then_some(BatchEnd::TimedOut),
            };
            // Stopping is for the next pass, which may find nothing left to stop.
            return None;
        }
        let there = passed
            .seen
            .observed
            .pods
            .values()
            .any(|pod| pod.process == ProcessObservation::Alive || pod.told.is_some());
        // A pod process lets go of its lock before it ends, and keeps the instance's cgroup busy until then.
        let ending = world.hands.children.pod_uids().next().is_some();
        self.stopping.filter(|_| !there && !ending)
    }

    /// Of a pod that stops: it goes and leaves nothing, and what was seen of it before is what there is to tell.
    fn is_news(&self, uid: &Uid, course: &Course) -> bool {
        if course.record.is_some() || course.finished.is_some() {
            return true;
        }
        // The verdict is passed on a wait that is seen by the pass after it.
        let has_run = self.courses.get(uid).is_some_and(|(_, before)| before.record.is_some());
        course.waiting.is_some() && !has_run
    }

    pub(super) fn report(self) -> (BatchReport, mpsc::Sender<Progress>) {
        (BatchReport { pods: self.courses.into_values().collect() }, self.progress)
    }
}

/// Whether a batch has nothing more to wait for.
pub(super) fn verdict(pods: &BTreeMap<Uid, DesiredPod>, finished: impl Fn(&Uid) -> bool) -> Option<BatchEnd> {
    let ends = |pod: &DesiredPod| pod.restart_policy != RestartPolicy::Always;
    let has_ending = pods.values().any(ends);
    // Endless pods are waited for only where there is nothing else.
    let awaited: Vec<&DesiredPod> = pods
        .iter()
        .filter(|(uid, pod)| ends(pod) == has_ending && !finished(uid))
        .map(|(_, pod)| pod)
        .collect();
    if awaited.is_empty() {
        return Some(BatchEnd::Completed);
    }
    let mut image = false;
    for pod in awaited {
        match &pod.want {
            Want::Run(_) | Want::Gone { .. } => return None,
            Want::Wait(why) => match obstacle(why)? {
                Obstacle::Image => image = true,
                Obstacle::Reference => {}
            },
        }
    }
    Some(if image { BatchEnd::NoImage } else { BatchEnd::Blocked })
}

/// What nobody will bring while the batch lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    Image,
    Reference,
}

/// `None` for a wait that ends by itself: a pull under way, an address to become free.
fn obstacle(why: &Blocked) -> Option<Obstacle> {
    let mut found = None;
    for waiting in why.containers.values() {
        match waiting.reason.as_str() {
            "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName" => {
                return Some(Obstacle::Image);
            }
            "CreateContainerConfigError" => found = Some(Obstacle::Reference),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::desired::Waiting;

    fn pod(number: u8, restart_policy: RestartPolicy, want: Want) -> (Uid, DesiredPod) {
        let uid = Uid::from_random([number; 16]);
        let id = PodId { namespace: "default".into(), name: format!("pod-{number}"), uid: uid.clone() };
        (uid, DesiredPod { id, restart_policy, want })
    }

    fn waits(reason: &str) -> Want {
        let waiting = Waiting { reason: reason.into(), message: String::new() };
        Want::Wait(Blocked { containers: BTreeMap::from([("main".into(), waiting)]), pod: None })
    }

    /// Stands for a pod that runs: the verdict looks at nothing else of its plan.
    fn runs() -> Want {
        Want::Gone { grace: None }
    }

    #[test]
    fn a_batch_is_over_when_all_that_ends_has_ended() {
        let pods = BTreeMap::from([
            pod(1, RestartPolicy::Never, runs()),
            pod(2, RestartPolicy::OnFailure, runs()),
            pod(3, RestartPolicy::Always, runs()),
        ]);
        let third = Uid::from_random([3; 16]);
        assert_eq!(verdict(&pods, |uid| *uid != third), Some(BatchEnd::Completed));
        assert_eq!(verdict(&pods, |_| false), None);
    }

    #[test]
    fn endless_pods_alone_run_until_a_signal() {
        let pods = BTreeMap::from([pod(1, RestartPolicy::Always, runs())]);
        assert_eq!(verdict(&pods, |_| false), None);
    }

    #[test]
    fn an_image_that_cannot_be_had_ends_a_batch_when_nothing_else_runs() {
        let mut pods = BTreeMap::from([
            pod(1, RestartPolicy::Never, waits("ErrImagePull")),
            pod(2, RestartPolicy::Never, runs()),
        ]);
        let second = Uid::from_random([2; 16]);
        assert_eq!(verdict(&pods, |_| false), None);
        assert_eq!(verdict(&pods, |uid| *uid == second), Some(BatchEnd::NoImage));
        pods.remove(&second);
        assert_eq!(verdict(&pods, |_| false), Some(BatchEnd::NoImage));
    }

    #[test]
    fn a_missing_config_map_ends_a_batch_and_a_pull_under_way_does_not() {
        let missing = BTreeMap::from([pod(1, RestartPolicy::Never, waits("CreateContainerConfigError"))]);
        assert_eq!(verdict(&missing, |_| false), Some(BatchEnd::Blocked));
        let pulling = BTreeMap::from([pod(1, RestartPolicy::Never, waits("ContainerCreating"))]);
        assert_eq!(verdict(&pulling, |_| false), None);
    }
}
