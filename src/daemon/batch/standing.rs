//! What goes on besides the pods: Jobs, CronJobs and the images that are not there.

use std::collections::BTreeMap;

use crate::api::Object;
use crate::model::job::Present;
use crate::model::object::{Known, ObjectKey};
use crate::model::observed::{ImageObservation, PullError};
use crate::model::time::{Moment, Now, Timestamp};
use crate::workload::{self, Retry};

use super::{JobReport, Passed, World};

/// What is known of the rest, each time that it changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Standing {
    /// That have not ended.
    pub(crate) jobs: Vec<JobStanding>,
    pub(crate) crons: Vec<CronStanding>,
    /// That are on their way, or were not to be had.
    pub(crate) images: BTreeMap<String, ImageStanding>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobStanding {
    pub(crate) key: ObjectKey,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// How many have to succeed, where that is a number.
    pub(crate) completions: Option<u64>,
    /// While what has failed rests.
    pub(crate) retry: Option<Retry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CronStanding {
    pub(crate) key: ObjectKey,
    /// None while it is suspended.
    pub(crate) next: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImageStanding {
    Coming,
    Failed { error: PullError, retry_at: Moment },
}

pub(super) fn of(jobs: &[JobReport], world: &World, passed: &Passed, now: Now) -> Standing {
    let present = Present { now, boot_id: &world.machine.boot_id };
    let retry = |job: &JobReport| match &*world.inventory.objects().get(&job.uid)?.object {
        Object::Job(known) => workload::retry(known.spec.as_ref()?, &job.record, present),
        Object::Pod(_)
        | Object::ConfigMap(_)
        | Object::Secret(_)
        | Object::Namespace(_)
        | Object::CronJob(_)
        | Object::Unserved { .. } => None,
    };
    let going_on = jobs.iter().filter(|job| job.record.finished.is_none());
    let jobs = going_on.map(|job| JobStanding {
        key: job.key.clone(),
        succeeded: job.succeeded(),
        failed: job.record.failed,
        completions: job.completions,
        retry: retry(job),
    });
    let images = passed.seen.observed.images.iter().filter_map(|(image, seen)| {
        let standing = match seen {
            ImageObservation::Pulling | ImageObservation::Preloading => ImageStanding::Coming,
            ImageObservation::Failed { error, retry_at, stale: None } => {
                ImageStanding::Failed { error: error.clone(), retry_at: *retry_at }
            }
            ImageObservation::Failed { .. } | ImageObservation::Present { .. } => return None,
        };
        Some((image.to_string(), standing))
    });
    let crons = world.inventory.objects().makers().filter_map(|known| of_cron(known, world, now));
    Standing { jobs: jobs.collect(), crons: crons.collect(), images: images.collect() }
}

fn of_cron(known: &Known, world: &World, now: Now) -> Option<CronStanding> {
    match &*known.object {
        Object::CronJob(cron) => {
            Some(CronStanding { key: known.record.key.clone(), next: world.next_of(known, cron, now) })
        }
        Object::Pod(_)
        | Object::ConfigMap(_)
        | Object::Secret(_)
        | Object::Namespace(_)
        | Object::Job(_)
        | Object::Unserved { .. } => None,
    }
}
