//! What is known of a file of a folder from the looks at it.

use std::time::Duration;

use crate::model::time::{Moment, Now};

use super::open::{Sighting, Stamp};

/// A file that changed less than this before it was read may change again without its times showing it.
const CLOCK_GRAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) sighting: Sighting,
    pub(super) first_seen: Moment,
    /// The stamp of the content that was read last.
    pub(super) read: Option<Stamp>,
}

impl Tracked {
    /// It may have changed though no event has told of it: what a link leads to, or a content that is not read yet.
    pub(super) fn is_unsure(&self) -> bool {
        match &self.sighting {
            Sighting::File { stamp, linked, .. } => *linked || self.read != Some(*stamp),
            Sighting::Odd(_) => false,
        }
    }
}

/// Whether a second change could hide behind the same times: after a change just now, and where the file system gives
/// all files the same time, the epoch or the second after it. Such a file is read again at the next look.
pub(super) fn is_fresh(stamp: &Stamp, now: Now) -> bool {
    let grain = i128::try_from(CLOCK_GRAIN.as_nanos()).unwrap_or(i128::MAX);
    (now.wall.as_nanosecond() - stamp.changed).abs() < grain || stamp.changed <= grain
}
