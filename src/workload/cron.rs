//! A CronJob, as Kubernetes' controller sees it: the newest time that is due and not served yet gets a Job. That the
//! Job is made is what serves the time; `last_schedule` is written down after it and before the Job goes.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::json;

use crate::api::{CronJob, CronJobSpec};
use crate::model::control::{Step, Steps};
use crate::model::id::Uid;
use crate::model::job::{CronRecord, Ending, JobRecord, Present};
use crate::model::object::{Known, ObjectRecord};
use crate::model::record::{EventKind, EventRecord, FORMAT, note};
use crate::model::schedule::{Dst, MANY, Schedule};
use crate::model::time::Timestamp;

use super::control::{Child, made, mapping, owner_reference, seconds};

mod clocks;
mod times;

#[cfg(test)]
mod tests;

pub(crate) use times::{next_time, next_times};

use clocks::{is_far_ahead, newest_of_each, until_near};
use times::dst;

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
    steps.wake_in(record.ahead.first().and_then(|served| until_near(*served, present.now.wall)));
    let mut old = Vec::new();
    look.end_old(&mut record, &mut old);
    let mut newest = look.newest_beyond(before.last_schedule);
    if spec.suspend != Some(true)
        && let Ok(schedule) = Schedule::parse(&spec.schedule)
        && let Some((number, job)) = look.start_due(&schedule, &mut record, steps)
    {
        // A Job is made before it is noted that it was: its own record tells of it, too.
        steps.steps.push(Step::Make(job));
        newest = Some(number);
    }
    if let Some(number) = newest {
        look.replace(number, &mut record, steps);
    }
    if record != before {
        steps.steps.push(Step::Cron(known.record.uid.clone(), Box::new(record)));
    }
    steps.steps.append(&mut old);
}

impl<'a> Look<'a> {
    fn job(&self, child: &Child<'_>) -> &'a JobRecord {
        (self.jobs)(&child.known.record.uid)
    }

    fn name(&self, number: u64) -> String {
        // Two runs of one minute, which only a short interval has, need two names.
        let parsed = Schedule::parse(&self.spec.schedule);
        let by_minute = parsed.is_ok_and(|schedule| schedule.has_minutes_of_its_own());
        format!("{}-{}", self.known.record.key.name, if by_minute { number / 60 } else { number })
    }

    /// What the Jobs in force tell. Times far ahead were served by a clock that was wrong, or it is wrong at present: they
    /// keep no other waiting, and are remembered until the clock comes to them.
    fn learn(&self, record: &mut CronRecord) {
        let now = self.present.now.wall;
        let mut served = std::mem::take(&mut record.ahead);
        served.extend(record.last_schedule);
        for child in self.children {
            served.extend(due_of(child.number));
            let job = self.job(child);
            if job.ended() == Some(Ending::Success) {
                let at = job.finished.as_ref().map(|finished| finished.wall);
                record.last_success = record.last_success.max(at);
            }
            self.follow(child, job, record);
        }
        let (ahead, past): (BTreeSet<_>, BTreeSet<_>) =
            served.into_iter().partition(|served| is_far_ahead(*served, now));
        let is_wrong = !ahead.is_empty() || is_far_ahead(self.known.record.created_at, now);
        record.ahead = newest_of_each(ahead);
        let was = record.last_schedule.unwrap_or(self.known.record.created_at);
        record.last_schedule = past.last().copied().or(is_wrong.then_some(now));
        if is_far_ahead(was, now) {
            let message =
                format!("the clock was set back by more than a day: the schedule goes on from {now}");
            self.note(record, EventKind::Warning, "ClockSetBack", message);
        }
        let gone = |number: &u64| !self.children.iter().any(|child| child.number == *number);
        let missing: Vec<u64> = record.active.keys().copied().filter(gone).collect();
        for number in missing {
            let name = record.active.remove(&number).unwrap_or_default();
            self.note(record, EventKind::Normal, "MissingJob", format!("Active job went missing: {name}"));
        }
    }

    /// Keeps the list of Jobs that have not ended, and tells when one has.
    fn follow(&self, child: &Child<'_>, job: &JobRecord, record: &mut CronRecord) {
        let name = &child.known.record.key.name;
        match job.ended() {
            Some(ending) => {
                if record.active.remove(&child.number).is_some() {
                    let condition = match ending {
                        Ending::Success => "Complete",
                        Ending::Failure => "Failed",
                    };
                    let message = format!("Saw completed job: {name}, condition: {condition}");
                    self.note(record, EventKind::Normal, "SawCompletedJob", message);
                }
            }
            None if child.is_to_go() => {}
            None => {
                record.active.entry(child.number).or_insert_with(|| name.clone());
            }
        }
    }

    /// Ended Jobs beyond what is to be kept, the oldest first.
    fn end_old(&self, record: &mut CronRecord, old: &mut Vec<Step>) {
        let limits = [
            (Ending::Success, self.spec.successful_jobs_history_limit.unwrap_or(3)),
            (Ending::Failure, self.spec.failed_jobs_history_limit.unwrap_or(1)),
        ];
        for (ending, limit) in limits {
            let limit = usize::try_from(limit).unwrap_or(0);
            let of_ending = |child: &&Child<'_>| !child.is_to_go() && self.job(child).ended() == Some(ending);
            let ended: Vec<&Child<'_>> = self.children.iter().filter(of_ending).collect();
            for child in &ended[..ended.len().saturating_sub(limit)] {
                old.push(self.end(child, record));
            }
        }
    }

    /// The Job of the newest time that is due, with the time in seconds.
    fn start_due(
        &self,
        schedule: &Schedule,
        record: &mut CronRecord,
        steps: &mut Steps,
    ) -> Option<(u64, Box<ObjectRecord>)> {
        let (now, dst) = (self.present.now.wall, self.dst());
        let served = record.last_schedule.unwrap_or(self.known.record.created_at);
        let next = schedule.next(schedule.base(served, now), &self.zone, dst);
        steps.wake_in(next.and_then(|next| Duration::try_from(next.duration_since(now)).ok()));
        self.tell_set_back(schedule, served, record);
        let deadline = self.spec.starting_deadline_seconds.map(seconds);
        let earliest = deadline.and_then(|deadline| now.checked_sub(deadline).ok());
        // A time on the edge of the deadline is still in time.
        let earliest = earliest.and_then(|at| at.checked_sub(Duration::from_secs(1)).ok());
        let since = earliest.map_or(served, |earliest| schedule.base(served, earliest.max(served)));
        let Some((due, missed)) = schedule.last(since, now, &self.zone, dst) else {
            self.tell_missed(schedule, served, record);
            return None;
        };
        let number = seconds_of(due)?;
        if self.children.iter().any(|child| child.number == number) {
            return None;
        }
        if missed == MANY {
            let message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            self.tell(record, EventKind::Warning, "TooManyMissedTimes", message.to_owned());
        }
        if self.spec.concurrency_policy.as_deref() == Some("Forbid") && self.unfinished().next().is_some() {
            let message =
                "Not starting job because prior execution is running and concurrency policy is Forbid";
            self.tell(record, EventKind::Normal, "JobAlreadyActive", message.to_owned());
            return None;
        }
        let job = self.make(due, number);
        let name = job.key.name.clone();
        self.note(record, EventKind::Normal, "SuccessfulCreate", format!("Created job {name}"));
        record.last_schedule = Some(due);
        record.active.insert(number, name);
        Some((number, job))
    }

    fn unfinished(&self) -> impl Iterator<Item = &Child<'a>> {
        self.children.iter().filter(|child| self.job(child).finished.is_none())
    }

    /// The newest Job, if it was made for a time that is not noted: by a watcher that died right after it, and
    /// before it could end those that the Job replaces.
    fn newest_beyond(&self, noted: Option<Timestamp>) -> Option<u64> {
        let now = self.present.now.wall;
        let made = self.children.iter().filter(|child| !child.is_to_go()).map(|child| child.number);
        made.filter(|number| due_of(*number).is_some_and(|due| Some(due) > noted && !is_far_ahead(due, now)))
            .max()
    }

    /// With `Replace`, a Job that is made takes the place of those before it.
    fn replace(&self, number: u64, record: &mut CronRecord, steps: &mut Steps) {
        if self.spec.concurrency_policy.as_deref() == Some("Replace") {
            let replaced = self.unfinished().filter(|child| !child.is_to_go() && child.number != number);
            steps.steps.extend(replaced.map(|child| self.end(child, record)));
        }
    }

    /// A time that passed while its deadline did, too, is told.
    fn tell_missed(&self, schedule: &Schedule, served: Timestamp, record: &mut CronRecord) {
        let missed = schedule.last(served, self.present.now.wall, &self.zone, self.dst());
        if let Some((due, _)) = missed {
            let due = due.strftime("%a, %d %b %Y %H:%M:%S +0000");
            let message = format!("Missed scheduled time to start a job: {due}");
            self.tell(record, EventKind::Warning, "MissSchedule", message);
        }
    }

    /// A clock that shows less than the newest time that was served keeps the times between the two from coming:
    /// some of them may have been served already.
    fn tell_set_back(&self, schedule: &Schedule, served: Timestamp, record: &mut CronRecord) {
        let next = schedule.next(self.present.now.wall, &self.zone, self.dst());
        if next.is_some_and(|next| next < served) {
            let message = format!("the clock was set back: nothing is due until it shows more than {served}");
            self.tell(record, EventKind::Warning, "ClockSetBack", message);
        }
    }

    fn dst(&self) -> Dst {
        dst(self.known.object.metadata())
    }

    fn make(&self, due: Timestamp, number: u64) -> Box<ObjectRecord> {
        let name = self.name(number);
        let mut authored =
            self.known.record.authored.pointer("/spec/jobTemplate").cloned().unwrap_or_default();
        let metadata = mapping(&mut authored, "metadata");
        metadata["name"] = json!(name);
        metadata["namespace"] = json!(self.known.record.key.namespace);
        metadata["ownerReferences"] = json!([owner_reference(self.known)]);
        // RFC 3339 as Go writes it: UTC is `Z`.
        let local = due.to_zoned(self.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        let local = local.strip_suffix("+00:00").map_or(local.clone(), |utc| format!("{utc}Z"));
        mapping(metadata, "annotations")[SCHEDULED] = json!(local);
        authored["apiVersion"] = json!("batch/v1");
        authored["kind"] = json!("Job");
        made(self.known, number, "batch", "Job", name, authored, self.present)
    }

    fn end(&self, child: &Child<'_>, record: &mut CronRecord) -> Step {
        record.active.remove(&child.number);
        let message = format!("Deleted job {}", child.known.record.key.name);
        self.note(record, EventKind::Normal, "SuccessfulDelete", message);
        Step::End { uid: child.uid().clone(), grace: None }
    }

    /// What is so at each look is told once between one Job and the next.
    fn tell(&self, record: &mut CronRecord, kind: EventKind, reason: &str, message: String) {
        let since = record.events.iter().rev().take_while(|event| event.reason != "SuccessfulCreate");
        if !since.into_iter().any(|event| event.reason == reason && event.message == message) {
            self.note(record, kind, reason, message);
        }
    }

    fn note(&self, record: &mut CronRecord, kind: EventKind, reason: &str, message: String) {
        let now = self.present.now.wall;
        note(&mut record.events, EventRecord::once(kind, reason, message, None, now));
    }
}

/// The time that a Job was made for.
fn due_of(number: u64) -> Option<Timestamp> {
    i64::try_from(number).ok().and_then(|second| Timestamp::from_second(second).ok())
}

fn seconds_of(time: Timestamp) -> Option<u64> {
    u64::try_from(time.as_second()).ok()
}
