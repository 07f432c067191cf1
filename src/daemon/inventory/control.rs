//! What controllers ask for, carried out: records on disc first, then in memory.

use std::collections::BTreeSet;
use std::io;

use crate::api::Object;
use crate::daemon::folder::earlier;
use crate::manifest;
use crate::model::control::{Controlled, Step, Steps};
use crate::model::id::Uid;
use crate::model::object::{Known, ObjectRecord};
use crate::model::time::{Moment, Now};
use crate::paths::Places;
use crate::rundir::objects;

use super::reconciliation::TRY_AGAIN;
use super::{Inventory, InventoryError};

/// What came of it. A failure stops only what depends on it, and is tried again by the next pass.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    pub(crate) changed: usize,
    pub(crate) failures: Vec<InventoryError>,
    /// Pods that are not in the counts of their Job though their end may be there to be counted.
    pub(crate) uncounted: BTreeSet<Uid>,
    pub(crate) wake_at: Option<Moment>,
}

/// What is known of an object that makes others.
pub(super) fn load(
    places: &Places,
    uid: &Uid,
    object: &Object,
    controlled: &mut Controlled,
) -> io::Result<()> {
    match object {
        Object::Job(_) => {
            let record = objects::job_of(places, uid)?;
            controlled.jobs.extend(record.map(|record| (uid.clone(), record)));
        }
        Object::CronJob(_) => {
            let record = objects::cron_of(places, uid)?;
            controlled.crons.extend(record.map(|record| (uid.clone(), record)));
        }
        Object::Pod(_)
        | Object::ConfigMap(_)
        | Object::Secret(_)
        | Object::Namespace(_)
        | Object::Unserved { .. } => {}
    }
    Ok(())
}

impl Inventory {
    pub(crate) fn carry_out(&mut self, places: &Places, steps: Steps, now: Now) -> Carried {
        let mut carried = Carried::default();
        for (uid, until) in &steps.rests {
            self.agenda.rest(uid, until.map(|until| now.boot + until));
        }
        carried.wake_at = earlier(steps.wake_in.map(|wait| now.boot + wait), self.agenda.next());
        // Objects whose record could not be written: nothing more is done for them.
        let mut stuck: BTreeSet<Uid> = BTreeSet::new();
        for step in steps.steps {
            let owner = self.owner_of(&step);
            if owner.as_ref().is_some_and(|owner| stuck.contains(owner)) {
                continue;
            }
            match self.carry(places, step, now) {
                Ok(()) => carried.changed += 1,
                Err(failure) => {
                    stuck.extend(owner);
                    carried.failures.push(failure);
                }
            }
        }
        let of_stuck = stuck.iter().flat_map(|owner| self.objects.unrested_of(owner));
        carried.uncounted = of_stuck.map(|known| known.record.uid.clone()).collect();
        if !stuck.is_empty() {
            // What was to follow at once had followed what was not written down.
            let again_at = now.boot + TRY_AGAIN;
            carried.wake_at = Some(carried.wake_at.map_or(again_at, |wake_at| wake_at.max(again_at)));
        }
        carried
    }

    /// Jobs and CronJobs that are to be looked at by now.
    pub(crate) fn due(&mut self, now: Now) -> BTreeSet<Uid> {
        self.agenda.due(&self.objects, now)
    }

    /// What a controller made and a person has deleted is to go. Tells whether it was to stay until now.
    pub(crate) fn delete_made(
        &mut self,
        places: &Places,
        uid: &Uid,
        grace: Option<u32>,
        now: Now,
    ) -> Result<bool, InventoryError> {
        let stays = |known: &Known| known.record.owner.is_some() && known.record.deletion.is_none();
        if !self.objects.get(uid).is_some_and(stays) {
            return Ok(false);
        }
        self.remove(places, uid, grace, now).map(|()| true)
    }

    fn owner_of(&self, step: &Step) -> Option<Uid> {
        match step {
            Step::Job(uid, _) | Step::Cron(uid, _) | Step::Forget(uid) => Some(uid.clone()),
            Step::Make(record) => record.owner.as_ref().map(|owner| owner.uid.clone()),
            Step::End { uid, .. } => {
                self.objects.get(uid)?.record.owner.as_ref().map(|owner| owner.uid.clone())
            }
        }
    }

    fn carry(&mut self, places: &Places, step: Step, now: Now) -> Result<(), InventoryError> {
        let failed =
            |object: String| move |source| InventoryError::Write { operation: "record", object, source };
        let of_step = match &step {
            Step::Job(uid, _) | Step::Cron(uid, _) | Step::Forget(uid) => self.objects.get(uid),
            // Told as they are made and ended.
            Step::Make(_) | Step::End { .. } => None,
        };
        if let Some(known) = of_step {
            self.untold.touch(&known.record.source);
            let uid = known.record.uid.clone();
            self.objects.stir(&uid);
        }
        match step {
            Step::Job(uid, record) => {
                objects::save_job(places, &uid, &record).map_err(failed(self.name(&uid)))?;
                if record.finished.is_some()
                    && let Some(known) = self.objects.get(&uid)
                {
                    // An edit that it did not take while it went on may be one that it takes now.
                    self.undecided.touch(&known.record.source);
                }
                self.controlled.jobs.insert(uid, *record);
                Ok(())
            }
            Step::Cron(uid, record) => {
                objects::save_cron(places, &uid, &record).map_err(failed(self.name(&uid)))?;
                self.controlled.crons.insert(uid, *record);
                Ok(())
            }
            Step::Make(record) => self.make(places, *record),
            Step::End { uid, grace } => self.remove(places, &uid, grace, now),
            Step::Forget(uid) => {
                objects::forget(places, &uid).map_err(failed(self.name(&uid)))?;
                tracing::info!(object = self.name(&uid), %uid, "object forgotten");
                self.objects.remove(&uid);
                self.controlled.jobs.remove(&uid);
                self.controlled.crons.remove(&uid);
                Ok(())
            }
        }
    }

    /// Made twice, it is made once: its UID says which it is.
    fn make(&mut self, places: &Places, record: ObjectRecord) -> Result<(), InventoryError> {
        if self.objects.contains_key(&record.uid) {
            return Ok(());
        }
        let object = manifest::revive(&record.authored)
            .map_err(|source| InventoryError::Revive { object: record.key.to_string(), source })?;
        self.put(places, Known { record, object: object.into() }, "make")
    }

    fn name(&self, uid: &Uid) -> String {
        self.objects.get(uid).map_or_else(|| uid.to_string(), |known| known.record.key.to_string())
    }
}
