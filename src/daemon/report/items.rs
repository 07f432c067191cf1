//! What one status file lists: objects of its manifest and what controllers made of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::KINDS;
use crate::manifest::Mistake;
use crate::model::id::Uid;
use crate::model::object::{Deletion, Known};
use crate::model::time::Timestamp;
use crate::status::{Control, Course, FileState, Tense};

use crate::daemon::observe::Seen;

/// Ended pods of Jobs that are listed in one file, the newest.
pub(super) const ENDED_LISTED: usize = 20;

pub(super) type Item<'a> = (&'a Known, Course);

/// In the file's order, as far as it is known: kinds in the order they are applied, then by name.
pub(super) fn items<'a>(
    objects: &[&'a Known],
    seen: &Seen,
    ends: &BTreeMap<Uid, Course>,
    controls: &BTreeMap<Uid, Control>,
) -> Vec<Item<'a>> {
    let old = old(objects, seen);
    let listed = objects.iter().filter(|known| !old.contains(&known.record.uid));
    let course = |known: &Known| {
        let end = ends.get(&known.record.uid).cloned();
        end.unwrap_or_else(|| seen.course_of(known, controls))
    };
    let mut items: Vec<Item<'a>> = listed.map(|known| (*known, course(known))).collect();
    items.sort_by(|(a, _), (b, _)| order(a).cmp(&order(b)));
    items
}

/// Pods that have ended and were made by a Job, but for the newest.
fn old<'a>(objects: &[&'a Known], seen: &Seen) -> BTreeSet<&'a Uid> {
    let mut ended: Vec<(Timestamp, u64, &Uid)> = objects
        .iter()
        .filter(|known| seen.observed.pod(&known.record.uid).is_some_and(|pod| pod.finished.is_some()))
        .filter_map(|known| {
            let owner = known.record.owner.as_ref()?;
            Some((known.record.created_at, owner.number, &known.record.uid))
        })
        .collect();
    ended.sort();
    ended.into_iter().rev().skip(ENDED_LISTED).map(|(_, _, uid)| uid).collect()
}

fn order(known: &Known) -> (usize, &str, &str) {
    let key = &known.record.key;
    let kind = KINDS.iter().position(|kind| kind.kind == key.kind).unwrap_or(KINDS.len());
    (kind, &key.namespace, &key.name)
}

/// All that the text of a status file is made from, as far as it changes: equal facts make equal texts, and comparing
/// them costs less than writing them out.
#[derive(Debug, PartialEq)]
pub(super) struct Facts {
    state: FileState,
    tense: Tense,
    note: Option<String>,
    observed_hash: String,
    applied_hash: String,
    undone: Option<Vec<Mistake>>,
    items: Vec<(Uid, u64, Option<Deletion>, Course)>,
}

impl Facts {
    pub(super) fn of(
        (state, tense): (FileState, Tense),
        note: Option<&str>,
        hashes: [&str; 2],
        undone: Option<&[Mistake]>,
        items: &[Item<'_>],
    ) -> Facts {
        let [observed_hash, applied_hash] = hashes.map(str::to_owned);
        let items = items.iter().map(|(known, course)| {
            let record = &known.record;
            (record.uid.clone(), record.generation, record.deletion.clone(), course.clone())
        });
        let (note, undone) = (note.map(str::to_owned), undone.map(<[Mistake]>::to_vec));
        Facts { state, tense, note, observed_hash, applied_hash, undone, items: items.collect() }
    }
}
