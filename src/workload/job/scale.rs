//! How many pods should be active, and which are made or ended for that.

use std::time::Duration;

use crate::model::control::{Step, Steps};
use crate::model::job::{Failures, JobRecord};
use crate::model::record::EventKind;

use super::Look;
use super::pod;
use super::pods::{Active, Pods, Replacement};
use super::retry;

/// Pods made in one pass, so that one Job does not keep the others waiting.
const AT_ONCE: u64 = 50;

impl Look<'_> {
    pub(super) fn scale(
        &self,
        pods: &mut Pods<'_>,
        next: &mut JobRecord,
        steps: &mut Steps,
        work: &mut Vec<Step>,
    ) {
        if self.is_suspended() {
            for pod in std::mem::take(&mut pods.active) {
                next.dismissed.insert(pod.child.number);
                self.end(pod, pods, next, work);
            }
            return;
        }
        let active = count(pods.active.len());
        let parallelism = self.spec.parallelism.and_then(|many| u64::try_from(many).ok()).unwrap_or(1);
        let succeeded = self.succeeded(next);
        let wanted = match self.spec.completions {
            Some(completions) => {
                u64::try_from(completions).unwrap_or(0).saturating_sub(succeeded).min(parallelism)
            }
            // One success says that the work is done: no other pod is started.
            None if succeeded > 0 => active,
            None => parallelism,
        };
        let surplus = self.surplus(pods, active.saturating_sub(wanted));
        if !surplus.is_empty() {
            pods.active.retain(|pod| !surplus.iter().any(|gone| gone.child.uid() == pod.child.uid()));
            for pod in surplus {
                next.dismissed.insert(pod.child.number);
                self.end(pod, pods, next, work);
            }
            return;
        }
        let going = if self.waits_for_going() { count(pods.going.len()) } else { 0 };
        let missing = wanted.saturating_sub(active + going).min(AT_ONCE);
        if missing == 0 {
            return;
        }
        let made: Vec<Option<u64>> = match self.indexes() {
            Some(indexes) => {
                self.pending(indexes, missing, pods, next, steps).into_iter().map(Some).collect()
            }
            None if self.backs_off(&next.failures, steps) => Vec::new(),
            None => (0..missing).map(|_| None).collect(),
        };
        // The next ones follow these; what waits for its back-off has its own time.
        steps.wake_in((count(made.len()) == AT_ONCE).then_some(Duration::ZERO));
        for index in made {
            self.make(index, next, work);
        }
    }

    /// A pod on its way out is not replaced before it has gone.
    fn waits_for_going(&self) -> bool {
        self.replacement() == Replacement::Failed
    }

    /// Pods beyond what is wanted, the youngest first, and those of indexes that there are no more.
    fn surplus<'a>(&self, pods: &Pods<'a>, at_least: u64) -> Vec<Active<'a>> {
        let indexes = self.indexes();
        let mut pods: Vec<Active<'a>> = pods.active.clone();
        let is_out = |pod: &Active<'_>| matches!((indexes, pod.index), (Some(indexes), index) if index.is_none_or(|index| index >= indexes));
        pods.sort_by_key(|pod| {
            (!is_out(pod), std::cmp::Reverse(pod.index), std::cmp::Reverse(pod.child.number))
        });
        let out = pods.iter().filter(|pod| is_out(pod)).count();
        pods.truncate(out.max(usize::try_from(at_least).unwrap_or(usize::MAX)));
        pods
    }

    /// The lowest indexes without an end and without a pod, whose back-off is over.
    fn pending(
        &self,
        indexes: u64,
        missing: u64,
        pods: &Pods<'_>,
        next: &JobRecord,
        steps: &mut Steps,
    ) -> Vec<u64> {
        let by_index = self.spec.backoff_limit_per_index.is_some();
        if !by_index && self.backs_off(&next.failures, steps) {
            return Vec::new();
        }
        let going = pods.going.iter().flatten().copied().filter(|_| self.waits_for_going());
        let busy: std::collections::BTreeSet<u64> =
            pods.active.iter().filter_map(|pod| pod.index).chain(going).collect();
        let open = next.completed.absent_below(indexes);
        let open = open.filter(|index| !busy.contains(index) && !next.failed_indexes.contains(*index));
        let mut found = Vec::new();
        for index in open {
            let waits = by_index
                && next.index_failures.get(&index).is_some_and(|failures| self.backs_off(failures, steps));
            if !waits {
                found.push(index);
            }
            if count(found.len()) == missing {
                break;
            }
        }
        found
    }

    fn backs_off(&self, failures: &Failures, steps: &mut Steps) -> bool {
        let left = retry::rest(failures, self.present);
        steps.wake_in(left);
        left.is_some()
    }

    fn make(&self, index: Option<u64>, next: &mut JobRecord, work: &mut Vec<Step>) {
        let by_index = index.filter(|_| self.spec.backoff_limit_per_index.is_some());
        let failures = by_index.map(|index| next.index_failures.get(&index).cloned().unwrap_or_default());
        let record = pod::make(self, index, failures.as_ref(), next.made);
        next.made += 1;
        self.event(next, EventKind::Normal, "SuccessfulCreate", format!("Created pod: {}", record.key.name));
        work.push(Step::Make(record));
    }

    pub(super) fn end(
        &self,
        pod: Active<'_>,
        pods: &mut Pods<'_>,
        next: &mut JobRecord,
        work: &mut Vec<Step>,
    ) {
        let name = &pod.child.known.record.key.name;
        self.event(next, EventKind::Normal, "SuccessfulDelete", format!("Deleted pod: {name}"));
        pods.going.push(pod.index);
        work.push(Step::End { uid: pod.child.uid().clone(), grace: None });
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
