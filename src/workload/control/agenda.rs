//! Which of the objects that make others are looked at: most have nothing to do until something of theirs changes or a time
//! comes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::id::Uid;
use crate::model::objects::Objects;
use crate::model::time::{Moment, Now};

/// How far the wall clock may drift from the other before times that were reckoned by it are reckoned anew.
const DRIFT: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Default)]
pub(crate) struct Agenda {
    awake: BTreeSet<Uid>,
    /// When time alone may give those something to do that rest.
    alarms: BTreeSet<(Moment, Uid)>,
    alarm_of: BTreeMap<Uid, Moment>,
    /// Nanoseconds that the wall clock was ahead of the other; absent while all are to be looked at.
    ahead: Option<i128>,
}

impl Agenda {
    pub(crate) fn look_everywhere(&mut self) {
        self.ahead = None;
    }

    pub(crate) fn wake(&mut self, uids: impl IntoIterator<Item = Uid>) {
        self.awake.extend(uids);
    }

    /// Those that are to be looked at by now.
    pub(crate) fn due(&mut self, objects: &Objects, now: Now) -> BTreeSet<Uid> {
        let boot = i128::try_from(now.boot.0.as_nanos()).unwrap_or(i128::MAX);
        let ahead = now.wall.as_nanosecond() - boot;
        let is_steady = |before: i128| ahead.abs_diff(before) <= DRIFT.as_nanos();
        if !self.ahead.is_some_and(is_steady) {
            self.ahead = Some(ahead);
            self.awake.extend(objects.makers().map(|known| known.record.uid.clone()));
        }
        while let Some((at, _)) = self.alarms.first()
            && *at <= now.boot
        {
            let rung = self.alarms.pop_first();
            self.awake.extend(rung.map(|(_, uid)| uid));
        }
        self.awake.retain(|uid| objects.contains_key(uid));
        self.awake.clone()
    }

    /// A look at it has shown nothing to do, and nothing under way; `until` is when time may change that.
    pub(crate) fn rest(&mut self, uid: &Uid, until: Option<Moment>) {
        self.awake.remove(uid);
        if let Some(before) = self.alarm_of.remove(uid) {
            self.alarms.remove(&(before, uid.clone()));
        }
        if let Some(until) = until {
            self.alarms.insert((until, uid.clone()));
            self.alarm_of.insert(uid.clone(), until);
        }
    }

    /// When the next of them is due for nothing but the time.
    pub(crate) fn next(&self) -> Option<Moment> {
        self.alarms.first().map(|(at, _)| *at)
    }
}
