//! When an `up` is over.
//!
//! ```text
//! Running ──all that end have ended, no image to be had, nothing can start, timeout, signal──▶ Stopping
//! Stopping ──no pod is left──▶ over        Stopping ──a second signal──▶ Stopping, at once
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::api::Object;
use crate::model::control::Controlled;
use crate::model::desired::{Blocked, DesiredPod, Want};
use crate::model::id::{PodId, Uid};
use crate::model::job::{JobRecord, Verdict};
use crate::model::object::{Known, ObjectKey};
use crate::model::observed::ProcessObservation;
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
    pub(crate) jobs: Vec<JobReport>,
    /// Pods whose failure is for their Job to judge.
    pub(crate) made: BTreeSet<Uid>,
}

/// How a Job ended, or where it stood.
#[derive(Debug)]
pub(crate) struct JobReport {
    pub(crate) key: ObjectKey,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
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
    jobs: Vec<JobReport>,
    made: BTreeSet<Uid>,
    stopping: Option<BatchEnd>,
}

impl Batch {
    pub(super) fn new(timeout: Option<Duration>, progress: mpsc::Sender<Progress>, now: Moment) -> Batch {
        Batch {
            deadline: timeout.map(|timeout| now + timeout),
            progress,
            words: BTreeMap::new(),
            courses: BTreeMap::new(),
            jobs: Vec::new(),
            made: BTreeSet::new(),
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
            if known.record.owner.is_some() {
                self.made.insert(uid.clone());
            }
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
            self.jobs = job_reports(world);
            let timed_out = self.deadline.is_some_and(|deadline| now >= deadline);
            let finished =
                |uid: &Uid| passed.seen.observed.pods.get(uid).is_some_and(|pod| pod.finished.is_some());
            let (objects, controlled) = (world.inventory.objects(), world.inventory.controlled());
            let awaited = awaited(objects, controlled, &passed.desired.pods, finished);
            self.stopping = match verdict(&awaited) {
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
        let report =
            BatchReport { pods: self.courses.into_values().collect(), jobs: self.jobs, made: self.made };
        (report, self.progress)
    }
}

/// Of the Jobs that files declare.
fn job_reports(world: &World) -> Vec<JobReport> {
    let nothing = JobRecord::default();
    let inventory = &world.inventory;
    let jobs = inventory
        .objects()
        .iter()
        .filter(|(_, known)| known.is_declared() && matches!(known.object, Object::Job(_)));
    jobs.map(|(uid, known)| {
        let record = inventory.controlled().jobs.get(uid).unwrap_or(&nothing);
        let succeeded = record.succeeded + record.completed.len();
        let (key, verdict) = (known.record.key.clone(), record.verdict.clone());
        JobReport { key, verdict, succeeded, failed: record.failed }
    })
    .collect()
}

/// What a batch waits for.
struct Awaited<'a> {
    pods: Vec<&'a DesiredPod>,
    rest: Rest,
}

/// What goes on besides the pods that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Nothing,
    /// A Job that will make pods, or a CronJob.
    Something,
}

/// Endless objects are waited for only where there is nothing else.
fn awaited<'a>(
    objects: &BTreeMap<Uid, Known>,
    controlled: &Controlled,
    pods: &'a BTreeMap<Uid, DesiredPod>,
    finished: impl Fn(&Uid) -> bool,
) -> Awaited<'a> {
    let declared = || objects.iter().filter(|(_, known)| known.is_declared());
    let wanted = if declared().any(|(_, known)| nature(known) == Some(Nature::Ending)) {
        Nature::Ending
    } else {
        Nature::Endless
    };
    let mut awaited = Awaited { pods: Vec::new(), rest: Rest::Nothing };
    for (uid, known) in declared().filter(|(_, known)| nature(known) == Some(wanted)) {
        match &known.object {
            Object::Job(_) => {
                let has_ended = controlled.jobs.get(uid).is_some_and(|record| record.finished.is_some());
                let made =
                    |known: &&Known| known.record.owner.as_ref().is_some_and(|owner| owner.uid == *uid);
                let own = objects.values().filter(made).map(|known| &known.record.uid);
                let own: Vec<&DesiredPod> =
                    own.filter(|uid| !finished(uid)).filter_map(|uid| pods.get(uid)).collect();
                if !has_ended && own.is_empty() {
                    awaited.rest = Rest::Something;
                }
                awaited.pods.extend(own);
            }
            Object::CronJob(_) => awaited.rest = Rest::Something,
            Object::Pod(_)
            | Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Namespace(_)
            | Object::Unserved { .. } => awaited.pods.extend(pods.get(uid).filter(|_| !finished(uid))),
        }
    }
    awaited
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    Ending,
    Endless,
}

/// Whether an object comes to an end by itself; `None` for one that nothing runs for.
fn nature(known: &Known) -> Option<Nature> {
    match &known.object {
        Object::Pod(pod) => {
            let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
            Some(if policy == Some("Always") { Nature::Endless } else { Nature::Ending })
        }
        Object::Job(job) => {
            let is_suspended = job.spec.as_ref().is_some_and(|spec| spec.suspend == Some(true));
            Some(if is_suspended { Nature::Endless } else { Nature::Ending })
        }
        Object::CronJob(_) => Some(Nature::Endless),
        Object::ConfigMap(_) | Object::Secret(_) | Object::Namespace(_) | Object::Unserved { .. } => None,
    }
}

/// Whether a batch has nothing more to wait for.
fn verdict(awaited: &Awaited<'_>) -> Option<BatchEnd> {
    if awaited.rest == Rest::Something {
        return None;
    }
    if awaited.pods.is_empty() {
        return Some(BatchEnd::Completed);
    }
    let mut image = false;
    for pod in &awaited.pods {
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
mod tests;
