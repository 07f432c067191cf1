//! What every reading verb stands on: the objects and pods of an instance as their records tell, whether a watcher
//! runs or not.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Event;
use serde_json::{Value, json};

use crate::api::{KindName, Object};
use crate::manifest::immutable::Progress;
use crate::manifest::revive;
use crate::model::control::Controlled;
use crate::model::id::{PodId, Uid};
use crate::model::object::{Known, ObjectRecord};
use crate::model::record::{ContainerRecord, ContainerState, Outcome, PodRecord};
use crate::paths::Places;
use crate::pod;
use crate::rundir::{lock, objects, pods, starts};
use crate::sandbox::host::host_ip;
use crate::status::{
    ControlStatus, Course, Stage, controls, event_objects, full_object, job_word, pod_status, stage,
};
use crate::workload;

use super::exit::Exit;
use super::failure::Failure;
use super::folder::NAMESPACE;
use super::selector::Selector;
use super::settings::Scope;

/// Everything that is declared, in the order of namespace and name.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) shown: Vec<Shown>,
    /// One line for each record that could not be read.
    pub(crate) unreadable: Vec<String>,
    host_ip: String,
    node: String,
}

/// One object, and the course of its pod if it is one.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) known: Known,
    pub(crate) course: Course,
}

impl Records {
    pub(crate) fn load(places: &Places) -> Result<Records, Failure> {
        let loaded = objects::load(places).map_err(|error| {
            let failure =
                Failure::new(Exit::Failed, format!("cannot read the objects in {}", places.state.display()));
            let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
            let failure = failure.because(error);
            if denied {
                failure.help("run this as the user that runs `droppod watch`, usually root")
            } else {
                failure
            }
        })?;
        let mut unreadable: Vec<String> = loaded
            .unreadable
            .iter()
            .map(|(uid, error)| format!("the record of object {uid} cannot be read: {error}"))
            .collect();
        let mut shown = Vec::new();
        for record in loaded.objects {
            match show(places, record) {
                Ok(one) => shown.push(one),
                Err(line) => unreadable.push(line),
            }
        }
        tell_controls(places, &mut shown, &mut unreadable);
        // One that goes and its successor have one name: it stands first until it has gone.
        shown.sort_by(|a, b| {
            let (a, b) = (&a.known.record, &b.known.record);
            a.key.cmp(&b.key).then_with(|| a.deletion.is_none().cmp(&b.deletion.is_none()))
        });
        let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(Records { shown, unreadable, host_ip: host_ip().to_string(), node })
    }

    /// The namespace that is there without anybody's declaring it, unless somebody does.
    pub(crate) fn undeclared_default(&self) -> Option<Value> {
        let is_default = |shown: &Shown| {
            let key = &shown.known.record.key;
            key.kind == "Namespace" && key.name == NAMESPACE
        };
        if self.shown.iter().any(is_default) {
            return None;
        }
        let metadata = json!({"name": NAMESPACE, "labels": {"kubernetes.io/metadata.name": NAMESPACE}});
        let (version, status) = ("v1", json!({"phase": "Active"}));
        Some(json!({"apiVersion": version, "kind": "Namespace", "metadata": metadata, "status": status}))
    }

    /// Objects of one kind, within `scope` if the kind lives in namespaces.
    pub(crate) fn of<'a>(
        &'a self,
        kind: &'a KindName,
        scope: &'a Scope,
        selector: &'a Selector,
    ) -> impl Iterator<Item = &'a Shown> {
        let none = BTreeMap::new();
        self.shown.iter().filter(move |shown| {
            let key = &shown.known.record.key;
            key.kind == kind.kind
                && key.group == kind.group
                && (!kind.namespaced || scope.holds(&key.namespace))
                && selector.matches(shown.known.object.metadata().labels.as_ref().unwrap_or(&none))
        })
    }

    pub(crate) fn pod(&self, namespace: &str, name: &str) -> Result<&Shown, Failure> {
        let of_name = |shown: &&Shown| {
            let key = &shown.known.record.key;
            key.kind == "Pod" && key.namespace == namespace && key.name == name
        };
        self.shown.iter().find(of_name).ok_or_else(|| not_found("pods", name))
    }

    /// A Job and its pods, in the order in which they were made.
    pub(crate) fn pods_of_job(&self, namespace: &str, name: &str) -> Result<(&Shown, Vec<&Shown>), Failure> {
        let of_name = |shown: &&Shown| {
            let key = &shown.known.record.key;
            key.kind == "Job" && key.namespace == namespace && key.name == name
        };
        let job = self.shown.iter().find(of_name).ok_or_else(|| not_found("jobs.batch", name))?;
        let number = |shown: &Shown| {
            let owner = shown.known.record.owner.as_ref();
            owner.filter(|owner| owner.uid == *job.uid()).map(|owner| owner.number)
        };
        let mut pods: Vec<&Shown> = self.shown.iter().filter(|shown| number(shown).is_some()).collect();
        pods.sort_by_key(|shown| number(shown));
        Ok((job, pods))
    }

    /// The object in full, status included: as an API server would tell it.
    pub(crate) fn full(&self, shown: &Shown) -> Value {
        let mut object = full_object(&shown.known, &shown.course, &self.host_ip);
        match &shown.known.object {
            Object::Pod(_) if shown.is_scheduled() => object["spec"]["nodeName"] = self.node.as_str().into(),
            Object::Namespace(_) => object["status"]["phase"] = "Active".into(),
            Object::Pod(_)
            | Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Job(_)
            | Object::CronJob(_)
            | Object::Unserved { .. } => {}
        }
        object
    }

    /// Events of one object, the oldest first.
    pub(crate) fn events_of(&self, shown: &Shown) -> Vec<Event> {
        event_objects(&shown.known, &shown.course, &self.node)
    }

    /// Events of all objects in `scope`, the oldest first.
    pub(crate) fn events(&self, scope: &Scope) -> Vec<Event> {
        let events = self.shown.iter().flat_map(|shown| self.events_of(shown));
        let within = |event: &Event| scope.holds(event.metadata.namespace.as_deref().unwrap_or_default());
        let mut events: Vec<Event> = events.filter(within).collect();
        events.sort_by(|a, b| {
            let last = |event: &Event| event.last_timestamp.as_ref().map(|time| time.0);
            last(a).cmp(&last(b))
        });
        events
    }

    /// Why a container does not run yet.
    pub(crate) fn waits_for(&self, shown: &Shown, container: &str) -> String {
        let Object::Pod(pod) = &shown.known.object else { return String::new() };
        let status = pod_status(pod, &shown.course, &self.host_ip);
        let init = status.init_container_statuses.into_iter().flatten();
        let mut all = init.chain(status.container_statuses.into_iter().flatten());
        let state = all.find(|status| status.name == container).and_then(|status| status.state);
        state.and_then(|state| state.waiting?.reason).unwrap_or_else(|| status.phase.unwrap_or_default())
    }

    pub(crate) fn host_ip(&self) -> &str {
        &self.host_ip
    }
}

/// As kubectl words it.
pub(crate) fn not_found(plural: &str, name: &str) -> Failure {
    Failure::new(Exit::Failed, format!("{plural} \"{name}\" not found"))
        .help(format!("droppod get {plural} -A shows what there is"))
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
    fn is_scheduled(&self) -> bool {
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
        let Object::Pod(pod) = &self.known.object else { return Vec::new() };
        let Some(spec) = &pod.spec else { return Vec::new() };
        let init = spec.init_containers.iter().flatten();
        init.chain(&spec.containers).map(|container| container.name.clone()).collect()
    }

    /// As kubectl lists them for a person.
    pub(crate) fn told_containers(&self) -> String {
        let Object::Pod(pod) = &self.known.object else { return String::new() };
        let Some(spec) = &pod.spec else { return String::new() };
        let init = spec.init_containers.iter().flatten();
        let app = spec.containers.iter().map(|container| container.name.clone());
        app.chain(init.map(|container| format!("{} (init)", container.name))).collect::<Vec<_>>().join(", ")
    }

    /// The container that commands mean when none is named, as kubectl chooses it.
    pub(crate) fn default_container(&self) -> Option<String> {
        let Object::Pod(pod) = &self.known.object else { return None };
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
        let Object::Pod(pod) = &self.known.object else { return false };
        pod::runs_again(container.role, workload::restart_policy(pod), code)
    }
}

fn show(places: &Places, record: ObjectRecord) -> Result<Shown, String> {
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
    Ok(Shown { known: Known { record, object }, course })
}

/// What Jobs and CronJobs have come to.
fn tell_controls(places: &Places, shown: &mut [Shown], unreadable: &mut Vec<String>) {
    let mut controlled = Controlled::default();
    for Shown { known, .. } in &*shown {
        let uid = &known.record.uid;
        let read = match &known.object {
            Object::Job(_) => objects::job_of(places, uid).map(|record| {
                controlled.jobs.extend(record.map(|record| (uid.clone(), record)));
            }),
            Object::CronJob(_) => objects::cron_of(places, uid).map(|record| {
                controlled.crons.extend(record.map(|record| (uid.clone(), record)));
            }),
            Object::Pod(_)
            | Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Namespace(_)
            | Object::Unserved { .. } => Ok(()),
        };
        unreadable.extend(
            read.err().map(|error| format!("the state of {} cannot be read: {error}", known.record.key)),
        );
    }
    let stages: BTreeMap<&Uid, Stage> = shown
        .iter()
        .map(|one| {
            let reached = match (&one.course.finished, &one.course.record) {
                (Some(_), _) => Stage::Ended,
                (None, Some(record)) => stage(record),
                (None, None) => Stage::Unready,
            };
            (one.uid(), reached)
        })
        .collect();
    let all = shown.iter().map(|one| &one.known);
    let mut controls = controls(all, &controlled, |uid| stages.get(uid).copied().unwrap_or(Stage::Unready));
    for one in shown {
        one.course.control = controls.remove(&one.known.record.uid);
    }
}

/// All that the records tell of one pod.
pub(crate) fn course(places: &Places, uid: &Uid) -> std::io::Result<Course> {
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
        record,
        finished: finished.map(Arc::new),
        departed: objects::departed_of(places, uid)?.map(Arc::new),
        interrupted: objects::interrupted_of(places, uid)?,
        control: None,
    })
}
