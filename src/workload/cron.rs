//! A CronJob, as Kubernetes' controller sees it: the newest time that is due and not served yet gets a Job. That the
//! Job is made is what serves the time; `last_schedule` is written down after it and before the Job goes.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Zoned;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::api::{CronJob, CronJobSpec, ObjectMeta};
use crate::model::control::{Step, Steps};
use crate::model::id::Uid;
use crate::model::job::{CronRecord, Ending, JobRecord, Present};
use crate::model::object::{Known, ObjectRecord};
use crate::model::record::{EventKind, EventRecord, FORMAT, note};
use crate::model::schedule::{Dst, MANY, Schedule, zone_named};
use crate::model::time::Timestamp;

use super::control::{Child, made, mapping, owner_reference, seconds};

#[cfg(test)]
mod tests;

/// A clock that shows less than the newest served time by more than this has been wrong.
const WRONG_CLOCK: Duration = Duration::from_secs(86_400);
/// Dates that a machine has had by mistake and that are remembered.
const CLOCKS: usize = 8;
/// Annotation on a CronJob: what daylight saving does to it.
const DST: &str = "droppod.dev/dst";
/// Annotation on a Job: the time it was made for.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

struct Look<'a> {
    known: &'a Known,
    spec: &'a CronJobSpec,
    children: &'a [Child<'a>],
    jobs: &'a dyn Fn(&Uid) -> &'a JobRecord,
    zone: TimeZone,
    present: Present<'a>,
}

#[expect(clippy::too_many_arguments, reason = "all of them are facts, each of another kind")]
pub(super) fn sync<'a>(
    known: &'a Known,
    cron: &'a CronJob,
    mut record: CronRecord,
    children: &'a [Child<'a>],
    jobs: &'a dyn Fn(&Uid) -> &'a JobRecord,
    zone: TimeZone,
    present: Present<'a>,
    steps: &mut Steps,
) {
    let spec = &cron.spec;
    let before = record.clone();
    record.format = FORMAT;
    let look = Look { known, spec, children, jobs, zone, present };
    look.learn(&mut record);
    let mut work = Vec::new();
    look.end_old(&mut work);
    if spec.suspend != Some(true)
        && let Ok(schedule) = Schedule::parse(&spec.schedule)
    {
        look.start_due(&schedule, &mut record, &mut work, steps);
    }
    // A Job is made before it is noted that it was: its own record tells of it, too.
    let makes = work.iter().position(|step| !matches!(step, Step::Make(_))).unwrap_or(work.len());
    let rest = work.split_off(makes);
    steps.steps.append(&mut work);
    if record != before {
        steps.steps.push(Step::Cron(known.record.uid.clone(), Box::new(record)));
    }
    steps.steps.extend(rest);
}

impl<'a> Look<'a> {
    fn job(&self, child: &Child<'_>) -> &'a JobRecord {
        (self.jobs)(&child.known.record.uid)
    }

    /// What the Jobs in force tell. Times far ahead were served by a clock that was wrong, or it is wrong at present: they
    /// keep no other waiting, and are remembered until the clock comes to them.
    fn learn(&self, record: &mut CronRecord) {
        let now = self.present.now.wall;
        let mut served = std::mem::take(&mut record.ahead);
        served.extend(record.last_schedule);
        for child in self.children {
            let due = i64::try_from(child.number).ok().and_then(|second| Timestamp::from_second(second).ok());
            served.extend(due);
            let job = self.job(child);
            if job.ended() == Some(Ending::Success) {
                let at = job.finished.as_ref().map(|finished| finished.wall);
                record.last_success = record.last_success.max(at);
            }
        }
        let (ahead, past): (BTreeSet<_>, BTreeSet<_>) =
            served.into_iter().partition(|served| is_far_ahead(*served, now));
        let is_wrong = !ahead.is_empty() || is_far_ahead(self.known.record.created_at, now);
        record.ahead = newest_of_each(ahead);
        record.last_schedule = past.last().copied().or(is_wrong.then_some(now));
    }

    /// Ended Jobs beyond what is to be kept, the oldest first.
    fn end_old(&self, work: &mut Vec<Step>) {
        let limits = [
            (Ending::Success, self.spec.successful_jobs_history_limit.unwrap_or(3)),
            (Ending::Failure, self.spec.failed_jobs_history_limit.unwrap_or(1)),
        ];
        for (ending, limit) in limits {
            let limit = usize::try_from(limit).unwrap_or(0);
            let of_ending = |child: &&Child<'_>| !child.is_to_go() && self.job(child).ended() == Some(ending);
            let ended: Vec<&Child<'_>> = self.children.iter().filter(of_ending).collect();
            let old = ended.len().saturating_sub(limit);
            work.extend(ended[..old].iter().map(|child| end(child)));
        }
    }

    fn start_due(
        &self,
        schedule: &Schedule,
        record: &mut CronRecord,
        work: &mut Vec<Step>,
        steps: &mut Steps,
    ) {
        let (now, dst) = (self.present.now.wall, self.dst());
        let next = schedule.next(now, &self.zone, dst);
        steps.wake_in(next.and_then(|next| Duration::try_from(next.duration_since(now)).ok()));
        let served = record.last_schedule.unwrap_or(self.known.record.created_at);
        let deadline = self.spec.starting_deadline_seconds.map(seconds);
        let earliest = deadline.and_then(|deadline| now.checked_sub(deadline).ok());
        // A time on the edge of the deadline is still in time.
        let earliest = earliest.and_then(|at| at.checked_sub(Duration::from_secs(1)).ok());
        let since = earliest.map_or(served, |earliest| earliest.max(served));
        let Some((due, missed)) = schedule.last(since, now, &self.zone, dst) else {
            return self.tell_missed(schedule, served, record);
        };
        if self.children.iter().any(|child| seconds_of(due) == Some(child.number)) {
            return;
        }
        if missed == MANY {
            let message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            self.event(record, EventKind::Warning, "TooManyMissedTimes", message.to_owned());
        }
        let unfinished = || self.children.iter().filter(|child| self.job(child).finished.is_none());
        match self.spec.concurrency_policy.as_deref() {
            Some("Forbid") if unfinished().next().is_some() => {
                let message =
                    "Not starting job because prior execution is running and concurrency policy is Forbid";
                return self.event(record, EventKind::Normal, "JobAlreadyActive", message.to_owned());
            }
            Some("Replace") => work.extend(unfinished().filter(|child| !child.is_to_go()).map(end)),
            Some(_) | None => {}
        }
        let Some(job) = self.make(due) else { return };
        self.event(record, EventKind::Normal, "SuccessfulCreate", format!("Created job {}", job.key.name));
        record.last_schedule = Some(due);
        work.insert(0, Step::Make(job));
    }

    /// A time that passed while its deadline did, too, is told.
    fn tell_missed(&self, schedule: &Schedule, served: Timestamp, record: &mut CronRecord) {
        let missed = schedule.last(served, self.present.now.wall, &self.zone, self.dst());
        if let Some((due, _)) = missed {
            let message = format!("Missed scheduled time to start a job: {due}");
            if record.events.last().is_none_or(|event| event.message != message) {
                self.event(record, EventKind::Warning, "MissSchedule", message);
            }
        }
    }

    fn dst(&self) -> Dst {
        dst(self.known.object.metadata())
    }

    fn make(&self, due: Timestamp) -> Option<Box<ObjectRecord>> {
        let number = seconds_of(due)?;
        let name = format!("{}-{}", self.known.record.key.name, number / 60);
        let mut authored =
            self.known.record.authored.pointer("/spec/jobTemplate").cloned().unwrap_or_default();
        let metadata = mapping(&mut authored, "metadata");
        metadata["name"] = json!(name);
        metadata["namespace"] = json!(self.known.record.key.namespace);
        metadata["ownerReferences"] = json!([owner_reference(self.known)]);
        let local = due.to_zoned(self.zone.clone());
        mapping(metadata, "annotations")[SCHEDULED] =
            json!(local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string());
        authored["apiVersion"] = json!("batch/v1");
        authored["kind"] = json!("Job");
        Some(made(self.known, number, "batch", "Job", name, authored, self.present))
    }

    /// What is so at each look is told once.
    fn event(&self, record: &mut CronRecord, kind: EventKind, reason: &str, message: String) {
        let now = self.present.now.wall;
        if record.events.last().is_some_and(|event| event.reason == reason && event.message == message) {
            return;
        }
        note(&mut record.events, EventRecord::once(kind, reason, message, None, now));
    }
}

fn dst(metadata: &ObjectMeta) -> Dst {
    match metadata.annotations.as_ref().and_then(|annotations| annotations.get(DST)).map(String::as_str) {
        Some("once") => Dst::Once,
        Some(_) | None => Dst::Kubernetes,
    }
}

/// The times after `after` at which a CronJob is due, in its time zone or in `zone`; none while it is suspended.
pub(crate) fn next_times(cron: &CronJob, after: Timestamp, zone: &TimeZone, count: usize) -> Vec<Zoned> {
    let Some(schedule) =
        Schedule::parse(&cron.spec.schedule).ok().filter(|_| cron.spec.suspend != Some(true))
    else {
        return Vec::new();
    };
    let named = cron.spec.time_zone.as_deref().and_then(zone_named);
    let (zone, dst) = (named.unwrap_or_else(|| zone.clone()), dst(&cron.metadata));
    let times =
        std::iter::successors(schedule.next(after, &zone, dst), |time| schedule.next(*time, &zone, dst));
    times.take(count).map(|time| time.to_zoned(zone.clone())).collect()
}

/// Of times that one clock showed, the newest; of as many clocks as a machine may have had.
fn newest_of_each(times: BTreeSet<Timestamp>) -> BTreeSet<Timestamp> {
    let mut newest = BTreeSet::new();
    for time in times {
        if newest.last().is_some_and(|last| !is_far_ahead(time, *last)) {
            newest.pop_last();
        }
        newest.insert(time);
    }
    while newest.len() > CLOCKS {
        newest.pop_last();
    }
    newest
}

fn is_far_ahead(time: Timestamp, now: Timestamp) -> bool {
    Duration::try_from(time.duration_since(now)).unwrap_or_default() > WRONG_CLOCK
}

fn seconds_of(time: Timestamp) -> Option<u64> {
    u64::try_from(time.as_second()).ok()
}

fn end(child: &Child<'_>) -> Step {
    Step::End { uid: child.uid().clone(), grace: None }
}
