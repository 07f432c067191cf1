//! What controllers ask for, as data, and what they are to remember.

use std::collections::BTreeMap;
use std::time::Duration;

use super::id::Uid;
use super::job::{CronRecord, JobRecord};
use super::object::ObjectRecord;

/// What controllers know of their objects.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Controlled {
    pub(crate) jobs: BTreeMap<Uid, JobRecord>,
    pub(crate) crons: BTreeMap<Uid, CronRecord>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Steps {
    /// In order: what is counted is written down before what was counted goes.
    pub(crate) steps: Vec<Step>,
    /// When to look again though nothing happens, but for those that rest.
    pub(crate) wake_in: Option<Duration>,
    /// Of those that were looked at, those that need no further look until something of theirs changes, or the time is over
    /// if one is given.
    pub(crate) rests: Vec<(Uid, Option<Duration>)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Job(Uid, Box<JobRecord>),
    Cron(Uid, Box<CronRecord>),
    Make(Box<ObjectRecord>),
    /// The object is to go; `grace` in seconds, in place of its pod's own.
    End {
        uid: Uid,
        grace: Option<u32>,
    },
    /// Nothing is left of what it made: the object's record goes.
    Forget(Uid),
}
