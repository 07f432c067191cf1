//! Ends of pods → counts. Each pod is counted once, by its number, whatever is seen of it later.

use crate::model::job::{Failures, JobEnd, JobRecord};
use crate::model::record::Outcome;

use super::Look;
use super::pods::{Ended, Pods};
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
        for child in &pods.stopped {
            if next.counted.insert(child.number) {
                next.failed += 1;
                self.fail_again(&mut next.failures);
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
        let index = match (self.indexes(), pod.index) {
            (Some(indexes), Some(index)) if index < indexes => Some(index),
            (Some(_), _) => return,
            (None, _) => None,
        };
        self.fail_again(&mut next.failures);
        match policy::failure(self.spec.pod_failure_policy.as_ref(), pod) {
            Taken::Ignored => return,
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

    fn count_for_index(&self, index: Option<u64>, next: &mut JobRecord) {
        let (Some(limit), Some(index)) = (self.spec.backoff_limit_per_index, index) else { return };
        if next.completed.contains(index) || next.failed_indexes.contains(index) {
            return;
        }
        let failures = next.index_failures.entry(index).or_default();
        self.fail_again(failures);
        if i64::from(failures.count) > i64::from(limit) {
            next.index_failures.remove(&index);
            next.failed_indexes.insert(index);
        }
    }

    fn fail_again(&self, failures: &mut Failures) {
        failures.count = failures.count.saturating_add(1);
        failures.last = Some(self.present.stamp());
    }
}
