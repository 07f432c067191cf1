//! When an `up` is over.
//!
//! ```text
//! Running ──all that end have ended, no image to be had, nothing can start, timeout, signal──▶ Stopping
//! Stopping ──no pod is left──▶ over        Stopping ──a second signal──▶ Stopping, at once
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::sync::mpsc;

use crate::api::Object;
use crate::model::id::{PodId, Uid};
use crate::model::job::JobRecord;
use crate::model::object::{Known, ObjectKey, ObjectRecord, Owner};
use crate::model::observed::ProcessObservation;
use crate::model::record::StopReason;
use crate::model::time::{Moment, Now};
use crate::rundir::goal::{self, StopOrder};
use crate::status::{self, Course};
use crate::workload;

use super::pass::{Passed, Wish, World};

mod awaited;
mod standing;

pub(crate) use awaited::Obstacle;
use awaited::{awaited, hopeless, pulls, verdict};
pub(crate) use standing::{CronStanding, ImageStanding, JobStanding, Standing};

/// What there is to tell while a batch goes on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum News {
    Pod(Box<Progress>),
    Whole(Standing),
}

/// What is known of one pod, each time that it changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Progress {
    pub(crate) pod: PodId,
    /// kubectl's STATUS column.
    pub(crate) word: String,
    pub(crate) course: Course,
}

/// How every pod of the batch ended, or where it stood: those of one owner in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct BatchReport {
    pub(crate) pods: Vec<PodReport>,
    pub(crate) jobs: Vec<JobReport>,
    /// The pod that was not waited for any longer, and why.
    pub(crate) hopeless: Option<(PodId, String)>,
}

#[derive(Debug)]
pub(crate) struct PodReport {
    pub(crate) pod: PodId,
    pub(crate) course: Course,
    /// Its failure is for the Job to judge that made it.
    pub(crate) owner: Option<Owner>,
    /// Which part of an Indexed Job it is.
    pub(crate) index: Option<u64>,
    /// Its object, of a pod that was told to stop: that goes with it.
    pub(crate) object: Option<Box<ObjectRecord>>,
}

/// How a Job ended, or where it stood.
#[derive(Debug)]
pub(crate) struct JobReport {
    pub(crate) uid: Uid,
    pub(crate) key: ObjectKey,
    pub(crate) record: JobRecord,
    /// How many indexes it has, if it is Indexed.
    pub(crate) indexes: Option<u64>,
    pub(crate) completions: Option<u64>,
}

impl JobReport {
    pub(crate) fn succeeded(&self) -> u64 {
        self.record.succeeded + self.record.completed.len()
    }
}

/// Why a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BatchEnd {
    /// Every pod that ends by itself has ended.
    Completed,
    TimedOut,
    /// No pod ran in time.
    NotRunning,
    /// What is left cannot start for want of an image.
    NoImage,
    /// What is left cannot start for want of something it refers to.
    Blocked,
    /// Something will never start, and that was not to be waited for while others run.
    Hopeless(Obstacle),
    Interrupted,
}

/// Whether what will never start ends what can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Not as long as something else goes on.
    WithOthers,
    FailFast,
}

/// What a batch is given.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) timeout: Option<Duration>,
    /// By when the first pod has to run.
    pub(crate) start: Option<Duration>,
    pub(crate) patience: Patience,
    pub(crate) news: mpsc::Sender<News>,
}

#[derive(Debug)]
pub(super) struct Batch {
    deadline: Option<Moment>,
    /// Until one has run.
    start_by: Option<Moment>,
    patience: Patience,
    news: mpsc::Sender<News>,
    /// The last that was told of it.
    standing: Standing,
    /// The last that was seen of each pod, also after it has gone.
    pods: BTreeMap<Uid, PodReport>,
    jobs: Vec<JobReport>,
    hopeless: Option<(PodId, String)>,
    stopping: Option<BatchEnd>,
}

impl Batch {
    pub(super) fn new(terms: Terms, now: Moment) -> Batch {
        let Terms { timeout, start, patience, news } = terms;
        Batch {
            deadline: timeout.map(|timeout| now + timeout),
            start_by: start.map(|start| now + start),
            patience,
            news,
            standing: Standing::default(),
            pods: BTreeMap::new(),
            jobs: Vec::new(),
            hopeless: None,
            stopping: None,
        }
    }

    pub(super) fn wish(&self) -> Wish {
        if self.stopping.is_some() { Wish::AllGone } else { Wish::AsDeclared }
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        let deadline = self.deadline.into_iter().chain(self.start_by).min();
        deadline.filter(|_| self.stopping.is_none())
    }

    /// The first signal stops with grace, each further one at once.
    pub(super) fn interrupt(&mut self, world: &World) {
        if self.stopping.is_none() {
            tracing::info!("interrupted, pods stop");
            self.stopping = Some(BatchEnd::Interrupted);
            return;
        }
        tracing::info!("interrupted again, pods are killed");
        for uid in self.pods.keys() {
            let order = StopOrder { why: StopReason::Deleted, grace: Some(0) };
            if let Err(error) = goal::order_stop(&world.hands.places.pod(uid), order) {
                tracing::warn!(%uid, %error, "pod not told to stop at once");
            }
        }
    }

    /// Takes over what a pass saw; tells the end once nothing is left.
    pub(super) fn follow(&mut self, world: &World, passed: &Passed, now: Now) -> Option<BatchEnd> {
        let objects = world.inventory.objects();
        // One that has come to rest was looked at when it did.
        let there: BTreeSet<&Uid> = passed.desired.pods.keys().chain(&passed.seen.fresh).collect();
        for (uid, known) in there.into_iter().filter_map(|uid| Some((uid, objects.get(uid)?))) {
            self.note(uid, known, world, passed, now);
        }
        if self.stopping.is_none() {
            self.jobs = job_reports(world);
            self.tell_standing(world, passed, now);
            self.stopping = self.judge(world, passed, now.boot);
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

    fn note(&mut self, uid: &Uid, known: &Known, world: &World, passed: &Passed, now: Now) {
        let Object::Pod(pod) = &*known.object else { return };
        let is_to_go = self.stopping.is_some() || known.record.deletion.is_some();
        let mut report = self.pods.get_mut(uid);
        let before = report.as_ref().map(|report| &report.course);
        // An end changes no more.
        if before.is_some_and(|before| before.finished.is_some()) {
            return;
        }
        let course = passed.seen.course(uid);
        let nothing_new = before == Some(&course) || (is_to_go && !is_news(before, &course));
        let object = || is_to_go.then(|| Box::new(known.record.clone()));
        if let Some(report) = report.as_mut().filter(|report| report.object.is_none()) {
            report.object = object();
        }
        if nothing_new {
            return;
        }
        let mut pod = pod.clone();
        // One that waits to be started tells what for.
        if is_to_go && course.record().is_some() {
            pod.metadata.deletion_timestamp = Some(Time(now.wall));
        }
        let status = status::pod_status(&pod, &course, &world.machine.host_ip.to_string());
        if status.phase.as_deref() != Some("Pending") {
            self.start_by = None;
        }
        pod.status = Some(status);
        let key = &known.record.key;
        let id = PodId { namespace: key.namespace.clone(), name: key.name.clone(), uid: uid.clone() };
        let progress = Progress { pod: id.clone(), word: status::status_word(&pod), course: course.clone() };
        // A caller that reads too slowly misses a step; the report at the end has all.
        drop(self.news.try_send(News::Pod(Box::new(progress))));
        let index = workload::index_of(&pod);
        let report =
            PodReport { pod: id, course, owner: known.record.owner.clone(), index, object: object() };
        self.pods.insert(uid.clone(), report);
    }

    fn tell_standing(&mut self, world: &World, passed: &Passed, now: Now) {
        let standing = standing::of(&self.jobs, world, passed, now);
        // What was not taken is told again by the next pass.
        if standing != self.standing && self.news.try_send(News::Whole(standing.clone())).is_ok() {
            self.standing = standing;
        }
    }

    /// Whether there is nothing more to wait for.
    fn judge(&mut self, world: &World, passed: &Passed, now: Moment) -> Option<BatchEnd> {
        let finished = |uid: &Uid| passed.seen.observed.pod(uid).is_some_and(|pod| pod.finished.is_some());
        let (objects, controlled) = (world.inventory.objects(), world.inventory.controlled());
        let desired = &passed.desired.pods;
        let pulls = pulls(self.deadline, passed.seen.observed.images.values());
        let lives = |uid: &Uid| passed.seen.is_alive(uid);
        let mut end = verdict(&awaited(objects, controlled, desired, finished), lives, pulls);
        if end.is_none()
            && self.patience == Patience::FailFast
            && let Some((obstacle, pod, why)) = hopeless(desired, lives)
        {
            self.hopeless = Some((pod.clone(), why));
            end = Some(BatchEnd::Hopeless(obstacle));
        }
        let is_past = |deadline: Option<Moment>| deadline.is_some_and(|deadline| now >= deadline);
        let late = is_past(self.start_by).then_some(BatchEnd::NotRunning);
        let late = late.or(is_past(self.deadline).then_some(BatchEnd::TimedOut));
        match end {
            // Why a pod waits was written down by this pass, and is seen by the next.
            Some(BatchEnd::NoImage | BatchEnd::Blocked | BatchEnd::Hopeless(_)) if passed.changed > 0 => None,
            Some(end) => Some(end),
            None => late,
        }
    }

    /// What was seen of each pod last.
    pub(super) fn courses(&self) -> BTreeMap<Uid, Course> {
        self.pods.iter().map(|(uid, report)| (uid.clone(), report.course.clone())).collect()
    }

    pub(super) fn report(self) -> BatchReport {
        let Batch { pods, jobs, hopeless, .. } = self;
        BatchReport::new(pods.into_values().collect(), jobs, hopeless)
    }
}

impl BatchReport {
    fn new(
        mut pods: Vec<PodReport>,
        mut jobs: Vec<JobReport>,
        hopeless: Option<(PodId, String)>,
    ) -> BatchReport {
        pods.sort_by(|a, b| {
            let made = |one: &PodReport| one.owner.as_ref().map(|owner| (owner.uid.clone(), owner.number));
            let (a_key, b_key) = ((&a.pod.namespace, made(a)), (&b.pod.namespace, made(b)));
            a_key.cmp(&b_key).then_with(|| a.pod.name.cmp(&b.pod.name))
        });
        jobs.sort_by(|a, b| a.key.cmp(&b.key));
        BatchReport { pods, jobs, hopeless }
    }
}

/// Of a pod that stops: in the end its object goes, and what was seen of it before is what there is to tell.
fn is_news(before: Option<&Course>, course: &Course) -> bool {
    if course.record().is_some() {
        return true;
    }
    // The verdict is passed on a wait that is seen by the pass after it.
    course.waiting.is_some() && before.is_none_or(|before| before.record.is_none())
}

/// Of the Jobs that files declare.
fn job_reports(world: &World) -> Vec<JobReport> {
    let inventory = &world.inventory;
    let declared = inventory.objects().makers().filter(|known| known.is_declared());
    let jobs = declared.filter_map(|known| {
        let (uid, Object::Job(job)) = (&known.record.uid, &*known.object) else { return None };
        let spec = job.spec.as_ref();
        let indexed = spec.filter(|spec| spec.completion_mode.as_deref() == Some("Indexed"));
        let indexes = indexed.and_then(|spec| u64::try_from(spec.completions?).ok());
        let completions = spec.and_then(|spec| u64::try_from(spec.completions?).ok());
        let record = inventory.controlled().jobs.get(uid).cloned().unwrap_or_default();
        Some(JobReport { uid: uid.clone(), key: known.record.key.clone(), record, indexes, completions })
    });
    let mut jobs: Vec<JobReport> = jobs.collect();
    jobs.sort_by(|a, b| a.key.cmp(&b.key));
    jobs
}

#[cfg(test)]
mod tests;
