//! Controllers: what Jobs and CronJobs want made, ended and written down. Pure; the daemon carries it out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::Object;
use crate::model::control::{Controlled, Step, Steps};
use crate::model::id::Uid;
use crate::model::job::{JobRecord, Present};
use crate::model::object::{Known, ObjectKey, ObjectRecord, Owner};
use crate::model::objects::Objects;
use crate::model::observed::{Observed, PodObservation};
use crate::model::record::FORMAT;
use crate::model::schedule::zone_named;

use super::{cron, job};
pub(crate) use agenda::Agenda;

mod agenda;

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

/// What is to be done for those that are `due` of the objects that make others. `zone` is the machine's own, for schedules
/// that name none.
pub(crate) fn control(
    objects: &Objects,
    controlled: &Controlled,
    observed: &Observed,
    zone: &TimeZone,
    present: Present<'_>,
    due: &BTreeSet<Uid>,
) -> Steps {
    let mut steps = Steps::default();
    let nothing = JobRecord::default();
    // Each zone is looked up once: its table of changes is read from the tz database.
    let mut zones: BTreeMap<&str, Option<TimeZone>> = BTreeMap::new();
    for known in due.iter().filter_map(|uid| objects.get(uid)) {
        let uid = &known.record.uid;
        let mut own = Steps::default();
        let course = match &*known.object {
            Object::Job(_) | Object::CronJob(_) if known.record.deletion.is_some() => {
                take_along(known, &children(objects.made_by(uid), observed), &mut own);
                Course::GoesOn
            }
            Object::Job(spec) => {
                let record = controlled.jobs.get(uid).unwrap_or(&nothing);
                let room = room(objects, &known.record.key);
                let at_work = children(objects.unrested_of(uid), observed);
                let pods = match record.finished {
                    Some(_) => children(objects.made_by(uid), observed),
                    // Those at rest are in its counts.
                    None => at_work.clone(),
                };
                job::sync(known, spec, record, &pods, room, present, &mut own);
                Course::of(room == job::Room::Taken || !at_work.is_empty())
            }
            Object::CronJob(spec) => {
                let record = controlled.crons.get(uid).cloned().unwrap_or_default();
                let jobs = |uid: &Uid| controlled.jobs.get(uid).unwrap_or(&nothing);
                let name = spec.spec.time_zone.as_deref();
                let named = name.map(|name| zones.entry(name).or_insert_with(|| zone_named(name)).clone());
                let zone = named.flatten().unwrap_or_else(|| zone.clone());
                let made = children(objects.made_by(uid), observed);
                cron::sync(known, spec, record, &made, &jobs, zone, present, &mut own);
                Course::of(made.iter().any(|child| child.is_to_go() || jobs(child.uid()).finished.is_none()))
            }
            Object::Pod(_)
            | Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Namespace(_)
            | Object::Unserved { .. } => Course::Rests,
        };
        if course == Course::Rests && own.steps.is_empty() {
            steps.rests.push((uid.clone(), own.wake_in));
        } else {
            steps.wake_in(own.wake_in);
        }
        steps.steps.append(&mut own.steps);
    }
    // A Job goes after its CronJob has noted what it was made for.
    steps.steps.sort_by_key(|step| matches!(step, Step::Forget(_)));
    steps
}

/// Whether something of an object is under way that is followed look by look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    GoesOn,
    Rests,
}

impl Course {
    fn of(goes_on: bool) -> Course {
        if goes_on { Course::GoesOn } else { Course::Rests }
    }
}

/// In the order in which they were made.
fn children<'a>(made: impl Iterator<Item = &'a Known>, observed: &'a Observed) -> Vec<Child<'a>> {
    let child = |known: &'a Known| {
        let Owner { number, .. } = known.record.owner.as_ref()?;
        Some(Child { known, number: *number, seen: observed.pod(&known.record.uid) })
    };
    let mut children: Vec<Child<'a>> = made.filter_map(child).collect();
    children.sort_by_key(|child| child.number);
    children
}

/// Two runs of one Job never overlap: what is left of an earlier one goes first.
fn room(objects: &Objects, key: &ObjectKey) -> job::Room {
    let is_taken = objects.of_key(key).any(|known| known.record.deletion.is_some());
    if is_taken { job::Room::Taken } else { job::Room::Free }
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
        authored: authored.into(),
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
