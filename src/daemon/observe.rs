//! Run directory, image store and leases → what a pass sees.
//!
//! Longer than other files: what is read of one pod is weighed against what was read of it a line before.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::api::Object;
use crate::image::store::{Store, file_name};
use crate::model::id::{PodId, Uid};
use crate::model::image::{ImageRef, PullRequest};
use crate::model::object::Known;
use crate::model::objects::Objects;
use crate::model::observed::{
    Finished, ImageObservation, Interrupted, Observed, PodObservation, ProcessObservation,
};
use crate::model::record::{Deaths, StartRecord, WaitingRecord};
use crate::paths::Places;
use crate::rundir::{lease, lock, objects, pods, pulls, starts};
use crate::sandbox::network::taken;
use crate::status::{self, Control, Course, Stage};
use crate::workload;

use super::execute::children::Children;
use super::folder::trust::Trust;

mod mended;
mod preload;
mod records;

use mended::is_mended;
use records::{OfPod, Records};

/// All that a pass sees; thinking is given `observed` alone.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) observed: Observed,
    pub(crate) waiting: BTreeMap<Uid, WaitingRecord>,
    /// Of the times before the pods' processes, and between them.
    pub(crate) starts: BTreeMap<Uid, StartRecord>,
    /// As `starts`, of pods that have ended.
    ended_starts: Arc<BTreeMap<Uid, StartRecord>>,
    pub(crate) interrupted: BTreeMap<Uid, Arc<Interrupted>>,
    /// Pods of which something may be otherwise than at the last sight.
    pub(crate) fresh: BTreeSet<Uid>,
    /// Pods that have ended and left nothing but their records, of those that have not come to rest.
    pub(crate) left: BTreeSet<Uid>,
    /// Pods of which nothing can be told for sure: they are neither started nor ended.
    pub(crate) unsure: BTreeSet<Uid>,
    /// What could not be read.
    pub(crate) failures: Vec<ObserveError>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ObserveError {
    #[error("cannot list the pods of the run directory")]
    Pods { source: io::Error },
    #[error("cannot list the address leases")]
    Leases { source: io::Error },
    #[error("cannot tell which ports of the machine are in use")]
    Ports { source: io::Error },
    #[error("cannot read the {what} of pod {pod}")]
    Pod { what: &'static str, pod: Uid, source: io::Error },
    #[error("cannot look up image {image} in the store")]
    Image { image: String, source: io::Error },
    #[error("cannot look for archives of images in {directory}")]
    Archives { directory: PathBuf, source: io::Error },
    #[error("no image is loaded from {path}: {why}")]
    Untrusted { path: PathBuf, why: String },
}

/// What need not be read again at each pass.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    ends: Ends,
    records: Records,
}

impl Memory {
    /// Their objects are gone.
    pub(crate) fn forget<'a>(&mut self, uids: impl Iterator<Item = &'a Uid>) {
        self.ends.forget(uids);
    }
}

/// Pods that have ended and left the run directory: what is on disc of them changes no more, and is read once.
#[derive(Debug, Default)]
struct Ends {
    pods: Arc<BTreeMap<Uid, PodObservation>>,
    starts: Arc<BTreeMap<Uid, StartRecord>>,
}

impl Ends {
    fn keep(&mut self, uid: &Uid, pod: PodObservation, start: Option<StartRecord>) {
        // What was seen at an earlier pass, and shares them, is not looked at any more.
        Arc::make_mut(&mut self.pods).insert(uid.clone(), pod);
        if let Some(start) = start {
            Arc::make_mut(&mut self.starts).insert(uid.clone(), start);
        }
    }

    fn forget<'a>(&mut self, uids: impl Iterator<Item = &'a Uid>) {
        for uid in uids.filter(|uid| self.pods.contains_key(*uid)).collect::<Vec<_>>() {
            Arc::make_mut(&mut self.pods).remove(uid);
            Arc::make_mut(&mut self.starts).remove(uid);
        }
    }
}

/// # Errors
/// If it cannot be told which pods there are: nothing may be started or ended on such a sight.
pub(crate) fn observe(
    places: &Places,
    store: &Store,
    known: &Objects,
    children: &Children,
    trust: Trust,
    memory: &mut Memory,
) -> Result<Seen, ObserveError> {
    let Memory { ends, records } = memory;
    let mut seen = Seen::default();
    let directories = pods::list(places).map_err(|source| ObserveError::Pods { source })?;
    seen.observed.leases = lease::all(places).map_err(|source| ObserveError::Leases { source })?;
    let with_directory: BTreeSet<&Uid> = directories.iter().collect();
    records.keep_only(&with_directory);
    for uid in &directories {
        let records = records.of(uid);
        seen.look_back(uid, records.start(places, uid));
        let pod = observe_pod(places, known, uid, records, &mut seen).map(Some);
        seen.take(uid, pod);
    }
    let pods = known.pods().map(|known| &known.record.uid);
    for uid in pods.filter(|uid| !with_directory.contains(uid)) {
        if ends.pods.contains_key(uid) {
            seen.left.insert(uid.clone());
            continue;
        }
        seen.look_back(uid, starts::read(places, uid));
        let interrupted = readable(objects::interrupted_of(places, uid), "interruption", uid, &mut seen);
        seen.interrupted.extend(interrupted.map(|interrupted| (uid.clone(), Arc::new(interrupted))));
        let pod = observe_absent(places, known, uid, &mut seen);
        seen.fresh.insert(uid.clone());
        match pod {
            Ok(Some(pod)) if pod.finished.is_some() => {
                ends.keep(uid, pod, seen.starts.remove(uid));
                seen.left.insert(uid.clone());
            }
            pod => seen.take(uid, pod),
        }
    }
    seen.observed.ended = Arc::clone(&ends.pods);
    seen.ended_starts = Arc::clone(&ends.starts);
    seen.fresh.extend(directories.iter().cloned());
    let waits = |uid: &&Uid| {
        let pod = seen.observed.pod(uid);
        pod.is_none_or(|pod| pod.process == ProcessObservation::Dead && pod.finished.is_none())
    };
    if workload::with_host_ports(known).iter().any(waits) {
        match taken::taken(&places.id) {
            Ok(taken) => seen.observed.taken = taken,
            Err(source) => seen.failures.push(ObserveError::Ports { source }),
        }
    }
    let sought = observe_images(places, store, known, children, &mut seen);
    preload::observe(places, store, &sought, children, trust, &mut seen);
    Ok(seen)
}

/// A pod that has a directory. What of it cannot be read is told, and counts as not there: the lock alone says
/// whether it lives.
fn observe_pod(
    places: &Places,
    known: &Objects,
    uid: &Uid,
    records: &mut OfPod,
    seen: &mut Seen,
) -> Result<PodObservation, ObserveError> {
    let alive = lock::is_held(&places.pod(uid).lock()).map_err(|source| failed("lock", uid, source))?;
    let told = readable(records.told(places, uid), "goal", uid, seen);
    let record = readable(records.state(places, uid), "state", uid, seen);
    let waiting = readable(records.waiting(places, uid), "waiting record", uid, seen);
    let finished = finished_of(places, uid)?;
    // It may have left since the directories were listed: what it told last is there by now.
    let has_left = !alive && told.is_none() && record.is_none();
    let departed = if has_left { departed_of(places, uid, seen) } else { None };
    let id = told
        .as_ref()
        .map(|told| &told.plan.id)
        .or(record.as_ref().map(|record| &record.id))
        .or(finished.as_ref().map(|finished| &finished.record.id))
        .or(waiting.as_ref().map(|waiting| &waiting.id))
        .cloned()
        .unwrap_or_else(|| name_of(known, uid));
    if let Some(told) = &told
        && !told.plan.host_ports.is_empty()
    {
        seen.observed.ports.insert(uid.clone(), told.plan.host_ports.clone());
    }
    if let Some(waiting) = waiting {
        seen.waiting.insert(uid.clone(), waiting);
    }
    Ok(PodObservation {
        namespace: id.namespace,
        name: id.name,
        told,
        process: if alive { ProcessObservation::Alive } else { ProcessObservation::Dead },
        record,
        finished,
        departed,
        launched_in: launched_in(places, uid)?,
        deaths: seen.deaths(uid),
    })
}

/// A pod of which only the state directory tells, if it does.
fn observe_absent(
    places: &Places,
    known: &Objects,
    uid: &Uid,
    seen: &mut Seen,
) -> Result<Option<PodObservation>, ObserveError> {
    let finished = finished_of(places, uid)?;
    let departed = departed_of(places, uid, seen);
    let launched_in = launched_in(places, uid)?;
    let deaths = seen.deaths(uid);
    if finished.is_none() && departed.is_none() && launched_in.is_none() && deaths.is_none() {
        return Ok(None);
    }
    let PodId { namespace, name, .. } = name_of(known, uid);
    Ok(Some(PodObservation {
        namespace,
        name,
        told: None,
        process: ProcessObservation::Dead,
        record: None,
        finished,
        departed,
        launched_in,
        deaths,
    }))
}

/// An end that cannot be read is none to pass over: the pod would run again.
fn finished_of(places: &Places, uid: &Uid) -> Result<Option<Arc<Finished>>, ObserveError> {
    let finished = objects::finished_of(places, uid).map_err(|source| failed("end", uid, source))?;
    Ok(finished.map(Arc::new))
}

fn departed_of(places: &Places, uid: &Uid, seen: &mut Seen) -> Option<Arc<Finished>> {
    readable(objects::departed_of(places, uid), "departure", uid, seen).map(Arc::new)
}

fn launched_in(places: &Places, uid: &Uid) -> Result<Option<String>, ObserveError> {
    objects::launched_in(places, uid).map_err(|source| failed("launch mark", uid, source))
}

fn failed(what: &'static str, uid: &Uid, source: io::Error) -> ObserveError {
    ObserveError::Pod { what, pod: uid.clone(), source }
}

fn readable<T>(read: io::Result<Option<T>>, what: &'static str, uid: &Uid, seen: &mut Seen) -> Option<T> {
    read.unwrap_or_else(|source| {
        seen.failures.push(failed(what, uid, source));
        None
    })
}

/// A directory that tells no name, of a launch cut short, goes by its object's name or by its UID.
fn name_of(known: &Objects, uid: &Uid) -> PodId {
    let key = known.get(uid).map(|known| &known.record.key);
    PodId {
        namespace: key.map(|key| key.namespace.clone()).unwrap_or_default(),
        name: key.map_or_else(|| uid.to_string(), |key| key.name.clone()),
        uid: uid.clone(),
    }
}

/// Tells which images are absent and in nobody's making, with the directories of the manifests that name them.
fn observe_images(
    places: &Places,
    store: &Store,
    known: &Objects,
    children: &Children,
    seen: &mut Seen,
) -> BTreeMap<ImageRef, BTreeSet<PathBuf>> {
    let mut sought = BTreeMap::new();
    for (image, beside) in workload::images_named(known) {
        match observe_image(places, store, &image, children) {
            Ok(found) => {
                if let None | Some(ImageObservation::Failed { stale: None, .. }) = found {
                    sought.insert(image.clone(), beside);
                }
                seen.observed.images.extend(found.map(|found| (image, found)));
            }
            Err(source) => {
                seen.failures.push(ObserveError::Image { image: image.to_string(), source });
            }
        }
    }
    sought
}

fn observe_image(
    places: &Places,
    store: &Store,
    image: &ImageRef,
    children: &Children,
) -> io::Result<Option<ImageObservation>> {
    if children.is_pulling(&PullRequest::Image(image.clone())) {
        return Ok(Some(ImageObservation::Pulling));
    }
    let stored = match store.find(image)? {
        // The archive holds something else by now; pods that run keep what they were made from.
        Some(stored) if Store::is_stale(&stored)? => None,
        found => found,
    };
    let failed = pulls::read(places, &file_name(image))?.filter(|failed| !is_mended(image, failed));
    Ok(match (failed, stored) {
        (Some(failed), stored) => Some(ImageObservation::Failed {
            error: failed.error,
            retry_at: failed.retry_at,
            stale: stored.map(|stored| stored.image),
        }),
        (None, Some(stored)) => {
            Some(ImageObservation::Present { image: stored.image, resolved_at: stored.resolved_at })
        }
        (None, None) => None,
    })
}

impl Seen {
    pub(crate) fn is_alive(&self, pod: &Uid) -> bool {
        let seen = self.observed.pod(pod);
        seen.is_some_and(|pod| pod.process == ProcessObservation::Alive)
    }

    fn take(&mut self, uid: &Uid, pod: Result<Option<PodObservation>, ObserveError>) {
        match pod {
            Ok(Some(pod)) => {
                self.observed.pods.insert(uid.clone(), pod);
            }
            Ok(None) => {}
            Err(failure) => {
                self.unsure.insert(uid.clone());
                self.failures.push(failure);
            }
        }
    }

    /// What is remembered of a pod from the times when it had no process.
    fn look_back(&mut self, uid: &Uid, start: io::Result<Option<StartRecord>>) {
        let start = readable(start, "start record", uid, self);
        self.starts.extend(start.map(|start| (uid.clone(), start)));
    }

    fn deaths(&self, uid: &Uid) -> Option<Deaths> {
        self.starts.get(uid).and_then(|start| start.deaths.clone())
    }

    /// What is known of any object's course, for reports.
    pub(crate) fn course_of(&self, known: &Known, controls: &BTreeMap<Uid, Control>) -> Course {
        let control = controls.get(&known.record.uid).cloned();
        match *known.object {
            Object::Pod(_) => self.course(&known.record.uid),
            Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Namespace(_)
            | Object::Job(_)
            | Object::CronJob(_)
            | Object::Unserved { .. } => Course { control, ..Course::default() },
        }
    }

    /// How far a pod has come.
    pub(crate) fn stage(&self, uid: &Uid) -> Stage {
        match self.observed.pod(uid) {
            Some(PodObservation { finished: Some(_), .. }) => Stage::Ended,
            Some(PodObservation { record: Some(record), .. }) => status::stage(record),
            Some(_) | None => Stage::Unready,
        }
    }

    /// What is known of a pod's course, for reports.
    pub(crate) fn course(&self, uid: &Uid) -> Course {
        let pod = self.observed.pod(uid);
        let start = self.starts.get(uid).or_else(|| self.ended_starts.get(uid));
        let lost = pod.is_some_and(|pod| {
            pod.told.is_some() && pod.process == ProcessObservation::Dead && pod.finished.is_none()
        });
        Course {
            record: pod.and_then(|pod| pod.record.clone()),
            waiting: self.waiting.get(uid).cloned(),
            events: start.map(|start| start.events.clone()).unwrap_or_default(),
            finished: pod.and_then(|pod| pod.finished.clone()),
            departed: pod.and_then(|pod| pod.departed.clone()),
            interrupted: self.interrupted.get(uid).cloned(),
            lost,
            control: None,
        }
    }
}
