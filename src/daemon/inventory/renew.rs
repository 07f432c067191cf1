//! After a restart of the machine, pods that are to run again are made anew, with an identity of their own.

use std::sync::Arc;

use crate::api::{Object, Pod};
use crate::model::id::Uid;
use crate::model::object::{Known, ObjectRecord};
use crate::model::time::Now;
use crate::paths::Places;
use crate::rundir::objects;
use crate::sandbox::sys::identity;

use super::keep::Step;
use super::{Inventory, InventoryError};

/// Lets a `Never` pod run again that a restart of the machine cut off.
const RERUN: &str = "droppod.dev/rerun-interrupted";

impl Inventory {
    /// Called once, before any file is read. A `Never` pod that was cut off is left to the plan, which records its loss;
    /// one that the shutdown stopped was interrupted in order and runs again.
    pub(crate) fn renew(&mut self, places: &Places, boot_id: &str, now: Now) -> Vec<InventoryError> {
        let mut failures = Vec::new();
        let mut steps = Vec::new();
        let cut_off: Vec<Uid> = self
            .objects
            .values()
            // A pod of a Job is the Job's to count and replace.
            .filter(|known| known.is_declared())
            .filter(|known| runs_again(known) || was_interrupted(places, &known.record.uid))
            .filter(|known| was_cut_off(places, &known.record.uid, boot_id))
            .map(|known| known.record.uid.clone())
            .collect();
        for uid in cut_off {
            let known = &self.objects[&uid];
            let renewed = identity::random_uid()
                .map(|uid| {
                    let record = ObjectRecord { uid, created_at: now.wall, ..known.record.clone() };
                    Known { record, object: Arc::clone(&known.object) }
                })
                .map_err(|source| InventoryError::Write {
                    operation: "name",
                    object: known.record.key.to_string(),
                    source,
                });
            match renewed {
                Ok(known) => steps.push(Step::Replace(uid, Box::new(known))),
                Err(failure) => failures.push(failure),
            }
        }
        failures.extend(self.take(places, steps, now).into_values());
        failures
    }
}

fn runs_again(known: &Known) -> bool {
    match &*known.object {
        Object::Pod(pod) => restarts(pod) || asks_for_rerun(pod),
        Object::ConfigMap(_)
        | Object::Secret(_)
        | Object::Namespace(_)
        | Object::Job(_)
        | Object::CronJob(_)
        | Object::Unserved { .. } => false,
    }
}

fn restarts(pod: &Pod) -> bool {
    let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    policy != Some("Never")
}

fn asks_for_rerun(pod: &Pod) -> bool {
    let annotations = pod.metadata.annotations.as_ref();
    annotations.and_then(|annotations| annotations.get(RERUN)).is_some_and(|value| value == "true")
}

fn was_interrupted(places: &Places, uid: &Uid) -> bool {
    matches!(objects::interrupted_of(places, uid), Ok(Some(_)))
}

/// What cannot be read counts as ended, so that nothing runs twice.
fn was_cut_off(places: &Places, uid: &Uid, boot_id: &str) -> bool {
    let started_before = matches!(objects::launched_in(places, uid), Ok(Some(boot)) if boot != boot_id);
    started_before && matches!(objects::finished_of(places, uid), Ok(None))
}
