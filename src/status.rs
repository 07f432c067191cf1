//! Observation → what people and programs read: PodStatus in kubelet's words, the status file, the STATUS column.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use crate::api::{Object, ObjectMeta, Pod};
use crate::model::object::Known;
use crate::model::observed::{Finished, Interrupted};
use crate::model::record::{EventRecord, Outcome, PodRecord, SandboxState, WaitingRecord, note};
use crate::model::time::Timestamp;

mod columns;
mod conditions;
mod containers;
mod edit;
mod events;
mod field;
mod file;
mod job;
mod pod;
mod summary;

#[cfg(test)]
mod tests;

pub(crate) use columns::{age, ready_column, restarts_column, status_word};
pub(crate) use edit::is_in_force;
pub(crate) use events::event_objects;
pub(crate) use file::{FileReport, FileState, render};
pub(crate) use job::{Control, ControlStatus, Stage, completions, controls, job_word, stage};
pub(crate) use pod::pod_status;
pub(crate) use summary::Tense;

/// Seconds, where a pod does not say.
const GRACE: i64 = 30;

/// kubectl has no word for a pod that is stopped and will run again.
const STOPPED: &str = "Stopped";

/// All that is known of one object's course. Of a pod the most telling counts: the end, then the record, then why it
/// waits.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Course {
    pub(crate) record: Option<Arc<PodRecord>>,
    pub(crate) waiting: Option<WaitingRecord>,
    pub(crate) finished: Option<Arc<Finished>>,
    /// Of the time before the pod's process, and of processes that are gone.
    pub(crate) events: Vec<EventRecord>,
    /// How it ended that was told to go for good, once its process has left.
    pub(crate) departed: Option<Arc<Finished>>,
    /// It was stopped and is to run again.
    pub(crate) interrupted: Option<Arc<Interrupted>>,
    /// The pod process is gone though no end is recorded.
    pub(crate) lost: bool,
    /// Of an object that makes others.
    pub(crate) control: Option<Control>,
}

impl Course {
    /// The newest record of the pod, the end included.
    pub(crate) fn record(&self) -> Option<&PodRecord> {
        let end = self.finished.as_ref().map(|finished| &finished.record);
        end.or(self.record.as_deref()).or_else(|| self.departed().map(|departed| &departed.record))
    }

    /// As long as nobody has begun to start it again.
    fn departed(&self) -> Option<&Finished> {
        self.departed.as_deref().filter(|_| self.record.is_none() && self.waiting.is_none())
    }

    /// A pod that was stopped, as long as nobody has begun to start it again. Its phase is Pending: it is accepted,
    /// nothing of it runs, and it will; the reason `Stopped`, also in the STATUS column, tells it from one that is
    /// about to run. How its containers ended is their last state, not their state.
    fn stopped(&self) -> Option<&Interrupted> {
        let begun = self.record().is_some() || self.waiting.is_some();
        self.interrupted.as_deref().filter(|_| !begun)
    }

    /// Once all that goes on has been stopped for good: a pod has ended as its containers have, what makes pods has none,
    /// and of one that went without a word nothing is known.
    pub(crate) fn at_rest(&self) -> Course {
        let mut rest = self.clone();
        match rest.control.as_mut().map(|control| &mut control.status) {
            Some(ControlStatus::Job(status)) => {
                (status.active, status.ready, status.terminating) = (None, Some(0), Some(0));
            }
            Some(ControlStatus::CronJob(status)) => status.active = None,
            None => {}
        }
        let Some(record) = self.record().filter(|_| self.finished.is_none()) else { return rest };
        let outcome = match self.outcome() {
            Some(end @ (Outcome::Succeeded | Outcome::Failed { .. })) => end.clone(),
            Some(Outcome::Deleted | Outcome::Interrupted) => record.by_exits(),
            None => {
                rest.lost = true;
                return rest;
            }
        };
        let record = record.clone();
        rest.finished = Some(Arc::new(Finished { outcome, record }));
        rest
    }

    /// Why what its containers are to run in is not there, of a pod that tries again to make it.
    pub(crate) fn sandbox_trouble(&self) -> Option<&str> {
        let going_on = self.finished.is_none() && !self.lost;
        let record = self.record.as_ref().filter(|record| going_on && record.outcome.is_none())?;
        match &record.sandbox {
            SandboxState::Failed { message } => Some(message),
            SandboxState::Making | SandboxState::Ready => None,
        }
    }

    /// How the pod ended, if it has.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        match (&self.finished, &self.record) {
            (Some(finished), _) => Some(&finished.outcome),
            (None, Some(record)) => record.outcome.as_ref(),
            (None, None) => self.departed().map(|departed| &departed.outcome),
        }
    }
}

/// The object in full, as `get -o yaml` prints it: type, metadata with uid and creationTimestamp, spec, status.
pub(crate) fn full_object(known: &Known, course: &Course, host_ip: &str) -> Value {
    let mut full = match &*known.object {
        Object::Pod(pod) => json!(full_pod(known, pod, course, host_ip)),
        Object::ConfigMap(map) => json!(map),
        Object::Secret(secret) => {
            let mut secret = secret.clone();
            let plain = secret.string_data.take().unwrap_or_default();
            let encoded =
                plain.into_iter().map(|(key, text)| (key, k8s_openapi::ByteString(text.into_bytes())));
            // What is written as text is kept and shown encoded, as the API server does it.
            secret.data.get_or_insert_default().extend(encoded);
            json!(secret)
        }
        Object::Namespace(namespace) => json!(namespace),
        Object::Job(job) => json!(job),
        Object::CronJob(cron) => json!(cron),
        Object::Unserved { .. } => known.record.authored.as_ref().clone(),
    };
    full["metadata"] = json!(full_metadata(known));
    if let Some(control) = &course.control {
        full["status"] = json!(control.status);
    }
    full
}

fn full_pod(known: &Known, pod: &Pod, course: &Course, host_ip: &str) -> Pod {
    Pod {
        metadata: full_metadata(known),
        spec: pod.spec.clone(),
        status: Some(pod_status(pod, course, host_ip)),
    }
}

/// What the author wrote of it, and what an object gets when it is accepted.
fn full_metadata(known: &Known) -> ObjectMeta {
    let record = &known.record;
    let mut metadata = known.object.metadata().clone();
    metadata.name = Some(record.key.name.clone());
    metadata.namespace = Some(record.key.namespace.clone()).filter(|namespace| !namespace.is_empty());
    metadata.uid = Some(record.uid.to_string());
    metadata.creation_timestamp = Some(Time(record.created_at));
    metadata.generation = i64::try_from(record.generation).ok();
    // A person may write any owner into a manifest; it counts only where a controller did.
    metadata.owner_references = metadata.owner_references.filter(|_| record.owner.is_some());
    if let Some(deletion) = &record.deletion {
        let grace = deletion.grace.map_or_else(|| grace(&known.object), i64::from);
        metadata.deletion_grace_period_seconds = Some(grace);
        // In Kubernetes this is when the object will be gone, not when somebody asked for it.
        metadata.deletion_timestamp = Some(Time(later(deletion.at, grace)));
    }
    metadata
}

fn grace(object: &Object) -> i64 {
    match object {
        Object::Pod(pod) => {
            pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(GRACE)
        }
        Object::ConfigMap(_)
        | Object::Secret(_)
        | Object::Namespace(_)
        | Object::Job(_)
        | Object::CronJob(_)
        | Object::Unserved { .. } => 0,
    }
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.as_second().checked_add(seconds).and_then(|second| Timestamp::from_second(second).ok()).unwrap_or(at)
}

/// Events of an object, the oldest first.
pub(crate) fn events(course: &Course) -> Vec<EventRecord> {
    let record = course.record().or_else(|| course.stopped()?.record.as_ref());
    let since = record.into_iter().flat_map(|record| &record.events);
    let control = course.control.iter().flat_map(|control| &control.events);
    let mut events: Vec<EventRecord> = course.events.iter().chain(since).chain(control).cloned().collect();
    events.sort_by_key(|event| event.last);
    // What the pod's earlier processes told as well is one event.
    let mut merged = Vec::new();
    events.into_iter().for_each(|event| note(&mut merged, event));
    merged
}

/// `web.yaml` → `web.status.yaml`, `web.yml` → `web.yml.status.yaml`, `web.json` → `web.json.status.yaml`.
pub(crate) fn status_name(manifest: &str) -> String {
    manifest.strip_suffix(".yaml").unwrap_or(manifest).to_owned() + ".status.yaml"
}
