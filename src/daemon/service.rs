//! A watcher as a service: the service manager and whoever asks are told how the loop is.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::{CronJob, Job, Object};
use crate::metrics::{Cron, Figures, Passes};
use crate::model::id::Uid;
use crate::model::job::{Ending, JobRecord};
use crate::model::object::Known;
use crate::model::observed::ProcessObservation;
use crate::model::time::{Moment, Now};
use crate::sandbox::sys::clock;
use crate::status;

use super::exhibit::{Exhibit, Picture, Readiness};
use super::pass::{Passed, World};
use super::supervisor::Supervisor;

/// How much longer than figures take they are left as they are: of thousands of objects, to count them takes longer than all
/// else of a pass.
const LEISURE: u32 = 20;

/// Without anybody to tell, nothing is.
#[derive(Debug, Default)]
pub(super) struct Service {
    supervisor: Option<Supervisor>,
    exhibit: Option<Exhibit>,
    passes: Passes,
    /// Of the last pass that saw anything.
    figures: Figures,
    figures_due: Option<Moment>,
}

impl Service {
    pub(super) fn new(supervisor: Option<Supervisor>, exhibit: Option<Exhibit>) -> Service {
        Service { supervisor, exhibit, ..Service::default() }
    }

    /// After each pass; `None` for one that was given up. Tells when it is to be told more of it, if of none before.
    pub(super) fn note(
        &mut self,
        world: &World,
        passed: Option<&Passed>,
        took: Duration,
        now: Now,
    ) -> Option<Moment> {
        match passed {
            Some(_) => self.passes.note(took),
            None => self.passes.given_up += 1,
        }
        if let (Some(supervisor), Some(passed)) = (&mut self.supervisor, passed) {
            supervisor.status(&line(world, passed));
        }
        let exhibit = self.exhibit.as_ref()?;
        let waits = self.figures_due.filter(|due| now.boot < *due);
        if let Some(passed) = passed.filter(|_| waits.is_none()) {
            self.figures = figures(world, passed, now);
            let done = clock::boot();
            self.figures_due = Some(done + (done - now.boot) * LEISURE);
        }
        self.figures.passes = self.passes.clone();
        let readiness = if passed.is_some() { Readiness::Ready } else { Readiness::Blind };
        exhibit.put_up(Picture { figures: self.figures.clone(), readiness });
        waits
    }

    pub(super) fn ready(&mut self) {
        self.supervisor.iter_mut().for_each(Supervisor::ready);
    }

    pub(super) fn reloading(&mut self) {
        self.supervisor.iter_mut().for_each(Supervisor::reloading);
    }

    pub(super) fn stopping(&mut self) {
        self.supervisor.iter_mut().for_each(Supervisor::stopping);
    }

    /// Gives a sign of life if one is due; tells when the next is.
    pub(super) fn beat(&mut self, now: Moment) -> Option<Moment> {
        self.supervisor.as_mut().and_then(|supervisor| supervisor.beat(now))
    }
}

/// `12 pods run; 30 files, 2 Invalid`
fn line(world: &World, passed: &Passed) -> String {
    let pods = passed.seen.observed.pods.values();
    let run = pods.filter(|pod| pod.process == ProcessObservation::Alive).count();
    let files = world.inventory.files().len();
    let mut line = format!("{run} pods run; {files} files");
    for (state, count) in world.reporter.states().iter().filter(|(state, _)| *state != "Applied") {
        line.push_str(&format!(", {count} {state}"));
    }
    line
}

fn figures(world: &World, passed: &Passed, now: Now) -> Figures {
    let mut objects: BTreeMap<String, u64> = BTreeMap::new();
    let mut pods: BTreeMap<String, u64> = BTreeMap::new();
    let (mut jobs, mut crons) = (BTreeMap::new(), Vec::new());
    let mut restarts = 0;
    let host_ip = world.machine.host_ip.to_string();
    for (uid, known) in world.inventory.objects().iter() {
        *objects.entry(known.record.key.kind.clone()).or_default() += 1;
        match &*known.object {
            Object::Job(job) => *jobs.entry(job_status(world, uid, job).to_owned()).or_default() += 1,
            Object::CronJob(cron) => crons.push(of_cron(world, known, cron, now)),
            Object::Pod(_)
            | Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Namespace(_)
            | Object::Unserved { .. } => {}
        }
        let Object::Pod(pod) = &*known.object else { continue };
        let course = passed.seen.course(uid);
        let phase = status::pod_status(pod, &course, &host_ip).phase.unwrap_or_default();
        *pods.entry(phase).or_default() += 1;
        let containers = course.record().into_iter().flat_map(|record| &record.containers);
        restarts += containers.map(|container| u64::from(container.restart_count)).sum::<u64>();
    }
    Figures {
        objects,
        pods,
        jobs,
        crons,
        restarts,
        files: world.reporter.states(),
        undone: world.complaints.count(),
        passes: Passes::default(),
        last_scan: Some(now.wall),
    }
}

/// Of kubectl's words for a Job those that last.
fn job_status(world: &World, uid: &Uid, job: &Job) -> &'static str {
    let ended = world.inventory.controlled().jobs.get(uid).and_then(JobRecord::ended);
    match ended {
        Some(Ending::Success) => "Complete",
        Some(Ending::Failure) => "Failed",
        None if job.spec.as_ref().is_some_and(|spec| spec.suspend == Some(true)) => "Suspended",
        None => "Running",
    }
}

fn of_cron(world: &World, known: &Known, cron: &CronJob, now: Now) -> Cron {
    let record = world.inventory.controlled().crons.get(&known.record.uid);
    let key = &known.record.key;
    Cron {
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        last_success: record.and_then(|record| record.last_success),
        next: world.next_of(known, cron, now),
    }
}
