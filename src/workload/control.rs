//! Controllers: what Jobs and CronJobs want made, ended and written down. Pure; the daemon carries it out.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::Object;
use crate::model::control::{Controlled, Step, Steps};
use crate::model::id::Uid;
use crate::model::job::{JobRecord, Present};
use crate::model::object::{Known, ObjectKey, ObjectRecord, Owner};
use crate::model::observed::{Observed, PodObservation};
use crate::model::record::FORMAT;
use crate::model::schedule::zone_named;

use super::{cron, job};

#[cfg(test)]
pub(crate) mod tests;

/// An object that a controller made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Child<'a> {
    pub(super) known: &'a Known,
    pub(super) number: u64,
    /// Of a pod that has left a trace.
    pub(super) seen: Option<&'a PodObservation>,
}

impl<'a> Child<'a> {
    pub(super) fn uid(&self) -> &'a Uid {
        &self.known.record.uid
    }

    pub(super) fn is_to_go(&self) -> bool {
        self.known.record.deletion.is_some()
    }
}

/// What is to be done for every object that makes others. `zone` is the machine's own, for schedules that name none.
pub(crate) fn control(
    objects: &BTreeMap<Uid, Known>,
    controlled: &Controlled,
    observed: &Observed,
    zone: &TimeZone,
    present: Present<'_>,
) -> Steps {
    let mut steps = Steps::default();
    let mut children: BTreeMap<&Uid, Vec<Child<'_>>> = BTreeMap::new();
    let mut leaving: BTreeMap<&ObjectKey, usize> = BTreeMap::new();
    for known in objects.values() {
        if let Some(Owner { uid, number }) = &known.record.owner {
            let seen = observed.pods.get(&known.record.uid);
            children.entry(uid).or_default().push(Child { known, number: *number, seen });
        }
        if known.record.deletion.is_some() {
            *leaving.entry(&known.record.key).or_default() += 1;
        }
    }
    let nothing = JobRecord::default();
    // Each zone is looked up once: its table of changes is read from the tz database.
    let mut zones: BTreeMap<&str, Option<TimeZone>> = BTreeMap::new();
    for (uid, known) in objects {
        let mut own = children.remove(uid).unwrap_or_default();
        own.sort_by_key(|child| child.number);
        match &known.object {
            Object::Job(_) | Object::CronJob(_) if known.record.deletion.is_some() => {
                take_along(known, &own, &mut steps);
            }
            Object::Job(spec) => {
                let record = controlled.jobs.get(uid).unwrap_or(&nothing);
                // Two runs of one Job never overlap: what is left of an earlier one goes first.
                let room =
                    if leaving.contains_key(&known.record.key) { job::Room::Taken } else { job::Room::Free };
                job::sync(known, spec, record, &own, room, present, &mut steps);
            }
            Object::CronJob(spec) => {
                let record = controlled.crons.get(uid).cloned().unwrap_or_default();
                let jobs = |uid: &Uid| controlled.jobs.get(uid).unwrap_or(&nothing);
                let name = spec.spec.time_zone.as_deref();
                let named = name.map(|name| zones.entry(name).or_insert_with(|| zone_named(name)).clone());
                let zone = named.flatten().unwrap_or_else(|| zone.clone());
                cron::sync(known, spec, record, &own, &jobs, zone, present, &mut steps);
            }
            Object::Pod(_)
            | Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Namespace(_)
            | Object::Unserved { .. } => {}
        }
    }
    // A Job goes after its CronJob has noted what it was made for.
    steps.steps.sort_by_key(|step| matches!(step, Step::Forget(_)));
    steps
}

/// An owner that is to go takes along what it made, and goes once that has gone.
fn take_along(known: &Known, children: &[Child<'_>], steps: &mut Steps) {
    if children.is_empty() {
        steps.steps.push(Step::Forget(known.record.uid.clone()));
    }
    let grace = known.record.deletion.as_ref().and_then(|deletion| deletion.grace);
    for child in children.iter().filter(|child| !child.is_to_go()) {
        steps.steps.push(Step::End { uid: child.uid().clone(), grace });
    }
}

/// The same bytes each time that the same owner makes the same object.
fn digest(owner: &Uid, number: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(owner.as_str());
    hash.update(number.to_le_bytes());
    hash.finalize().into()
}

/// Letters that spell no word, as Kubernetes has them at the end of names.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

pub(super) fn suffix(owner: &Uid, number: u64) -> String {
    let letter = |byte: &u8| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]);
    digest(owner, number)[16..21].iter().map(letter).collect()
}

/// The record of an object that `owner` makes, declared by the file that declares the owner.
pub(super) fn made(
    owner: &Known,
    number: u64,
    group: &str,
    kind: &str,
    name: String,
    authored: Value,
    present: Present<'_>,
) -> Box<ObjectRecord> {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest(&owner.record.uid, number)[..16]);
    let namespace = owner.record.key.namespace.clone();
    Box::new(ObjectRecord {
        format: FORMAT,
        uid: Uid::from_random(bytes),
        key: ObjectKey { group: group.to_owned(), kind: kind.to_owned(), namespace, name },
        source: owner.record.source.clone(),
        authored,
        generation: 1,
        created_at: present.now.wall,
        deletion: None,
        owner: Some(Owner { uid: owner.record.uid.clone(), number }),
    })
}

pub(super) fn owner_reference(owner: &Known) -> Value {
    let (api_version, kind) = owner.object.type_meta();
    serde_json::json!({
        "apiVersion": api_version, "kind": kind, "name": owner.record.key.name, "uid": owner.record.uid,
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// The mapping below `key`, made where the author wrote none.
pub(super) fn mapping<'a>(value: &'a mut Value, key: &str) -> &'a mut Value {
    if !value.is_object() {
        *value = Value::Object(serde_json::Map::new());
    }
    let inner = &mut value[key];
    if !inner.is_object() {
        *inner = Value::Object(serde_json::Map::new());
    }
    inner
}

impl Steps {
    pub(super) fn wake_in(&mut self, wait: Option<Duration>) {
        self.wake_in = [self.wake_in, wait].into_iter().flatten().min();
    }
}

/// A span that a manifest gives in seconds.
pub(super) fn seconds(given: i64) -> Duration {
    Duration::from_secs(u64::try_from(given).unwrap_or(0))
}
