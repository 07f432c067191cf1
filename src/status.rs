//! Observation → what people and programs read: PodStatus in kubelet's words, the status file, the STATUS column.

use serde_json::Value;

use crate::api::{Pod, PodStatus};
use crate::manifest::{IgnoredField, Mistake};
use crate::model::object::Known;
use crate::model::observed::Finished;
use crate::model::record::{EventRecord, PodRecord, WaitingRecord};

/// All that is known of one pod's course; the most telling of them counts: the end, then the record, then why it waits.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Course {
    pub(crate) record: Option<PodRecord>,
    pub(crate) waiting: Option<WaitingRecord>,
    pub(crate) finished: Option<Finished>,
    /// The pod process is gone though no end is recorded.
    pub(crate) lost: bool,
}

/// `status` of a Pod as the kubelet would write it. `host_ip` is the machine's own address.
pub(crate) fn pod_status(pod: &Pod, course: &Course, host_ip: &str) -> PodStatus {
    let _ = (pod, course, host_ip);
    unimplemented!()
}

/// The object in full, as `get -o yaml` prints it: type, metadata with uid and creationTimestamp, spec, status.
pub(crate) fn full_object(known: &Known, course: &Course, host_ip: &str) -> Value {
    let _ = (known, course, host_ip);
    unimplemented!()
}

/// Events of a pod, the oldest first.
pub(crate) fn events(course: &Course) -> Vec<EventRecord> {
    let _ = course;
    unimplemented!()
}

/// kubectl's STATUS column, derived from the object as kubectl derives it.
pub(crate) fn status_word(pod: &Pod) -> String {
    let _ = pod;
    unimplemented!()
}

/// State of one manifest file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileState {
    Settling,
    Applied,
    Invalid,
    Conflict,
    Refused,
    SourceLost,
    PruneHeld,
}

/// All that a status file is made of.
#[derive(Debug)]
pub(crate) struct FileReport<'a> {
    pub(crate) name: &'a str,
    pub(crate) state: FileState,
    /// `sha256:…`
    pub(crate) observed_hash: &'a str,
    pub(crate) applied_hash: &'a str,
    /// A line for a person in place of the one derived from the items (`Conflict`, `Refused`, …).
    pub(crate) note: Option<&'a str>,
    pub(crate) mistakes: &'a [Mistake],
    pub(crate) ignored: &'a [IgnoredField],
    pub(crate) items: Vec<(&'a Known, &'a Course)>,
    pub(crate) host_ip: &'a str,
}

/// The whole text of a status file (SPEC 4).
pub(crate) fn render(report: &FileReport<'_>) -> String {
    let _ = report;
    unimplemented!()
}

/// `web.yaml` → `web.status.yaml`, `web.yml` → `web.yml.status.yaml`, `web.json` → `web.json.status.yaml`.
pub(crate) fn status_name(manifest: &str) -> String {
    manifest.strip_suffix(".yaml").unwrap_or(manifest).to_owned() + ".status.yaml"
}

/// Any value as YAML that kubectl reads back unchanged (`serde-saphyr`).
pub(crate) fn to_yaml(value: &Value) -> String {
    let _ = value;
    unimplemented!()
}
