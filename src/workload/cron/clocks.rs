//! Clocks of one machine: one that was wrong for a while, as without a battery at boot, is another.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::time::Timestamp;

/// A clock that shows less than the newest served time by more than this has been wrong.
const WRONG_CLOCK: Duration = Duration::from_secs(86_400);
/// Dates that a machine has had by mistake and that are remembered.
const CLOCKS: usize = 8;

/// Of times that one clock showed, the newest; of as many clocks as a machine may have had.
pub(super) fn newest_of_each(times: BTreeSet<Timestamp>) -> BTreeSet<Timestamp> {
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

/// Until the clock has come so near to a time that it counts.
pub(super) fn until_near(time: Timestamp, now: Timestamp) -> Option<Duration> {
    Duration::try_from(time.duration_since(now)).ok()?.checked_sub(WRONG_CLOCK)
}

pub(super) fn is_far_ahead(time: Timestamp, now: Timestamp) -> bool {
    Duration::try_from(time.duration_since(now)).unwrap_or_default() > WRONG_CLOCK
}
