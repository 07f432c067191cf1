//! Which columns each kind has, and what stands in them.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::batch::v1::JobStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{CronJob, Job, JobSpec, KindName, Object, Pod};
use crate::cli::records::{Records, Shown};
use crate::model::time::Timestamp;
use crate::status::{
    ControlStatus, age, completions, job_word, pod_status, ready_column, restarts_column, status_word,
};

/// The columns of one kind of table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) kind: &'static KindName,
    pub(super) extras: Vec<Extra>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    Namespace,
    /// `pod/web` in place of `web`.
    KindPrefix,
    Wide,
    Labels,
}

impl Layout {
    fn has(&self, extra: Extra) -> bool {
        self.extras.contains(&extra)
    }

    fn frame(&self, namespace: &str, own: Vec<String>, wide: Vec<String>, labels: String) -> Vec<String> {
        let mut row = Vec::new();
        if self.has(Extra::Namespace) {
            row.push(namespace.to_owned());
        }
        row.extend(own);
        if self.has(Extra::Wide) {
            row.extend(wide);
        }
        if self.has(Extra::Labels) {
            row.push(labels);
        }
        row
    }
}

pub(super) fn header(layout: &Layout) -> Vec<String> {
    let (own, wide): (&[&str], &[&str]) = match layout.kind.kind {
        "Pod" => (
            &["NAME", "READY", "STATUS", "RESTARTS", "AGE"],
            &["IP", "NODE", "NOMINATED NODE", "READINESS GATES"],
        ),
        "Job" => {
            (&["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"], &["CONTAINERS", "IMAGES", "SELECTOR"])
        }
        "CronJob" => (
            &["NAME", "SCHEDULE", "TIMEZONE", "SUSPEND", "ACTIVE", "LAST SCHEDULE", "AGE"],
            &["CONTAINERS", "IMAGES", "SELECTOR"],
        ),
        "ConfigMap" => (&["NAME", "DATA", "AGE"], &[]),
        "Secret" => (&["NAME", "TYPE", "DATA", "AGE"], &[]),
        "Namespace" => (&["NAME", "STATUS", "AGE"], &[]),
        _ => (&["NAME", "AGE"], &[]),
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    layout.frame("NAMESPACE", words(own), words(wide), "LABELS".to_owned())
}

pub(super) fn row(layout: &Layout, records: &Records, shown: &Shown, now: Timestamp) -> Vec<String> {
    let key = &shown.known.record.key;
    let name = if layout.has(Extra::KindPrefix) { key.to_string() } else { key.name.clone() };
    // A clock that was set back makes nothing younger than now.
    let age = ago(shown.known.record.created_at, now);
    let mut wide = Vec::new();
    let own = match &shown.known.object {
        Object::Pod(authored) => {
            let mut pod = Pod::clone(authored);
            pod.status = Some(pod_status(authored, &shown.course, records.host_ip()));
            // A pod with a time of deletion is Terminating, whatever its containers do.
            pod.metadata.deletion_timestamp =
                shown.known.record.deletion.as_ref().map(|deletion| Time(deletion.at));
            wide = wide_of(&pod);
            vec![name, ready_column(&pod), status_word(&pod), restarts_column(&pod, now), age]
        }
        Object::ConfigMap(map) => {
            let entries = map.data.as_ref().map_or(0, BTreeMap::len)
                + map.binary_data.as_ref().map_or(0, BTreeMap::len);
            vec![name, entries.to_string(), age]
        }
        Object::Secret(secret) => {
            let kind = secret.type_.clone().unwrap_or_else(|| "Opaque".to_owned());
            let mut keys: Vec<&String> = secret.data.iter().flat_map(BTreeMap::keys).collect();
            keys.extend(secret.string_data.iter().flat_map(BTreeMap::keys));
            keys.sort();
            keys.dedup();
            vec![name, kind, keys.len().to_string(), age]
        }
        Object::Namespace(_) => vec![name, "Active".to_owned(), age],
        Object::Job(job) => {
            let selector = format!("batch.kubernetes.io/controller-uid={}", shown.uid());
            wide = of_template(job.spec.as_ref(), selector);
            job_row(name, job, shown, now, age)
        }
        Object::CronJob(cron) => {
            let job = cron.spec.job_template.spec.as_ref();
            wide = of_template(job, "<none>".to_owned());
            cron_row(name, cron, shown, now, age)
        }
        Object::Unserved { .. } => vec![name, age],
    };
    layout.frame(&key.namespace, own, wide, labels(&shown.known.object))
}

fn ago(then: Timestamp, now: Timestamp) -> String {
    age(Duration::try_from(now.duration_since(then)).unwrap_or_default())
}

fn job_row(name: String, job: &Job, shown: &Shown, now: Timestamp, age: String) -> Vec<String> {
    let nothing = JobStatus::default();
    let status = match shown.course.control.as_ref().map(|control| &control.status) {
        Some(ControlStatus::Job(status)) => status,
        Some(ControlStatus::CronJob(_)) | None => &nothing,
    };
    let until = status.completion_time.as_ref().map_or(now, |at| at.0);
    let duration = status.start_time.as_ref().map(|at| ago(at.0, until)).unwrap_or_default();
    vec![name, job_word(&shown.known, status).to_owned(), completions(job, status), duration, age]
}

fn cron_row(name: String, cron: &CronJob, shown: &Shown, now: Timestamp, age: String) -> Vec<String> {
    let none = || "<none>".to_owned();
    let spec = &cron.spec;
    let (active, last) = match shown.course.control.as_ref().map(|control| &control.status) {
        Some(ControlStatus::CronJob(status)) => {
            (status.active.as_ref().map_or(0, Vec::len), status.last_schedule_time.as_ref().map(|at| at.0))
        }
        Some(ControlStatus::Job(_)) | None => (0, None),
    };
    let suspend = if spec.suspend == Some(true) { "True" } else { "False" };
    vec![
        name,
        spec.schedule.clone(),
        spec.time_zone.clone().unwrap_or_else(none),
        suspend.to_owned(),
        active.to_string(),
        last.map_or_else(none, |last| ago(last, now)),
        age,
    ]
}

fn of_template(job: Option<&JobSpec>, selector: String) -> Vec<String> {
    let spec = job.and_then(|job| job.template.spec.as_ref());
    let containers = || spec.into_iter().flat_map(|spec| &spec.containers);
    let names: Vec<&str> = containers().map(|container| container.name.as_str()).collect();
    let images: Vec<&str> = containers().filter_map(|container| container.image.as_deref()).collect();
    vec![names.join(","), images.join(","), selector]
}

fn wide_of(pod: &Pod) -> Vec<String> {
    let none = || "<none>".to_owned();
    let ip = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).filter(|ip| !ip.is_empty());
    let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
    vec![ip.unwrap_or_else(none), node, none(), none()]
}

fn labels(object: &Object) -> String {
    let labels = object.metadata().labels.iter().flatten();
    let pairs: Vec<String> = labels.map(|(key, value)| format!("{key}={value}")).collect();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}
