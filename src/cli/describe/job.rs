//! Jobs and CronJobs, and the pods that they make.

use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::PodTemplateSpec;

use crate::api::{CronJob, Job, Pod};
use crate::status::age;

use super::sheet::{Sheet, date};
use super::{container, metadata, pod, volumes};

/// Longest list of indexes that is shown whole.
const INDEXES_SHOWN: usize = 50;

pub(super) fn job(job: &Job, sheet: &mut Sheet) {
    metadata::name(&job.metadata, sheet);
    // Its pods are told by their owner.
    sheet.field(0, "Selector", "");
    metadata::marks(&job.metadata, sheet);
    metadata::controller(&job.metadata, sheet);
    let (spec, status) = (job.spec.clone().unwrap_or_default(), job.status.clone().unwrap_or_default());
    sheet.field_if(0, "Parallelism", spec.parallelism);
    sheet.field(0, "Completions", or_unset(spec.completions));
    sheet.field_if(0, "Completion Mode", spec.completion_mode.as_ref());
    sheet.field_if(0, "Suspend", spec.suspend);
    sheet.field_if(0, "Backoff Limit", spec.backoff_limit);
    sheet.field_if(0, "TTL Seconds After Finished", spec.ttl_seconds_after_finished);
    let (began, ended) = (status.start_time.as_ref(), status.completion_time.as_ref());
    sheet.field_if(0, "Start Time", began.map(|time| date(time.0)));
    sheet.field_if(0, "Completed At", ended.map(|time| date(time.0)));
    if let (Some(began), Some(ended)) = (began, ended) {
        let lasted = std::time::Duration::try_from(ended.0.duration_since(began.0));
        sheet.field(0, "Duration", age(lasted.unwrap_or_default()));
    }
    sheet.field_if(
        0,
        "Active Deadline Seconds",
        spec.active_deadline_seconds.map(|seconds| format!("{seconds}s")),
    );
    let count = |count: Option<i32>| count.unwrap_or(0);
    let ready = status.ready.map_or_else(String::new, |ready| format!(" ({ready} Ready)"));
    sheet.field(
        0,
        "Pods Statuses",
        format_args!(
            "{} Active{ready} / {} Succeeded / {} Failed",
            count(status.active),
            count(status.succeeded),
            count(status.failed)
        ),
    );
    if spec.completion_mode.as_deref() == Some("Indexed") {
        sheet.field(0, "Completed Indexes", indexes(status.completed_indexes.as_deref().unwrap_or_default()));
    }
    template(&spec.template, sheet);
}

pub(super) fn cron_job(cron: &CronJob, sheet: &mut Sheet) {
    metadata::name(&cron.metadata, sheet);
    metadata::marks(&cron.metadata, sheet);
    let (spec, status) = (&cron.spec, cron.status.clone().unwrap_or_default());
    sheet.field(0, "Schedule", &spec.schedule);
    sheet.field(0, "Concurrency Policy", spec.concurrency_policy.as_deref().unwrap_or_default());
    let suspend = spec.suspend.map(|suspend| if suspend { "True" } else { "False" });
    sheet.field(0, "Suspend", or_unset(suspend));
    sheet.field(0, "Successful Job History Limit", or_unset(spec.successful_jobs_history_limit));
    sheet.field(0, "Failed Job History Limit", or_unset(spec.failed_jobs_history_limit));
    let deadline = spec.starting_deadline_seconds.map(|seconds| format!("{seconds}s"));
    sheet.field(0, "Starting Deadline Seconds", or_unset(deadline));
    made(&spec.job_template.spec.clone().unwrap_or_default(), sheet);
    let last = status.last_schedule_time.map(|time| date(time.0));
    sheet.field(0, "Last Schedule Time", or_unset(last));
    let active: Vec<String> = status.active.into_iter().flatten().filter_map(|job| job.name).collect();
    sheet.field(0, "Active Jobs", if active.is_empty() { "<none>".to_owned() } else { active.join(", ") });
}

/// What a CronJob's Jobs are made of.
fn made(spec: &JobSpec, sheet: &mut Sheet) {
    sheet.field(0, "Selector", "<unset>");
    sheet.field(0, "Parallelism", or_unset(spec.parallelism));
    sheet.field(0, "Completions", or_unset(spec.completions));
    sheet.field_if(
        0,
        "Active Deadline Seconds",
        spec.active_deadline_seconds.map(|seconds| format!("{seconds}s")),
    );
    template(&spec.template, sheet);
}

fn template(template: &PodTemplateSpec, sheet: &mut Sheet) {
    sheet.line(0, "Pod Template:");
    let metadata = template.metadata.clone().unwrap_or_default();
    metadata::pairs("  Labels", metadata.labels.as_ref(), sheet);
    if metadata.annotations.as_ref().is_some_and(|annotations| !annotations.is_empty()) {
        metadata::annotations("  Annotations:", metadata.annotations.as_ref(), sheet);
    }
    let spec = template.spec.clone().unwrap_or_default();
    sheet.field_if(1, "Service Account", spec.service_account_name.as_ref());
    let none = Pod::default();
    if let Some(containers) = spec.init_containers.as_deref().filter(|list| !list.is_empty()) {
        container::describe("  Init Containers", containers, &[], &none, sheet);
    }
    container::describe("  Containers", &spec.containers, &[], &none, sheet);
    volumes::describe("  Volumes", spec.volumes.as_deref().unwrap_or_default(), sheet);
    sheet.field_if(1, "Priority Class Name", spec.priority_class_name.as_ref());
    metadata::pairs("  Node-Selectors", spec.node_selector.as_ref(), sheet);
    pod::tolerations("  Tolerations:", spec.tolerations.as_deref().unwrap_or_default(), sheet);
}

fn or_unset<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "<unset>".to_owned(), |value| value.to_string())
}

fn indexes(indexes: &str) -> String {
    if indexes.is_empty() {
        return "<none>".to_owned();
    }
    if indexes.len() <= INDEXES_SHOWN {
        return indexes.to_owned();
    }
    let shown = indexes[..INDEXES_SHOWN].rfind(',').unwrap_or(0);
    format!("{},...", &indexes[..shown])
}
