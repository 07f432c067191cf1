//! Changes → records on disc, then in memory: what is not written down is not in force, but for a removal. That may be
//! what makes room to write, and need not wait for a disc: nothing declares the object any more, so a watcher that starts
//! meanwhile decides the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use crate::api::Object;
use crate::daemon::folder::chain;
use crate::failpoint;
use crate::manifest::{Declared, podsecurity};
use crate::model::id::Uid;
use crate::model::object::{Deletion, Known, ObjectKey, ObjectRecord, Source};
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

impl Step {
    /// Of the object that it is about.
    pub(super) fn uid(&self) -> &Uid {
        match self {
            Step::Put(known, _) | Step::Replace(_, known) => &known.record.uid,
            Step::Remove(uid) => uid,
        }
    }

    fn removes(&self) -> Option<(Uid, Unwritten)> {
        match self {
            Step::Put(..) => None,
            // What would come in its place could not be written down either.
            Step::Replace(uid, _) => Some((uid.clone(), Unwritten::Stays)),
            Step::Remove(uid) => Some((uid.clone(), Unwritten::Goes)),
        }
    }
}

/// What becomes of an object whose removal is not written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unwritten {
    Stays,
    Goes,
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
                    known.record.authored = Arc::clone(&declared.authored);
                    known.record.generation += 1;
                    known.object = Arc::clone(&declared.object);
                };
                Step::Put(renewed(uid, &update), "update")
            }
            Change::Replace { uid, declared, source } => {
                Step::Replace(uid.clone(), added(declared, source, now)?)
            }
            Change::Remove { uid } => Step::Remove(uid.clone()),
        })
    }

    /// Takes the steps together, and tells which were not taken, by their [`Step::uid`].
    pub(super) fn take(
        &mut self,
        places: &Places,
        steps: Vec<Step>,
        now: Now,
    ) -> BTreeMap<Uid, InventoryError> {
        let mut failures = BTreeMap::new();
        // The old ones first: two objects of one name must never both be in force.
        let doomed = steps.iter().filter_map(Step::removes).collect();
        let mut kept = self.remove_all(places, doomed, None, now);
        let mut puts = Vec::new();
        for step in steps {
            match step {
                Step::Put(known, operation) => puts.push((*known, operation)),
                Step::Replace(old, known) => match kept.remove(&old) {
                    None => puts.push((*known, "replace")),
                    Some(failure) => drop(failures.insert(known.record.uid.clone(), failure)),
                },
                Step::Remove(uid) => failures.extend(kept.remove(&uid).map(|failure| (uid, failure))),
            }
        }
        failures.extend(self.put_all(places, puts));
        failures
    }

    pub(super) fn put(
        &mut self,
        places: &Places,
        known: Known,
        operation: &'static str,
    ) -> Result<(), InventoryError> {
        self.put_all(places, vec![(known, operation)]).into_values().next().map_or(Ok(()), Err)
    }

    fn put_all(
        &mut self,
        places: &Places,
        puts: Vec<(Known, &'static str)>,
    ) -> BTreeMap<Uid, InventoryError> {
        let records: Vec<&ObjectRecord> = puts.iter().map(|(known, _)| &known.record).collect();
        let saved = objects::save_all(places, &records);
        let mut failures = BTreeMap::new();
        for ((known, operation), saved) in puts.into_iter().zip(saved) {
            let (uid, object) = (known.record.uid.clone(), known.record.key.to_string());
            let put = saved
                .map_err(|source| InventoryError::Write { operation, object, source })
                .and_then(|()| self.adopt(places, known, operation));
            failures.extend(put.err().map(|failure| (uid, failure)));
        }
        failures
    }

    fn adopt(
        &mut self,
        places: &Places,
        known: Known,
        operation: &'static str,
    ) -> Result<(), InventoryError> {
        let ObjectRecord { uid, key, source, generation, .. } = &known.record;
        tracing::info!(operation, object = %key, %uid, generation, file = %source.path.display(), "object changed");
        let uid = uid.clone();
        self.untold.touch(source);
        let why = podsecurity::objection(&known.record.authored, &self.reader.policy(&source.root));
        // What comes from a file has been found right when it was read, what a controller makes of it has not.
        match why.filter(|_| known.record.owner.is_some()) {
            Some(why) => drop(self.forbidden.insert(uid.clone(), why)),
            None => drop(self.forbidden.remove(&uid)),
        }
        let before = self.objects.put(known);
        match before {
            Some(before) if before.record.source != self.objects[&uid].record.source => {
                self.untold.touch(&before.record.source);
                self.move_along(places, &uid)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What an object has made is declared where the object is.
    fn move_along(&mut self, places: &Places, uid: &Uid) -> Result<(), InventoryError> {
        let source = self.objects[uid].record.source.clone();
        let children: Vec<Known> = self.objects.made_by(uid).cloned().collect();
        for mut child in children {
            child.record.source = source.clone();
            self.put(places, child, "move")?;
        }
        Ok(())
    }

    pub(super) fn remove(
        &mut self,
        places: &Places,
        uid: &Uid,
        grace: Option<u32>,
        now: Now,
    ) -> Result<(), InventoryError> {
        let doomed = vec![(uid.clone(), Unwritten::Goes)];
        self.remove_all(places, doomed, grace, now).into_values().next().map_or(Ok(()), Err)
    }

    fn remove_all(
        &mut self,
        places: &Places,
        doomed: Vec<(Uid, Unwritten)>,
        grace: Option<u32>,
        now: Now,
    ) -> BTreeMap<Uid, InventoryError> {
        let deletion = Some(Deletion { at: now.wall, grace });
        let mut failures = BTreeMap::new();
        let mut marked = Vec::new();
        for (uid, unwritten) in doomed {
            let Some(known) = self.objects.get(&uid) else { continue };
            let key = known.record.key.clone();
            self.untold.touch(&known.record.source);
            if !outlives_its_record(&known.object) {
                let forgotten = objects::forget(places, &uid).map(|()| drop(self.objects.remove(&uid)));
                failures.extend(removed(uid, &key, forgotten));
                continue;
            }
            let record = ObjectRecord { deletion: deletion.clone(), ..known.record.clone() };
            let object = Arc::clone(&known.object);
            match unwritten {
                Unwritten::Stays => marked.push(Known { record, object }),
                Unwritten::Goes => {
                    self.objects.put(Known { record, object });
                    self.unwritten.insert(uid.clone());
                    failures.extend(removed(uid, &key, Ok(())));
                }
            }
        }
        let records: Vec<&ObjectRecord> = marked.iter().map(|known| &known.record).collect();
        let saved = objects::save_all(places, &records);
        for (known, saved) in marked.into_iter().zip(saved) {
            let (uid, key) = (known.record.uid.clone(), known.record.key.clone());
            let written = saved.and_then(|()| failpoint::reach("removal recorded"));
            failures.extend(removed(uid, &key, written.map(|()| drop(self.objects.put(known)))));
        }
        failures
    }

    /// Writes down removals that are in force already, but for those of objects that have gone meanwhile. Tells of each
    /// that cannot be written, which the next pass tries again.
    pub(crate) fn write_removals(&mut self, places: &Places) -> Vec<String> {
        let unwritten = std::mem::take(&mut self.unwritten);
        let objects = unwritten.iter().filter_map(|uid| self.objects.get(uid)).map(|known| &known.record);
        let records: Vec<&ObjectRecord> =
            objects.filter(|record| places.object(&record.uid).object().exists()).collect();
        let (mut failed, mut complaints) = (BTreeSet::new(), Vec::new());
        for (record, saved) in records.iter().zip(objects::save_all(places, &records)) {
            if let Err(error) = saved.and_then(|()| failpoint::reach("removal recorded")) {
                complaints.push(format!("cannot write down that {} is to go: {}", record.key, chain(&error)));
                failed.insert(record.uid.clone());
            }
        }
        self.unwritten = failed;
        complaints
    }

    /// Objects that are to go as nothing but memory says yet.
    pub(crate) fn unwritten(&self) -> &BTreeSet<Uid> {
        &self.unwritten
    }
}

fn removed(uid: Uid, key: &ObjectKey, outcome: io::Result<()>) -> Option<(Uid, InventoryError)> {
    match outcome {
        Ok(()) => {
            tracing::info!(object = %key, %uid, "object removed");
            None
        }
        Err(source) => {
            let object = key.to_string();
            Some((uid, InventoryError::Write { operation: "remove", object, source }))
        }
    }
}

/// A pod is told to go, and its record goes after it, as that of an object does which has made others; nothing of
/// the other kinds outlives its record.
fn outlives_its_record(object: &Object) -> bool {
    match object {
        Object::Pod(_) | Object::Job(_) | Object::CronJob(_) => true,
        Object::ConfigMap(_) | Object::Secret(_) | Object::Namespace(_) | Object::Unserved { .. } => false,
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
        authored: Arc::clone(&declared.authored),
        generation: 1,
        created_at: now.wall,
        deletion: None,
        owner: None,
    };
    Ok(Box::new(Known { record, object: Arc::clone(&declared.object) }))
}
