//! The status file beside a manifest.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use serde::Serialize;

use crate::api::{Object, Pod, PodStatus};
use crate::manifest::{IgnoredField, Mistake, Severity, to_yaml_in_order};
use crate::model::object::Known;
use crate::model::record::{EventKind, EventRecord};

use super::job::ControlStatus;
use super::summary::{Tense, summary};
use super::{Course, events, field, full_metadata, full_pod};

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
    pub(crate) tense: Tense,
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
    let courses = report.items.iter().map(|(_, course)| match report.tense {
        Tense::Present => Cow::Borrowed(*course),
        Tense::Past => Cow::Owned(course.at_rest()),
    });
    let courses: Vec<Cow<'_, Course>> = courses.collect();
    let items = || report.items.iter().map(|(known, _)| *known).zip(courses.iter().map(Cow::as_ref));
    let pods: Vec<Option<Pod>> = items()
        .map(|(known, course)| match &*known.object {
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
    let items = items().zip(pods).map(|((known, course), pod)| item(known, course, pod));
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

pub(super) fn of_severity<'a>(
    report: &FileReport<'a>,
    severity: Severity,
) -> impl Iterator<Item = &'a Mistake> {
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
