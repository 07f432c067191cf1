//! Jobs and CronJobs, and the pods they make.

use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::{JobStatus, JobTemplateSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;

use crate::api::{CronJob, Job, JobSpec, Pod, PodSpec};
use crate::model::time::Timestamp;
use crate::status::age;
use crate::workload;

use super::container::{self, Within};
use super::metadata;
use super::pod::tolerations;
use super::sheet::{Sheet, date};
use super::volumes;

/// How many of a CronJob's next times are told, which kubectl does not.
const NEXT: usize = 3;
/// Lists of indexes are told to about this length, as kubectl does it.
const INDEXES: usize = 50;
const UNSET: &str = "<unset>";

pub(super) fn job(job: &Job, sheet: &mut Sheet) {
    let (no_spec, no_status) = (JobSpec::default(), JobStatus::default());
    let spec = job.spec.as_ref().unwrap_or(&no_spec);
    let status = job.status.as_ref().unwrap_or(&no_status);
    metadata::name(&job.metadata, sheet);
    // What the API server writes into each Job; the pods here have the label, too.
    let uid = job.metadata.uid.as_deref().unwrap_or_default();
    sheet.field(0, "Selector", format_args!("batch.kubernetes.io/controller-uid={uid}"));
    metadata::marks(&job.metadata, sheet);
    metadata::controller(&job.metadata, sheet);
    sheet.field_if(0, "Parallelism", spec.parallelism);
    sheet.field(0, "Completions", or_unset(spec.completions));
    sheet.field_if(0, "Completion Mode", spec.completion_mode.as_ref());
    sheet.field_if(0, "Suspend", spec.suspend);
    sheet.field_if(0, "Backoff Limit", spec.backoff_limit);
    sheet.field_if(0, "TTL Seconds After Finished", spec.ttl_seconds_after_finished);
    let (start, end) = (status.start_time.as_ref(), status.completion_time.as_ref());
    sheet.field_if(0, "Start Time", start.map(|time| date(time.0)));
    sheet.field_if(0, "Completed At", end.map(|time| date(time.0)));
    if let (Some(start), Some(end)) = (start, end) {
        sheet.field(0, "Duration", age(end.0.duration_since(start.0).try_into().unwrap_or_default()));
    }
    sheet.field_if(0, "Active Deadline Seconds", spec.active_deadline_seconds.map(in_seconds));
    let ready = status.ready.map_or_else(String::new, |ready| format!(" ({ready} Ready)"));
    let count = |count: Option<i32>| count.unwrap_or(0);
    let (succeeded, failed) = (count(status.succeeded), count(status.failed));
    let active = count(status.active);
    let statuses = format_args!("{active} Active{ready} / {succeeded} Succeeded / {failed} Failed");
    sheet.field(0, "Pods Statuses", statuses);
    if spec.completion_mode.as_deref() == Some("Indexed") {
        let indexes = status.completed_indexes.as_deref().unwrap_or_default();
        sheet.field(0, "Completed Indexes", cut(indexes));
    }
    template(&spec.template, sheet);
}

pub(super) fn cron_job(cron: &CronJob, zone: &TimeZone, now: Timestamp, sheet: &mut Sheet) {
    let spec = &cron.spec;
    let status = cron.status.as_ref();
    metadata::name(&cron.metadata, sheet);
    metadata::marks(&cron.metadata, sheet);
    sheet.field(0, "Schedule", &spec.schedule);
    sheet.field(0, "Concurrency Policy", spec.concurrency_policy.as_deref().unwrap_or_default());
    let suspend = spec.suspend.map(|suspend| if suspend { "True" } else { "False" });
    sheet.field(0, "Suspend", or_unset(suspend));
    sheet.field(0, "Successful Job History Limit", or_unset(spec.successful_jobs_history_limit));
    sheet.field(0, "Failed Job History Limit", or_unset(spec.failed_jobs_history_limit));
    let deadline = spec.starting_deadline_seconds.map(in_seconds);
    sheet.field(0, "Starting Deadline Seconds", or_unset(deadline));
    job_template(&spec.job_template, sheet);
    let last = status.and_then(|status| status.last_schedule_time.as_ref());
    sheet.field(0, "Last Schedule Time", or_unset(last.map(|time| date(time.0))));
    let active = status.and_then(|status| status.active.as_deref()).unwrap_or_default();
    let names: Vec<&str> = active.iter().filter_map(|job| job.name.as_deref()).collect();
    let names = if names.is_empty() { "<none>".to_owned() } else { names.join(", ") };
    sheet.field(0, "Active Jobs", names);
    sheet.field_if(0, "Time Zone", spec.time_zone.as_ref());
    let next = workload::next_times(cron, now, zone, NEXT);
    let mut title = "Next Times:";
    for time in next {
        sheet.line(0, format_args!("{title}\t{}", time.strftime("%a, %d %b %Y %H:%M:%S %z")));
        title = "";
    }
    if !title.is_empty() {
        sheet.line(0, format_args!("{title}\t<none>"));
    }
}

fn job_template(template: &JobTemplateSpec, sheet: &mut Sheet) {
    let no_spec = JobSpec::default();
    let spec = template.spec.as_ref().unwrap_or(&no_spec);
    sheet.field(0, "Selector", UNSET);
    sheet.field(0, "Parallelism", or_unset(spec.parallelism));
    sheet.field(0, "Completions", or_unset(spec.completions));
    sheet.field_if(0, "Active Deadline Seconds", spec.active_deadline_seconds.map(in_seconds));
    self::template(&spec.template, sheet);
}

fn template(template: &PodTemplateSpec, sheet: &mut Sheet) {
    let no_spec = PodSpec::default();
    let spec = template.spec.as_ref().unwrap_or(&no_spec);
    sheet.line(0, "Pod Template:");
    let metadata = template.metadata.as_ref();
    metadata::pairs(1, "Labels", metadata.and_then(|metadata| metadata.labels.as_ref()), sheet);
    let annotations = metadata.and_then(|metadata| metadata.annotations.as_ref());
    if annotations.is_some_and(|annotations| !annotations.is_empty()) {
        metadata::annotations(1, annotations, sheet);
    }
    sheet.field_if(1, "Service Account", spec.service_account_name.as_ref());
    // Of the pods to come nothing is known that a variable could be made from.
    let unknown = Pod::default();
    if let Some(containers) = spec.init_containers.as_deref().filter(|list| !list.is_empty()) {
        container::describe(Within::Template, "Init Containers", containers, &[], &unknown, sheet);
    }
    container::describe(Within::Template, "Containers", &spec.containers, &[], &unknown, sheet);
    volumes::describe(Within::Template, spec.volumes.as_deref().unwrap_or_default(), sheet);
    metadata::pairs(1, "Node-Selectors", spec.node_selector.as_ref(), sheet);
    tolerations(1, spec.tolerations.as_deref().unwrap_or_default(), sheet);
}

fn or_unset(value: Option<impl ToString>) -> String {
    value.map_or_else(|| UNSET.to_owned(), |value| value.to_string())
}

fn in_seconds(seconds: i64) -> String {
    format!("{seconds}s")
}

/// Cut after the first run that ends beyond the limit.
fn cut(indexes: &str) -> String {
    if indexes.is_empty() {
        return "<none>".to_owned();
    }
    match indexes.get(INDEXES..).and_then(|rest| rest.find(',')) {
        Some(at) => format!("{}...", &indexes[..=INDEXES + at]),
        None => indexes.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_indexes_are_cut_between_two() {
        assert_eq!(cut(""), "<none>");
        assert_eq!(cut("0-3,5"), "0-3,5");
        let long: Vec<String> = (0..40).map(|number| (number * 2).to_string()).collect();
        assert_eq!(cut(&long.join(",")), format!("{},...", long[..19].join(",")));
    }
}
