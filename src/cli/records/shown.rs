//! One object, as its own records tell of it.

use std::sync::Arc;

use crate::api::Object;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::manifest::immutable::Progress;
use crate::manifest::revive;
use crate::model::id::{PodId, Uid};
use crate::model::object::{Known, ObjectRecord};
use crate::model::record::{ContainerRecord, ContainerState, Outcome, PodRecord};
use crate::paths::Places;
use crate::pod;
use crate::rundir::{lock, objects, pods, starts};
use crate::status::{ControlStatus, Course, job_word};
use crate::workload;

/// One object, and the course of its pod if it is one.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) known: Known,
    pub(crate) course: Course,
}

impl Shown {
    pub(crate) fn uid(&self) -> &Uid {
        &self.known.record.uid
    }

    /// Whoever waited for an end acts on it: it must not be undone by a power cut.
    pub(crate) fn settle(&self, places: &Places) -> Result<(), Failure> {
        objects::settle(places, self.uid()).map_err(|error| {
            let what = format!("cannot make sure that what is so of {} stays so", self.known.record.key);
            Failure::new(Exit::Failed, what).because(error)
        })
    }

    /// Nothing of the pod itself keeps it from this machine.
    pub(super) fn is_scheduled(&self) -> bool {
        let waiting = self.course.waiting.as_ref();
        self.pod_record().is_some() || waiting.is_none_or(|waiting| waiting.why.pod.is_none())
    }

    pub(crate) fn pod_id(&self) -> PodId {
        let ObjectRecord { key, uid, .. } = &self.known.record;
        PodId { namespace: key.namespace.clone(), name: key.name.clone(), uid: uid.clone() }
    }

    /// Of a Job, whether it has come to its end.
    pub(crate) fn progress(&self) -> Progress {
        match self.course.control.as_ref().map(|control| &control.status) {
            Some(ControlStatus::Job(status)) if ["Complete", "Failed"].contains(&job_word(None, status)) => {
                Progress::Ended
            }
            Some(ControlStatus::Job(_) | ControlStatus::CronJob(_)) | None => Progress::GoesOn,
        }
    }

    /// Its process is there.
    pub(crate) fn lives(&self) -> bool {
        let Course { record, finished, lost, .. } = &self.course;
        record.is_some() && finished.is_none() && !lost
    }

    /// The newest record of the pod, the end included.
    pub(crate) fn pod_record(&self) -> Option<&PodRecord> {
        let interrupted = self.course.interrupted.as_ref();
        let stopped = interrupted.and_then(|interrupted| interrupted.record.as_ref());
        self.course.record().or(stopped)
    }

    /// How the pod ended, if it has.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.course.outcome()
    }

    pub(crate) fn container(&self, name: &str) -> Option<&ContainerRecord> {
        self.pod_record()?.containers.iter().find(|container| container.name == name)
    }

    /// Names of the pod's containers as declared, init containers first.
    pub(crate) fn container_names(&self) -> Vec<String> {
        let Object::Pod(pod) = &*self.known.object else { return Vec::new() };
        let Some(spec) = &pod.spec else { return Vec::new() };
        let init = spec.init_containers.iter().flatten();
        init.chain(&spec.containers).map(|container| container.name.clone()).collect()
    }

    /// As kubectl lists them for a person.
    pub(crate) fn told_containers(&self) -> String {
        let Object::Pod(pod) = &*self.known.object else { return String::new() };
        let Some(spec) = &pod.spec else { return String::new() };
        let init = spec.init_containers.iter().flatten();
        let app = spec.containers.iter().map(|container| container.name.clone());
        app.chain(init.map(|container| format!("{} (init)", container.name))).collect::<Vec<_>>().join(", ")
    }

    /// The container that commands mean when none is named, as kubectl chooses it.
    pub(crate) fn default_container(&self) -> Option<String> {
        let Object::Pod(pod) = &*self.known.object else { return None };
        let first = || Some(pod.spec.as_ref()?.containers.first()?.name.clone());
        self.annotated_container().map(str::to_owned).or_else(first)
    }

    /// The one that the pod itself says is meant.
    pub(crate) fn annotated_container(&self) -> Option<&str> {
        let annotations = self.known.object.metadata().annotations.as_ref()?;
        annotations.get("kubectl.kubernetes.io/default-container").map(String::as_str)
    }

    /// Whether a container has ended and will not be started again.
    pub(crate) fn is_over(&self, container: &str) -> bool {
        if self.outcome().is_some() || self.course.lost {
            return true;
        }
        let (Some(record), Some(container)) = (self.pod_record(), self.container(container)) else {
            return false;
        };
        let ContainerState::Terminated(exit) = &container.state else { return false };
        record.stopping.is_some() || !self.restarts(container, exit.code)
    }

    fn restarts(&self, container: &ContainerRecord, code: i32) -> bool {
        let Object::Pod(pod) = &*self.known.object else { return false };
        pod::runs_again(container.role, workload::restart_policy(pod), code)
    }
}

pub(super) fn show(places: &Places, record: ObjectRecord) -> Result<Shown, String> {
    let name = record.key.to_string();
    let unread = |error: &dyn std::fmt::Display| format!("{name} cannot be shown: {error}");
    let object = revive(&record.authored).map_err(|error| unread(&error))?;
    let course = match &object {
        Object::Pod(_) => course(places, &record.uid).map_err(|error| unread(&error))?,
        Object::ConfigMap(_)
        | Object::Secret(_)
        | Object::Namespace(_)
        | Object::Job(_)
        | Object::CronJob(_)
        | Object::Unserved { .. } => Course::default(),
    };
    Ok(Shown { known: Known { record, object: object.into() }, course })
}

/// All that the records tell of one pod.
fn course(places: &Places, uid: &Uid) -> std::io::Result<Course> {
    let pod = places.pod(uid);
    let finished = objects::finished_of(places, uid)?;
    let alive = lock::is_held(&pod.lock())?;
    // Read after the look at the lock: a process that ended in between has left its last words by now.
    let record = pods::read_record(&pod)?;
    let ended = finished.is_some() || record.as_ref().is_none_or(|record| record.outcome.is_some());
    Ok(Course {
        waiting: pods::read_waiting(&pod)?,
        events: starts::read(places, uid)?.map(|start| start.events).unwrap_or_default(),
        lost: !alive && !ended,
        record: record.map(Arc::new),
        finished: finished.map(Arc::new),
        departed: objects::departed_of(places, uid)?.map(Arc::new),
        interrupted: objects::interrupted_of(places, uid)?.map(Arc::new),
        control: None,
    })
}
