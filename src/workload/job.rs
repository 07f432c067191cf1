//! A Job, in Kubernetes' order of thought: ended pods are counted, the counts decide, then pods are made or ended.
//!
//! ```text
//! Suspended ◀──suspend──▶ Running ──enough succeeded, success policy──▶ SuccessCriteriaMet ──no pod is left──▶ Complete
//!                            └──limits, deadline, failure policy──▶ FailureTarget ──no pod is left──▶ Failed
//! ```

use std::time::Duration;

use crate::api::{Job, JobSpec};
use crate::model::control::{Step, Steps};
use crate::model::job::{Ending, JobEnd, JobRecord, Present, Suspension, SuspensionState, Verdict};
use crate::model::object::Known;
use crate::model::record::{EventKind, EventRecord, FORMAT, note};

use super::control::{Child, seconds};
pub(crate) use pods::index_of;
use pods::{Pods, Replacement};
pub(crate) use retry::{Retry, retry};
pub(crate) use run::{edited_in_vain, is_same_run, is_same_wish};

mod count;
mod pod;
mod pods;
mod policy;
mod retry;
mod run;
mod scale;

#[cfg(test)]
mod tests;

/// Whether an earlier object of the same name has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    Taken,
}

/// What one look at a Job is made with.
struct Look<'a> {
    known: &'a Known,
    spec: &'a JobSpec,
    present: Present<'a>,
}

pub(super) fn sync(
    known: &Known,
    job: &Job,
    record: &JobRecord,
    children: &[Child<'_>],
    room: Room,
    present: Present<'_>,
    steps: &mut Steps,
) {
    let Some(spec) = &job.spec else { return };
    let look = Look { known, spec, present };
    if record.finished.is_some() {
        look.clean_up(record, children, steps);
        return;
    }
    if room == Room::Taken && record.made == 0 {
        return;
    }
    let mut next = record.clone();
    next.format = FORMAT;
    let mut pods = Pods::sort(children, &next, look.replacement());
    look.count(&pods, &mut next);
    if next.started.is_none() && !look.is_suspended() {
        next.started = Some(present.stamp());
    }
    if next.verdict.is_none() {
        look.note_suspension(&mut next);
    }
    look.decide(&pods, &mut next, steps);
    let mut work = Vec::new();
    if next.verdict.is_some() {
        look.end_active(&mut pods, &mut next, &mut work);
    } else {
        look.scale(&mut pods, &mut next, steps, &mut work);
        look.note_completion(&pods, &mut next);
    }
    if next.verdict.is_some() && pods.is_empty() {
        look.finish(&mut next);
        steps.wake_in(look.time_to_live(&next));
    }
    let stopped = pods.stopped.iter().map(|child| Step::End { uid: child.uid().clone(), grace: None });
    work.extend(stopped);
    if next != *record {
        steps.steps.push(Step::Job(known.record.uid.clone(), Box::new(next)));
    }
    steps.steps.append(&mut work);
}

impl Look<'_> {
    fn is_suspended(&self) -> bool {
        self.spec.suspend == Some(true)
    }

    /// How many indexes an Indexed Job has.
    fn indexes(&self) -> Option<u64> {
        let indexed = self.spec.completion_mode.as_deref() == Some("Indexed");
        indexed.then(|| self.spec.completions.and_then(|count| count.try_into().ok()).unwrap_or(0))
    }

    fn replacement(&self) -> Replacement {
        match self.spec.pod_replacement_policy.as_deref() {
            Some("Failed") => Replacement::Failed,
            Some(_) | None => Replacement::TerminatingOrFailed,
        }
    }

    fn succeeded(&self, record: &JobRecord) -> u64 {
        match self.indexes() {
            Some(indexes) => record.completed.len_below(indexes),
            None => record.succeeded,
        }
    }

    /// Whether the Job is to fail, or has reached what its success policy asks for.
    fn decide(&self, pods: &Pods<'_>, next: &mut JobRecord, steps: &mut Steps) {
        if next.verdict.is_some() {
            return;
        }
        let backoff_limit = self.spec.backoff_limit.and_then(|limit| u64::try_from(limit).ok()).unwrap_or(6);
        let left = match (self.spec.active_deadline_seconds, &next.started) {
            (Some(deadline), Some(started)) if !self.is_suspended() => {
                Some(self.present.left(started, seconds(deadline)))
            }
            (Some(_) | None, _) => None,
        };
        steps.wake_in(left.flatten());
        if next.failed > backoff_limit || self.restarts_exceed(pods, backoff_limit) {
            self.conclude(
                next,
                JobEnd::BackoffLimitExceeded,
                "Job has reached the specified backoff limit".to_owned(),
            );
        } else if left == Some(None) {
            self.conclude(
                next,
                JobEnd::DeadlineExceeded,
                "Job was active longer than specified deadline".to_owned(),
            );
        } else if let Some(indexes) = self.indexes() {
            self.decide_by_index(indexes, next);
        }
    }

    fn decide_by_index(&self, indexes: u64, next: &mut JobRecord) {
        // An edit may have taken indexes away that have ended by then.
        let failed = next.failed_indexes.len_below(indexes);
        let completed = next.completed.below(indexes);
        let most = self.spec.max_failed_indexes.and_then(|most| u64::try_from(most).ok());
        if most.is_some_and(|most| failed > most) {
            let message = "Job has exceeded the specified maximal number of failed indexes";
            self.conclude(next, JobEnd::MaxFailedIndexesExceeded, message.to_owned());
        } else if failed > 0 && failed + completed.len() >= indexes {
            self.conclude(next, JobEnd::FailedIndexes, "Job has failed indexes".to_owned());
        } else if let Some(rule) = policy::success(self.spec.success_policy.as_ref(), &completed) {
            self.conclude(next, JobEnd::SuccessPolicy, format!("Matched rules at index {rule}"));
        }
    }

    /// With `OnFailure`, containers are restarted inside of pods: that counts instead of failed pods.
    fn restarts_exceed(&self, pods: &Pods<'_>, limit: u64) -> bool {
        let policy = self.spec.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
        if policy != Some("OnFailure") {
            return false;
        }
        let records = pods.active.iter().filter_map(|pod| pod.child.seen?.record.as_ref());
        let restarts: u64 =
            records.flat_map(|record| &record.containers).map(|one| u64::from(one.restart_count)).sum();
        restarts > 0 && restarts >= limit
    }

    fn conclude(&self, next: &mut JobRecord, reason: JobEnd, message: String) {
        if next.verdict.is_none() {
            next.verdict = Some(Verdict { reason, message, at: self.present.now.wall });
        }
    }

    /// Pods that still run when it is decided go; those of a failed Job have failed with it, or count as they end.
    fn end_active(&self, pods: &mut Pods<'_>, next: &mut JobRecord, work: &mut Vec<Step>) {
        let failed = next.verdict.as_ref().is_some_and(|it| it.reason.ending() == Ending::Failure);
        for pod in std::mem::take(&mut pods.active) {
            match (failed, self.replacement()) {
                (true, Replacement::TerminatingOrFailed) => {
                    next.failed += u64::from(next.counted.insert(pod.child.number));
                }
                (true, Replacement::Failed) => {}
                (false, _) => drop(next.dismissed.insert(pod.child.number)),
            }
            self.end(pod, pods, next, work);
        }
    }

    fn note_suspension(&self, next: &mut JobRecord) {
        let now = self.present.now.wall;
        let state = if self.is_suspended() { SuspensionState::Suspended } else { SuspensionState::Resumed };
        let before = next.suspension.as_ref().map(|it| it.state);
        match (before, state) {
            (None, SuspensionState::Resumed) => return,
            (Some(before), state) if before == state => return,
            (None, SuspensionState::Suspended) | (Some(_), _) => {}
        }
        next.suspension = Some(Suspension { state, since: now });
        match state {
            SuspensionState::Suspended => {
                self.event(next, EventKind::Normal, "Suspended", "Job suspended".to_owned())
            }
            SuspensionState::Resumed => {
                // The deadline counts from here: a Job is not active while it is suspended.
                next.started = Some(self.present.stamp());
                self.event(next, EventKind::Normal, "Resumed", "Job resumed".to_owned());
            }
        }
    }

    fn note_completion(&self, pods: &Pods<'_>, next: &mut JobRecord) {
        let succeeded = self.succeeded(next);
        let enough = match self.spec.completions {
            Some(count) => succeeded >= u64::try_from(count).unwrap_or(0),
            // Any success of a pod says that the work is done; the others end by themselves.
            None => succeeded > 0,
        };
        if enough && pods.active.is_empty() {
            let message = "Reached expected number of succeeded pods";
            self.conclude(next, JobEnd::CompletionsReached, message.to_owned());
        }
    }

    fn finish(&self, next: &mut JobRecord) {
        let Some(verdict) = next.verdict.clone() else { return };
        next.finished = Some(self.present.stamp());
        next.ended_with = Some(run::late(&self.known.record.authored));
        next.index_failures.clear();
        match verdict.reason.ending() {
            Ending::Success => {
                self.event(next, EventKind::Normal, "Completed", "Job completed".to_owned());
            }
            Ending::Failure => self.event(next, EventKind::Warning, verdict.reason.word(), verdict.message),
        }
    }

    fn time_to_live(&self, record: &JobRecord) -> Option<Duration> {
        let ttl = seconds(self.spec.ttl_seconds_after_finished?.into());
        self.present.left(record.finished.as_ref()?, ttl)
    }

    /// A Job that has had its time goes with its pods. One that a file declares stays, without its pods: its file
    /// would make it run again.
    fn clean_up(&self, record: &JobRecord, children: &[Child<'_>], steps: &mut Steps) {
        if self.spec.ttl_seconds_after_finished.is_none() {
            return;
        }
        if let Some(left) = self.time_to_live(record) {
            steps.wake_in(Some(left));
            return;
        }
        if self.known.record.owner.is_some() {
            steps.steps.push(Step::End { uid: self.known.record.uid.clone(), grace: None });
            return;
        }
        let pods = children.iter().filter(|child| !child.is_to_go());
        steps.steps.extend(pods.map(|child| Step::End { uid: child.uid().clone(), grace: None }));
    }

    fn event(&self, next: &mut JobRecord, kind: EventKind, reason: &str, message: String) {
        let now = self.present.now.wall;
        note(&mut next.events, EventRecord::once(kind, reason, message, None, now));
    }
}
