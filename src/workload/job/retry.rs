//! When what has failed of a Job is tried again.

use std::time::Duration;

use crate::api::JobSpec;
use crate::model::job::{Failures, JobRecord, Present};
use crate::model::time::Moment;

/// After the first failure of a pod, doubling with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// As Kubernetes' controller has it; its documentation says six minutes.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// The next try of a Job whose pods have failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) due: Moment,
    /// Which it is of those that the Job, or the index, has: absent where what failed does not count.
    pub(crate) number: Option<u64>,
    pub(crate) limit: u64,
}

/// What is left of the rest after failures, if anything is.
pub(super) fn rest(failures: &Failures, present: Present<'_>) -> Option<Duration> {
    let last = failures.last.as_ref().filter(|_| failures.count > 0)?;
    let doublings = (failures.count - 1).min(16);
    present.left(last, (FIRST_WAIT * 2u32.pow(doublings)).min(LONGEST_WAIT))
}

/// `None` while nothing rests.
pub(crate) fn retry(spec: &JobSpec, record: &JobRecord, present: Present<'_>) -> Option<Retry> {
    if record.verdict.is_some() || spec.suspend == Some(true) {
        return None;
    }
    let next = |failures: &Failures, count: u64, limit: u64| {
        let due = present.now.boot + rest(failures, present)?;
        Some(Retry { due, number: (count > 0).then_some(count), limit })
    };
    let limit =
        |limit: Option<i32>, usual| limit.and_then(|limit| u64::try_from(limit).ok()).unwrap_or(usual);
    match spec.backoff_limit_per_index {
        Some(per_index) => {
            let of_index = record.index_failures.values();
            let retries = of_index
                .filter_map(|failures| next(failures, failures.counted().into(), limit(Some(per_index), 0)));
            retries.min_by_key(|retry| retry.due)
        }
        None => next(&record.failures, record.failed, limit(spec.backoff_limit, 6)),
    }
}
