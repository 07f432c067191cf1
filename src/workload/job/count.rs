//! Ends of pods → counts. Each pod is counted once, by its number, whatever is seen of it later.

use crate::model::job::{Failures, JobEnd, JobRecord};
use crate::model::record::Outcome;

use super::Look;
use super::pods::{Ended, Pods, index};
use super::policy::{self, Taken};

impl Look<'_> {
    pub(super) fn count(&self, pods: &Pods<'_>, next: &mut JobRecord) {
        for pod in &pods.ended {
            if !next.counted.insert(pod.child.number) {
                continue;
            }
            match pod.outcome {
                Outcome::Succeeded => self.count_success(pod.index, next),
                Outcome::Failed { .. } | Outcome::Deleted | Outcome::Interrupted => {
                    self.count_failure(pod, next)
                }
            }
        }
        for child in &pods.deleted {
            if next.counted.insert(child.number) {
                next.failed += 1;
                self.fail_again(&mut next.failures);
                self.count_for_index(self.own_index(index(child.known)), next);
            }
        }
    }

    fn count_success(&self, index: Option<u64>, next: &mut JobRecord) {
        next.failures = Failures::default();
        match (self.indexes(), index) {
            (Some(indexes), Some(index)) if index < indexes => {
                next.completed.insert(index);
                next.index_failures.remove(&index);
            }
            // An index that was taken away while it ran.
            (Some(_), _) => {}
            (None, _) => next.succeeded += 1,
        }
    }

    fn count_failure(&self, pod: &Ended<'_>, next: &mut JobRecord) {
        let index = self.own_index(pod.index);
        if index.is_none() && self.indexes().is_some() {
            return;
        }
        self.fail_again(&mut next.failures);
        match policy::failure(self.spec.pod_failure_policy.as_ref(), pod) {
            Taken::Ignored => return self.ignore_for_index(index, next),
            Taken::FailsJob(message) => self.conclude(next, JobEnd::PodFailurePolicy, message),
            Taken::FailsIndex => {
                if let Some(index) = index.filter(|index| !next.completed.contains(*index)) {
                    next.failed_indexes.insert(index);
                    next.index_failures.remove(&index);
                }
            }
            Taken::Counted => self.count_for_index(index, next),
        }
        next.failed += 1;
    }

    /// `None` for an index that the Job does not have, or has no more.
    fn own_index(&self, index: Option<u64>) -> Option<u64> {
        index.filter(|index| self.indexes().is_some_and(|indexes| *index < indexes))
    }

    fn count_for_index(&self, index: Option<u64>, next: &mut JobRecord) {
        let (Some(limit), Some(index)) = (self.spec.backoff_limit_per_index, index) else { return };
        let Some(failures) = failures_of(index, next) else { return };
        self.fail_again(failures);
        if i64::from(failures.counted()) > i64::from(limit) {
            next.index_failures.remove(&index);
            next.failed_indexes.insert(index);
        }
    }

    /// What does not count against a limit is answered later and later all the same.
    fn ignore_for_index(&self, index: Option<u64>, next: &mut JobRecord) {
        let (Some(_), Some(index)) = (self.spec.backoff_limit_per_index, index) else { return };
        let Some(failures) = failures_of(index, next) else { return };
        self.fail_again(failures);
        failures.ignored = failures.ignored.saturating_add(1);
    }

    fn fail_again(&self, failures: &mut Failures) {
        failures.count = failures.count.saturating_add(1);
        failures.last = Some(self.present.stamp());
    }
}

/// Of an index that is neither done nor given up.
fn failures_of(index: u64, next: &mut JobRecord) -> Option<&mut Failures> {
    let has_ended = next.completed.contains(index) || next.failed_indexes.contains(index);
    (!has_ended).then(|| next.index_failures.entry(index).or_default())
}
