//! Two clocks: the wall for people, boot time for deadlines. Thinking is handed both, as one value.

use std::ops::{Add, Sub};
use std::time::Duration;

pub(crate) use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Time since boot, suspension included (CLOCK_BOOTTIME): what back-off, grace and deadlines count in, so that
/// setting the wall clock moves none of them. Means nothing after a reboot, like the tmpfs it is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Moment(pub(crate) Duration);

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, by: Duration) -> Moment {
        Moment(self.0.saturating_add(by))
    }
}

impl Sub for Moment {
    type Output = Duration;

    /// How long after `earlier`; zero if it is not earlier.
    fn sub(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// The present, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    pub(crate) wall: Timestamp,
    pub(crate) boot: Moment,
}
