//! A CronJob's fields (kubernetes `ValidateCronJobSpec`).

use crate::api::CronJob;
use crate::manifest::fault::Fault;
use crate::manifest::node::At;
use crate::manifest::unknown::similar;
use crate::model::schedule::{Schedule, ScheduleError, zone_named, zone_names};

use super::{Rules, job, metadata};

/// A Job's name is longer by the minute it was due at, and is a label's value.
const LONGEST_NAME: usize = 52;

pub(super) fn check(cron: &CronJob, at: &At<'_>, rules: &mut Rules) {
    let (metadata_at, spec_at) = (at.key("metadata"), at.key("spec"));
    let name_at = metadata_at.key("name");
    if cron.metadata.name.as_ref().is_some_and(|name| name.len() > LONGEST_NAME) {
        let message = format!("the name of a CronJob has at most {LONGEST_NAME} characters");
        rules.push(Fault::at(&name_at, message, "too long"));
    }
    let dst = metadata_at.key("annotations");
    rules.one_of(&dst.key("droppod.dev/dst"), &["once", "kubernetes"]);
    let spec = &cron.spec;
    if !spec_at.is_set() {
        return rules.required(&spec_at);
    }
    let schedule = spec_at.key("schedule");
    rules.required(&schedule);
    if !spec.schedule.is_empty()
        && let Err(error) = Schedule::parse(&spec.schedule)
    {
        let fault = Fault::at(&schedule, error.to_string(), "not a schedule");
        rules.push(fault.help(remedy(&error)));
    }
    if let Some(zone) = &spec.time_zone
        && (zone.eq_ignore_ascii_case("local") || zone_named(zone).is_none())
    {
        let help = match zone_like(zone) {
            Some(similar) => format!("did you mean `{similar}`?"),
            None => "write one of the tz database, such as Europe/Berlin, or Etc/UTC".to_owned(),
        };
        rules.wrong(&spec_at.key("timeZone"), "there is no such time zone", &help);
    }
    rules.one_of(&spec_at.key("concurrencyPolicy"), &["", "Allow", "Forbid", "Replace"]);
    let numbers = [
        ("startingDeadlineSeconds", spec.starting_deadline_seconds),
        ("successfulJobsHistoryLimit", spec.successful_jobs_history_limit.map(i64::from)),
        ("failedJobsHistoryLimit", spec.failed_jobs_history_limit.map(i64::from)),
    ];
    for (name, given) in numbers {
        rules.within(&spec_at.key(name), given, 0..=i64::from(i32::MAX));
    }
    let template = spec_at.key("jobTemplate");
    metadata::labels(&template.key("metadata"), rules);
    match &spec.job_template.spec {
        Some(job) => job::check_spec(job, &template.key("spec"), rules),
        None => rules.required(&template.key("spec")),
    }
}

fn remedy(error: &ScheduleError) -> &'static str {
    match error {
        ScheduleError::Zone => "give it as `timeZone`",
        ScheduleError::Interval => "write one such as `@every 90s` or `@every 1h30m`",
        ScheduleError::Macro => {
            "write one of `@yearly`, `@monthly`, `@weekly`, `@daily`, `@hourly`, `@every 5m`, or five fields"
        }
        ScheduleError::Range { field: "day of the week", .. } => "write `0` or `sun` for Sunday",
        ScheduleError::Fields(_)
        | ScheduleError::Word { .. }
        | ScheduleError::Range { .. }
        | ScheduleError::Backwards { .. }
        | ScheduleError::Step { .. } => {
            "the fields are minute, hour, day of the month, month, day of the week: `30 4 * * mon-fri`"
        }
    }
}

/// The zone that was likely meant: of a similar name, or of this city.
fn zone_like(name: &str) -> Option<String> {
    let names = zone_names();
    let city = |known: &&String| known.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(name));
    let similar = || similar(name, names.iter().map(String::as_str)).map(str::to_owned);
    names.iter().find(city).cloned().or_else(similar)
}
