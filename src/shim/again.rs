//! What is looked at again though nothing happens: a state or a volume that found no room, a goal for which nobody could
//! knock, or whose writer died before he did.

use std::time::Duration;

use super::event_loop::{Course, Shim, look_at_goal, publish};
use super::{control, execute};
use crate::model::time::Moment;
use crate::pod::Effect;

const AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Again {
    /// Readers of the state see an old one.
    pub(super) unpublished: bool,
    /// Containers see the old files of a volume.
    pub(super) unrefreshed: bool,
    at: Option<Moment>,
}

impl Again {
    pub(super) fn at(&self) -> Option<Moment> {
        self.at
    }
}

pub(super) fn try_due(shim: &mut Shim, now: Moment) {
    if shim.again.at.is_some_and(|at| at <= now) {
        shim.again.at = None;
        look_at_goal(shim);
        if shim.again.unpublished && shim.course == Course::Goes {
            publish(shim);
        }
        if shim.again.unrefreshed {
            execute::execute(shim, Effect::RefreshVolumes);
        }
    }
    // A pod that is stopping may be told to stop sooner, by somebody who is killed at that.
    let is_due = shim.again.unpublished
        || shim.again.unrefreshed
        || shim.state.is_stopping()
        || !control::has_room(shim);
    shim.again.at = is_due.then(|| shim.again.at.unwrap_or(now + AFTER));
}
