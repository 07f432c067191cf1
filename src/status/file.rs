//! The status file beside a manifest.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use serde::Serialize;

use crate::api::{Object, Pod, PodStatus};
use crate::manifest::{IgnoredField, Mistake, Severity, to_yaml_in_order};
use crate::model::object::Known;
use crate::model::record::{EventKind, EventRecord};

use super::job::{ControlStatus, completions, job_word};
use super::{Course, STOPPED, events, field, full_metadata, full_pod, status_word};

/// Events listed of one object.
const EVENTS: usize = 10;

/// State of one manifest file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum FileState {
    Settling,
    Applied,
    Invalid,
    Conflict,
    Refused,
    SourceLost,
    PruneHeld,
}

impl fmt::Display for FileState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileState::Settling => "Settling",
            FileState::Applied => "Applied",
            FileState::Invalid => "Invalid",
            FileState::Conflict => "Conflict",
            FileState::Refused => "Refused",
            FileState::SourceLost => "SourceLost",
            FileState::PruneHeld => "PruneHeld",
        })
    }
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

/// Fields in the order in which they are written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ManifestStatus<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: FileMetadata<'a>,
    status: FileStatus<'a>,
    items: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct FileMetadata<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileStatus<'a> {
    state: FileState,
    observed_hash: &'a str,
    applied_hash: &'a str,
    summary: String,
    errors: Vec<FileError<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<FileError<'a>>,
    ignored_fields: Vec<Ignored<'a>>,
}

#[derive(Serialize)]
struct FileError<'a> {
    line: usize,
    column: usize,
    field: String,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
}

#[derive(Serialize)]
struct Ignored<'a> {
    line: usize,
    field: String,
    reason: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: ItemMetadata,
    #[serde(flatten)]
    course: Option<ItemCourse<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemMetadata {
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    uid: Option<String>,
    creation_timestamp: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_timestamp: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_references: Option<Vec<OwnerReference>>,
}

/// What only a pod has, and an object that makes others.
#[derive(Serialize)]
struct ItemCourse<'a> {
    status: ItemStatus<'a>,
    events: Vec<Event>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ItemStatus<'a> {
    Pod(Box<Option<PodStatus>>),
    Control(&'a ControlStatus),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "type")]
    type_: &'static str,
    reason: String,
    message: String,
    count: u32,
    first_timestamp: Time,
    last_timestamp: Time,
}

/// The whole text of a status file (SPEC 4).
pub(crate) fn render(report: &FileReport<'_>) -> String {
    let pods: Vec<Option<Pod>> = report
        .items
        .iter()
        .map(|(known, course)| match &known.object {
            Object::Pod(pod) => Some(full_pod(known, pod, course, report.host_ip)),
            Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Namespace(_)
            | Object::Job(_)
            | Object::CronJob(_)
            | Object::Unserved { .. } => None,
        })
        .collect();
    let summary = summary(report, &pods);
    let ignored = report.ignored.iter().map(|ignored| Ignored {
        line: ignored.line,
        field: field::public(&ignored.field),
        reason: &ignored.reason,
    });
    let items = report.items.iter().zip(pods).map(|((known, course), pod)| item(known, course, pod));
    to_yaml_in_order(&ManifestStatus {
        api_version: "droppod.dev/v1",
        kind: "ManifestStatus",
        metadata: FileMetadata { name: report.name },
        status: FileStatus {
            state: report.state,
            observed_hash: report.observed_hash,
            applied_hash: report.applied_hash,
            summary,
            errors: of_severity(report, Severity::Error).map(file_error).collect(),
            warnings: of_severity(report, Severity::Warning).map(file_error).collect(),
            ignored_fields: ignored.collect(),
        },
        items: items.collect(),
    })
}

fn of_severity<'a>(report: &FileReport<'a>, severity: Severity) -> impl Iterator<Item = &'a Mistake> {
    report.mistakes.iter().filter(move |mistake| mistake.severity == severity)
}

fn file_error(mistake: &Mistake) -> FileError<'_> {
    FileError {
        line: mistake.line,
        column: mistake.column,
        field: field::public(&mistake.field),
        message: &mistake.message,
        help: mistake.help.as_deref(),
    }
}

fn item<'a>(known: &'a Known, course: &'a Course, pod: Option<Pod>) -> Item<'a> {
    let (api_version, kind) = known.object.type_meta();
    let metadata = full_metadata(known);
    let listed = || {
        let mut listed: Vec<Event> = events(course).into_iter().rev().take(EVENTS).map(event).collect();
        listed.reverse();
        listed
    };
    Item {
        api_version,
        kind,
        metadata: ItemMetadata {
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            creation_timestamp: metadata.creation_timestamp,
            deletion_timestamp: metadata.deletion_timestamp,
            owner_references: metadata.owner_references,
        },
        course: match (pod, &course.control) {
            (Some(pod), _) => Some(ItemStatus::Pod(Box::new(pod.status))),
            (None, Some(control)) => Some(ItemStatus::Control(&control.status)),
            (None, None) => None,
        }
        .map(|status| ItemCourse { status, events: listed() }),
    }
}

fn event(record: EventRecord) -> Event {
    Event {
        type_: match record.kind {
            EventKind::Normal => "Normal",
            EventKind::Warning => "Warning",
        },
        reason: record.reason,
        message: record.message,
        count: record.count,
        first_timestamp: Time(record.first),
        last_timestamp: Time(record.last),
    }
}

/// One line for a person.
fn summary(report: &FileReport<'_>, pods: &[Option<Pod>]) -> String {
    if let Some(note) = report.note {
        return note.to_owned();
    }
    if report.state == FileState::Invalid {
        return format!("invalid: {}", counted(of_severity(report, Severity::Error).count(), "error"));
    }
    // What a Job's pods do is told by their Job, and what a CronJob's Jobs do in their own items.
    let declared = |known: &Known| known.record.owner.is_none();
    let pods: Vec<String> = report
        .items
        .iter()
        .zip(pods)
        .filter_map(|((known, _), pod)| pod.as_ref().filter(|_| declared(known)).map(doing))
        .collect();
    let own = report.items.iter().filter(|(known, _)| declared(known));
    let made: Vec<(&str, String)> = own.filter_map(|(known, course)| made(known, course)).collect();
    let of_kind =
        |kind| made.iter().filter(move |(of, _)| *of == kind).map(|(_, doing)| doing.clone()).collect();
    let parts = [("pod", pods), ("job", of_kind("job")), ("cronjob", of_kind("cronjob"))];
    let mut parts: Vec<String> = parts
        .into_iter()
        .filter(|(_, doings)| !doings.is_empty())
        .map(|(noun, doings)| told(noun, doings))
        .collect();
    let not_served =
        report.items.iter().filter(|(known, _)| matches!(known.object, Object::Unserved { .. })).count();
    let served = report.items.len() - not_served;
    if parts.is_empty() && (served > 0 || not_served == 0) {
        parts.push(counted(served, "object"));
    }
    match not_served {
        0 => {}
        1 => parts.push("1 object of a kind that is not served".to_owned()),
        several => parts.push(format!("{several} objects of kinds that are not served")),
    }
    parts.join("; ")
}

/// `3 pods: 2 running, 1 failed`
fn told(noun: &str, doings: Vec<String>) -> String {
    let all = doings.len();
    let mut tally: Vec<(String, usize)> = Vec::new();
    for doing in doings {
        match tally.iter_mut().find(|(known, _)| *known == doing) {
            Some((_, count)) => *count += 1,
            None => tally.push((doing, 1)),
        }
    }
    match tally.as_slice() {
        [(doing, count)] => format!("{} {doing}", counted(*count, noun)),
        several => {
            let parts: Vec<String> =
                several.iter().map(|(doing, count)| format!("{count} {doing}")).collect();
            format!("{}: {}", counted(all, noun), parts.join(", "))
        }
    }
}

/// What a Job or a CronJob does.
fn made(known: &Known, course: &Course) -> Option<(&'static str, String)> {
    match (&known.object, &course.control.as_ref()?.status) {
        (Object::Job(job), ControlStatus::Job(status)) => {
            let word =
                job_word(known.record.deletion.as_ref().map(|deletion| deletion.at), status).to_lowercase();
            Some(("job", format!("{word} ({})", completions(job, status))))
        }
        (_, ControlStatus::CronJob(status)) => {
            let running = status.active.as_ref().map_or(0, Vec::len);
            Some(("cronjob", if running > 0 { "at work".to_owned() } else { "waiting".to_owned() }))
        }
        (_, ControlStatus::Job(_)) => None,
    }
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// What a pod does, in a word or two.
fn doing(pod: &Pod) -> String {
    let word = status_word(pod);
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or_default();
    // What ended the pod as a whole says more than how its containers took it.
    let reason = status.and_then(|status| status.reason.as_deref()).unwrap_or(&word);
    match (phase, word.as_str()) {
        (_, "Terminating") => "terminating".to_owned(),
        ("Succeeded", _) => "succeeded".to_owned(),
        ("Failed", "Failed") => "failed".to_owned(),
        ("Failed", _) => format!("failed ({reason})"),
        ("Unknown", _) => "in an unknown state".to_owned(),
        (_, STOPPED) => "stopped".to_owned(),
        (_, "Running") => "running".to_owned(),
        _ => format!("waiting ({word})"),
    }
}
