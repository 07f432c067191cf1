//! What lies in the run directory about each pod. At a pass most of it is as it was at the last. It is kept for as long as
//! the pod, so lists that were read give back the room that they grew into.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use crate::model::id::Uid;
use crate::model::observed::Told;
use crate::model::record::{PodRecord, StartRecord, WaitingRecord};
use crate::paths::Places;
use crate::rundir::goal::Goal;
use crate::rundir::reread::Reread;

#[derive(Debug, Default)]
pub(super) struct Records(BTreeMap<Uid, OfPod>);

#[derive(Debug, Default)]
pub(super) struct OfPod {
    told: Reread<Told>,
    state: Reread<Arc<PodRecord>>,
    waiting: Reread<WaitingRecord>,
    start: Reread<StartRecord>,
}

impl Records {
    pub(super) fn of(&mut self, uid: &Uid) -> &mut OfPod {
        self.0.entry(uid.clone()).or_default()
    }

    pub(super) fn keep_only(&mut self, uids: &BTreeSet<&Uid>) {
        self.0.retain(|uid, _| uids.contains(uid));
    }
}

impl OfPod {
    pub(super) fn told(&mut self, places: &Places, uid: &Uid) -> io::Result<Option<Told>> {
        self.told.json(&places.pod(uid).goal(), |Goal { mut plan, stop, .. }| {
            plan.containers.shrink_to_fit();
            Told { plan: Arc::new(plan), stop: stop.map(|stop| stop.why) }
        })
    }

    pub(super) fn state(&mut self, places: &Places, uid: &Uid) -> io::Result<Option<Arc<PodRecord>>> {
        self.state.json(&places.pod(uid).record(), |mut record: PodRecord| {
            record.containers.shrink_to_fit();
            Arc::new(record)
        })
    }

    pub(super) fn waiting(&mut self, places: &Places, uid: &Uid) -> io::Result<Option<WaitingRecord>> {
        self.waiting.json(&places.pod(uid).waiting(), |waiting| waiting)
    }

    pub(super) fn start(&mut self, places: &Places, uid: &Uid) -> io::Result<Option<StartRecord>> {
        self.start.json(&places.start(uid), |start| start)
    }
}
