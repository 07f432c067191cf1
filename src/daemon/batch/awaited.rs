//! What a batch waits for, and when that is in vain.

use std::collections::BTreeMap;

use crate::api::Object;
use crate::model::control::Controlled;
use crate::model::desired::{Blocked, Cause, DesiredPod, Want};
use crate::model::id::{PodId, Uid};
use crate::model::object::Known;
use crate::model::objects::Objects;
use crate::model::observed::ImageObservation;
use crate::model::time::Moment;

use super::BatchEnd;

pub(super) struct Awaited<'a> {
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
pub(super) fn awaited<'a>(
    objects: &Objects,
    controlled: &Controlled,
    pods: &'a BTreeMap<Uid, DesiredPod>,
    finished: impl Fn(&Uid) -> bool,
) -> Awaited<'a> {
    let wanted = if objects.declared().any(|known| nature(known) == Some(Nature::Ending)) {
        Nature::Ending
    } else {
        Nature::Endless
    };
    let mut made: BTreeMap<&Uid, Vec<&DesiredPod>> = BTreeMap::new();
    for (uid, pod) in pods {
        if let Some(owner) = objects.get(uid).and_then(|known| known.record.owner.as_ref())
            && !finished(uid)
        {
            made.entry(&owner.uid).or_default().push(pod);
        }
    }
    let mut awaited = Awaited { pods: Vec::new(), rest: Rest::Nothing };
    for known in objects.declared().filter(|known| nature(known) == Some(wanted)) {
        let uid = &known.record.uid;
        match &*known.object {
            Object::Job(_) => {
                let has_ended = controlled.jobs.get(uid).is_some_and(|record| record.finished.is_some());
                let own = made.remove(uid).unwrap_or_default();
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
    match &*known.object {
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

/// Whether pulls that failed for now are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pulls {
    MayCome,
    GivenUp,
}

/// Tries of a pull where nobody has said for how long to try.
const TRIES: u32 = 5;

/// Until the batch's own time is over, or else for as long as one has not been tried often enough.
pub(super) fn pulls<'a>(
    deadline: Option<Moment>,
    mut images: impl Iterator<Item = &'a ImageObservation>,
) -> Pulls {
    let may_come = |image: &ImageObservation| match image {
        ImageObservation::Failed { error, .. } => error.tries < TRIES,
        ImageObservation::Present { .. } | ImageObservation::Pulling | ImageObservation::Preloading => false,
    };
    if deadline.is_some() || images.any(may_come) { Pulls::MayCome } else { Pulls::GivenUp }
}

/// Whether a batch has nothing more to wait for. A pod that `lives` is not ended, whatever a new one in its place would wait for.
pub(super) fn verdict(awaited: &Awaited<'_>, lives: impl Fn(&Uid) -> bool, pulls: Pulls) -> Option<BatchEnd> {
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
            Want::Wait { .. } if lives(&pod.id.uid) => return None,
            Want::Wait { why, .. } => match obstacle(why, pulls)? {
                Obstacle::Image => image = true,
                Obstacle::Reference => {}
            },
        }
    }
    Some(if image { BatchEnd::NoImage } else { BatchEnd::Blocked })
}

/// What nobody will bring while the batch lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle {
    Image,
    Reference,
}

/// `None` for a wait that ends by itself: a pull under way or to be tried again, an address to become free.
fn obstacle(why: &Blocked, pulls: Pulls) -> Option<Obstacle> {
    let mut obstacle = None;
    for waiting in why.pod.iter().chain(why.containers.values()) {
        match (waiting.cause, pulls) {
            (Cause::Image | Cause::Refused, _) | (Cause::Pull, Pulls::GivenUp) => {
                return Some(Obstacle::Image);
            }
            (Cause::Manifest, _) => obstacle = Some(Obstacle::Reference),
            (Cause::Passing, _) | (Cause::Pull, Pulls::MayCome) => {}
        }
    }
    obstacle
}

/// The first pod that will never start, whatever goes on beside it, and why: a pull that failed for now may succeed at
/// the next try, but the files are read once, and nobody brings what no file declares.
pub(super) fn hopeless(
    pods: &BTreeMap<Uid, DesiredPod>,
    lives: impl Fn(&Uid) -> bool,
) -> Option<(Obstacle, &PodId, String)> {
    pods.values().filter(|pod| !lives(&pod.id.uid)).find_map(|pod| {
        let Want::Wait { why, .. } = &pod.want else { return None };
        let of_pod = why.pod.iter().filter_map(|why| Some((never(why.cause)?, why.to_string())));
        let of_containers = why.containers.iter().filter_map(|(container, why)| {
            Some((never(why.cause)?, format!("container {container}: {why}")))
        });
        let (obstacle, why) = of_pod.chain(of_containers).next()?;
        Some((obstacle, &pod.id, why))
    })
}

fn never(cause: Cause) -> Option<Obstacle> {
    match cause {
        Cause::Image | Cause::Refused => Some(Obstacle::Image),
        Cause::Manifest => Some(Obstacle::Reference),
        Cause::Passing | Cause::Pull => None,
    }
}
