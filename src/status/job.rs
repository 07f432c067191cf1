//! JobStatus and CronJobStatus: what controllers remember and what their pods do, in Kubernetes' fields.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{CronJobStatus, JobCondition, JobStatus};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{Job, Object};
use crate::model::control::Controlled;
use crate::model::id::Uid;
use crate::model::indexes::Indexes;
use crate::model::job::{CronRecord, Ending, JobRecord, SuspensionState};
use crate::model::object::Known;
use crate::model::pod_plan::Role;
use crate::model::record::{EventRecord, Outcome, PodRecord};
use crate::model::time::Timestamp;
use crate::workload;

/// The state of an object that makes others.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Control {
    pub(crate) status: ControlStatus,
    pub(crate) events: Vec<EventRecord>,
    /// Fields of the spec that were edited after the end.
    pub(crate) in_vain: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum ControlStatus {
    Job(Box<JobStatus>),
    CronJob(CronJobStatus),
}

/// How far a pod has come, as far as it counts for its Job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Unready,
    Ready,
    Ended,
}

/// Of a pod whose end is not on disc.
pub(crate) fn stage(record: &PodRecord) -> Stage {
    let mut apps = record.containers.iter().filter(|container| container.role == Role::App).peekable();
    match &record.outcome {
        Some(Outcome::Succeeded | Outcome::Failed { .. }) => Stage::Ended,
        Some(Outcome::Deleted | Outcome::Interrupted) | None => {
            if apps.peek().is_some() && apps.all(|container| container.ready) {
                Stage::Ready
            } else {
                Stage::Unready
            }
        }
    }
}

/// The state of each Job and CronJob.
pub(crate) fn controls<'a>(
    objects: impl Iterator<Item = &'a Known> + Clone,
    controlled: &Controlled,
    stage: impl Fn(&Uid) -> Stage,
) -> BTreeMap<Uid, Control> {
    let mut made: BTreeMap<&Uid, Vec<&Known>> = BTreeMap::new();
    for known in objects.clone() {
        if let Some(owner) = &known.record.owner {
            made.entry(&owner.uid).or_default().push(known);
        }
    }
    let mut controls = BTreeMap::new();
    for known in objects {
        let uid = &known.record.uid;
        let children = made.get(uid).map_or(&[][..], Vec::as_slice);
        let control = match &*known.object {
            Object::Job(job) => {
                let record = controlled.jobs.get(uid).cloned().unwrap_or_default();
                let status = job_status(job, &record, children, &stage);
                let in_vain = workload::edited_in_vain(&known.record.authored, &record);
                Control { status: ControlStatus::Job(Box::new(status)), events: record.events, in_vain }
            }
            Object::CronJob(_) => {
                let record = controlled.crons.get(uid).cloned().unwrap_or_default();
                let status = cron_status(&record, children, controlled);
                let in_vain = Vec::new();
                Control { status: ControlStatus::CronJob(status), events: record.events, in_vain }
            }
            Object::Pod(_)
            | Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Namespace(_)
            | Object::Unserved { .. } => continue,
        };
        controls.insert(uid.clone(), control);
    }
    controls
}

fn job_status(job: &Job, record: &JobRecord, pods: &[&Known], stage: impl Fn(&Uid) -> Stage) -> JobStatus {
    let spec = job.spec.as_ref();
    let indexes = spec
        .filter(|spec| spec.completion_mode.as_deref() == Some("Indexed"))
        .map(|spec| spec.completions.and_then(|count| u64::try_from(count).ok()).unwrap_or(0));
    // An edit may have taken indexes away that have ended by then.
    let of_indexes = |ended: &Indexes| indexes.map(|indexes| ended.below(indexes));
    let completed = of_indexes(&record.completed);
    let succeeded = completed.as_ref().map_or(record.succeeded, Indexes::len);
    let living = || {
        let stages = pods.iter().map(|pod| (pod.record.deletion.is_some(), stage(&pod.record.uid)));
        stages.filter(|(_, stage)| *stage != Stage::Ended)
    };
    let terminating = living().filter(|(is_to_go, _)| *is_to_go).count();
    let active = living().count() - terminating;
    let ready = living().filter(|(is_to_go, stage)| !is_to_go && *stage == Stage::Ready).count();
    let ended_well = record.ended() == Some(Ending::Success);
    let by_index = spec.is_some_and(|spec| spec.backoff_limit_per_index.is_some());
    JobStatus {
        active: number(active as u64).filter(|many| *many > 0),
        ready: number(ready as u64),
        terminating: number(terminating as u64),
        succeeded: number(succeeded).filter(|many| *many > 0),
        failed: number(record.failed).filter(|many| *many > 0),
        completed_indexes: completed.filter(|completed| !completed.is_empty()).map(|it| it.to_string()),
        failed_indexes: of_indexes(&record.failed_indexes).filter(|_| by_index).map(|it| it.to_string()),
        start_time: record.started.as_ref().map(|at| Time(at.wall)),
        completion_time: record.finished.as_ref().filter(|_| ended_well).map(|at| Time(at.wall)),
        conditions: Some(conditions(record)).filter(|conditions| !conditions.is_empty()),
        uncounted_terminated_pods: None,
    }
}

fn number(count: u64) -> Option<i32> {
    Some(i32::try_from(count).unwrap_or(i32::MAX))
}

fn conditions(record: &JobRecord) -> Vec<JobCondition> {
    let mut conditions = Vec::new();
    if let Some(suspension) = &record.suspension {
        let (status, reason, message) = match suspension.state {
            SuspensionState::Suspended => ("True", "JobSuspended", "Job suspended"),
            SuspensionState::Resumed => ("False", "JobResumed", "Job resumed"),
        };
        conditions.push(condition("Suspended", status, reason, message, suspension.since));
    }
    let Some(verdict) = &record.verdict else { return conditions };
    let (early, late) = match verdict.reason.ending() {
        Ending::Success => ("SuccessCriteriaMet", "Complete"),
        Ending::Failure => ("FailureTarget", "Failed"),
    };
    let times = [(early, Some(verdict.at)), (late, record.finished.as_ref().map(|finished| finished.wall))];
    for (kind, at) in times {
        conditions.extend(at.map(|at| condition(kind, "True", verdict.reason.word(), &verdict.message, at)));
    }
    conditions
}

fn condition(kind: &str, status: &str, reason: &str, message: &str, at: Timestamp) -> JobCondition {
    JobCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(Time(at)),
        last_transition_time: Some(Time(at)),
    }
}

fn cron_status(record: &CronRecord, jobs: &[&Known], controlled: &Controlled) -> CronJobStatus {
    let unfinished = jobs.iter().filter(|job| {
        let has_ended = controlled.jobs.get(&job.record.uid).is_some_and(|record| record.finished.is_some());
        job.record.deletion.is_none() && !has_ended
    });
    let active: Vec<ObjectReference> = unfinished
        .map(|job| ObjectReference {
            api_version: Some("batch/v1".to_owned()),
            kind: Some("Job".to_owned()),
            name: Some(job.record.key.name.clone()),
            namespace: Some(job.record.key.namespace.clone()),
            uid: Some(job.record.uid.to_string()),
            ..ObjectReference::default()
        })
        .collect();
    CronJobStatus {
        active: Some(active).filter(|active| !active.is_empty()),
        last_schedule_time: record.last_schedule.map(Time),
        last_successful_time: record.last_success.map(Time),
    }
}

/// kubectl's STATUS of a Job.
pub(crate) fn job_word(deleted_at: Option<Timestamp>, status: &JobStatus) -> &'static str {
    let has = |kind: &str| {
        let conditions = status.conditions.iter().flatten();
        conditions.into_iter().any(|condition| condition.type_ == kind && condition.status == "True")
    };
    let words = [
        ("Complete", has("Complete")),
        ("Failed", has("Failed")),
        ("Terminating", deleted_at.is_some()),
        ("Suspended", has("Suspended")),
        ("FailureTarget", has("FailureTarget")),
        ("SuccessCriteriaMet", has("SuccessCriteriaMet")),
    ];
    words.into_iter().find(|(_, holds)| *holds).map_or("Running", |(word, _)| word)
}

/// kubectl's COMPLETIONS of a Job.
pub(crate) fn completions(job: &Job, status: &JobStatus) -> String {
    let succeeded = status.succeeded.unwrap_or(0);
    let spec = job.spec.as_ref();
    match (spec.and_then(|spec| spec.completions), spec.and_then(|spec| spec.parallelism).unwrap_or(1)) {
        (Some(completions), _) => format!("{succeeded}/{completions}"),
        (None, parallelism) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    }
}
