//! Changes → records on disc, then in memory: what is not written down is not in force.

use crate::api::Object;
use crate::manifest::{Declared, podsecurity};
use crate::model::id::Uid;
use crate::model::object::{Deletion, Known, ObjectRecord, Source};
use crate::model::record::FORMAT;
use crate::model::time::Now;
use crate::paths::Places;
use crate::rundir::objects;
use crate::sandbox::sys::identity;

use super::change::Change;
use super::{Inventory, InventoryError};

/// One thing to write down.
#[derive(Debug)]
pub(super) enum Step {
    Put(Box<Known>, &'static str),
    Replace(Uid, Box<Known>),
    Remove(Uid),
}

impl Inventory {
    pub(super) fn step(&self, change: &Change<'_>, now: Now) -> Result<Step, InventoryError> {
        let renewed = |uid: &Uid, change: &dyn Fn(&mut Known)| {
            let mut known = self.objects[uid].clone();
            change(&mut known);
            Box::new(known)
        };
        Ok(match *change {
            Change::Add { declared, source } => Step::Put(added(declared, source, now)?, "add"),
            Change::Move { uid, source } => {
                Step::Put(renewed(uid, &|known| known.record.source = source.clone()), "move")
            }
            Change::Update { uid, declared, source } => {
                let update = |known: &mut Known| {
                    known.record.source = source.clone();
                    known.record.authored = declared.authored.clone();
                    known.record.generation += 1;
                    known.object = declared.object.clone();
                };
                Step::Put(renewed(uid, &update), "update")
            }
            Change::Replace { uid, declared, source } => {
                Step::Replace(uid.clone(), added(declared, source, now)?)
            }
            Change::Remove { uid } => Step::Remove(uid.clone()),
        })
    }

    pub(super) fn take(&mut self, places: &Places, step: Step, now: Now) -> Result<(), InventoryError> {
        match step {
            Step::Put(known, operation) => self.put(places, *known, operation),
            // The old one first: two objects of one name must never both be in force.
            Step::Replace(uid, known) => {
                self.remove(places, &uid, None, now)?;
                self.put(places, *known, "replace")
            }
            Step::Remove(uid) => self.remove(places, &uid, None, now),
        }
    }

    pub(super) fn put(
        &mut self,
        places: &Places,
        known: Known,
        operation: &'static str,
    ) -> Result<(), InventoryError> {
        let object = known.record.key.to_string();
        objects::save(places, &known.record).map_err(|source| InventoryError::Write {
            operation,
            object,
            source,
        })?;
        let ObjectRecord { uid, key, source, generation, .. } = &known.record;
        tracing::info!(operation, object = %key, %uid, generation, file = %source.path.display(), "object changed");
        let uid = uid.clone();
        let why = podsecurity::objection(&known.record.authored, &self.reader.policy(&source.root));
        // What comes from a file has been found right when it was read, what a controller makes of it has not.
        match why.filter(|_| known.record.owner.is_some()) {
            Some(why) => drop(self.forbidden.insert(uid.clone(), why)),
            None => drop(self.forbidden.remove(&uid)),
        }
        let before = self.objects.insert(uid.clone(), known);
        match before {
            Some(before) if before.record.source != self.objects[&uid].record.source => {
                self.move_along(places, &uid)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What an object has made is declared where the object is.
    fn move_along(&mut self, places: &Places, uid: &Uid) -> Result<(), InventoryError> {
        let source = self.objects[uid].record.source.clone();
        let of_owner = |known: &&Known| known.record.owner.as_ref().is_some_and(|owner| owner.uid == *uid);
        let children: Vec<Known> = self.objects.values().filter(of_owner).cloned().collect();
        for mut child in children {
            child.record.source = source.clone();
            self.put(places, child, "move")?;
        }
        Ok(())
    }

    /// A pod is told to go, and its record goes after it, as that of an object does which has made others; nothing
    /// of the other kinds outlives its record.
    pub(super) fn remove(
        &mut self,
        places: &Places,
        uid: &Uid,
        grace: Option<u32>,
        now: Now,
    ) -> Result<(), InventoryError> {
        let Some(known) = self.objects.get_mut(uid) else { return Ok(()) };
        let key = known.record.key.clone();
        let failed = |source| InventoryError::Write { operation: "remove", object: key.to_string(), source };
        if matches!(known.object, Object::Pod(_) | Object::Job(_) | Object::CronJob(_)) {
            let deletion = Some(Deletion { at: now.wall, grace });
            let record = ObjectRecord { deletion, ..known.record.clone() };
            objects::save(places, &record).map_err(failed)?;
            known.record = record;
        } else {
            objects::forget(places, uid).map_err(failed)?;
            self.objects.remove(uid);
        }
        tracing::info!(object = %key, %uid, "object removed");
        Ok(())
    }
}

fn added(declared: &Declared, source: &Source, now: Now) -> Result<Box<Known>, InventoryError> {
    let uid = identity::random_uid().map_err(|source| InventoryError::Write {
        operation: "name",
        object: declared.key.to_string(),
        source,
    })?;
    let record = ObjectRecord {
        format: FORMAT,
        uid,
        key: declared.key.clone(),
        source: source.clone(),
        authored: declared.authored.clone(),
        generation: 1,
        created_at: now.wall,
        deletion: None,
        owner: None,
    };
    Ok(Box::new(Known { record, object: declared.object.clone() }))
}
