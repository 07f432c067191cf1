//! Objects in force, and the ways to those of them that a question is about. A folder may hold thousands of which nothing
//! is to be seen or done: whoever asks for one of the others must not have to look through all.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Deref};
use std::path::{Path, PathBuf};

use crate::api::Object;

use super::id::Uid;
use super::object::{Known, ObjectKey, Source};
use super::time::Timestamp;

#[derive(Debug, Clone, Default)]
pub(crate) struct Objects {
    all: BTreeMap<Uid, Known>,
    by_source: BTreeMap<Source, Group>,
    by_owner: BTreeMap<Uid, Group>,
    /// In order; hardly ever more than one.
    by_key: BTreeMap<ObjectKey, Vec<Uid>>,
    /// Jobs and CronJobs.
    makers: BTreeSet<Uid>,
    /// Pods that have not come to rest.
    pods: BTreeSet<Uid>,
    /// Those that are to go.
    leaving: BTreeSet<Uid>,
    stirred: BTreeSet<Uid>,
}

/// Objects that have something in common.
#[derive(Debug, Clone, Default)]
struct Group {
    open: BTreeSet<Uid>,
    /// Pods that a controller made and that have come to rest, the newest last.
    at_rest: BTreeSet<Age>,
}

/// When an object was made, and which it is of those that its owner has made.
type Age = (Timestamp, u64, Uid);

/// For reading alone, by UID.
impl Deref for Objects {
    type Target = BTreeMap<Uid, Known>;

    fn deref(&self) -> &BTreeMap<Uid, Known> {
        &self.all
    }
}

impl FromIterator<Known> for Objects {
    fn from_iter<I: IntoIterator<Item = Known>>(known: I) -> Objects {
        let mut objects = Objects::default();
        for known in known {
            objects.put(known);
        }
        objects
    }
}

impl Objects {
    /// Gives back what had the UID before.
    pub(crate) fn put(&mut self, known: Known) -> Option<Known> {
        let uid = known.record.uid.clone();
        let before = self.remove(&uid);
        self.by_source.entry(known.record.source.clone()).or_default().open.insert(uid.clone());
        if let Some(owner) = &known.record.owner {
            self.by_owner.entry(owner.uid.clone()).or_default().open.insert(uid.clone());
        }
        let namesakes = self.by_key.entry(known.record.key.clone()).or_default();
        if let Err(at) = namesakes.binary_search(&uid) {
            namesakes.insert(at, uid.clone());
        }
        match &*known.object {
            Object::Pod(_) => drop(self.pods.insert(uid.clone())),
            Object::Job(_) | Object::CronJob(_) => drop(self.makers.insert(uid.clone())),
            Object::ConfigMap(_) | Object::Secret(_) | Object::Namespace(_) | Object::Unserved { .. } => {}
        }
        if known.record.deletion.is_some() {
            self.leaving.insert(uid.clone());
        }
        self.all.insert(uid.clone(), known);
        self.stir(&uid);
        before
    }

    pub(crate) fn remove(&mut self, uid: &Uid) -> Option<Known> {
        self.stir(uid);
        let known = self.all.remove(uid)?;
        let age = age(&known);
        if let Some(group) = self.by_source.get_mut(&known.record.source)
            && group.remove(&age)
        {
            self.by_source.remove(&known.record.source);
        }
        if let Some(owner) = &known.record.owner
            && let Some(group) = self.by_owner.get_mut(&owner.uid)
            && group.remove(&age)
        {
            self.by_owner.remove(&owner.uid);
        }
        if let Some(namesakes) = self.by_key.get_mut(&known.record.key) {
            namesakes.retain(|one| one != uid);
            // One of them may have waited for it to go.
            self.stirred.extend(namesakes.iter().cloned());
            if namesakes.is_empty() {
                self.by_key.remove(&known.record.key);
            }
        }
        for set in [&mut self.makers, &mut self.pods, &mut self.leaving] {
            set.remove(uid);
        }
        Some(known)
    }

    #[cfg(test)]
    pub(crate) fn change(&mut self, uid: &Uid, change: impl FnOnce(&mut Known)) {
        let mut known = self.all[uid].clone();
        change(&mut known);
        self.put(known);
    }

    /// A pod has ended, is gone, and counts where it is to count: nothing happens to it any more unless it is put anew.
    pub(crate) fn rest(&mut self, uid: &Uid) {
        let Some(known) = self.all.get(uid) else { return };
        if !self.pods.remove(uid) {
            return;
        }
        if let Some(owner) = &known.record.owner {
            let groups = [self.by_source.get_mut(&known.record.source), self.by_owner.get_mut(&owner.uid)];
            for group in groups.into_iter().flatten() {
                group.open.remove(uid);
                group.at_rest.insert(age(known));
            }
        }
    }

    /// What is known of an object apart from its record has changed.
    pub(crate) fn stir(&mut self, uid: &Uid) {
        let owner = self.all.get(uid).and_then(|known| known.record.owner.as_ref());
        self.stirred.extend(owner.map(|owner| owner.uid.clone()));
        self.stirred.insert(uid.clone());
    }

    /// Objects that have come, gone or changed since this was asked last, and the owners of such.
    pub(crate) fn take_stirred(&mut self) -> BTreeSet<Uid> {
        std::mem::take(&mut self.stirred)
    }

    /// Pods that have not come to rest.
    pub(crate) fn pods(&self) -> impl Iterator<Item = &Known> {
        self.of(&self.pods)
    }

    /// Jobs and CronJobs.
    pub(crate) fn makers(&self) -> impl Iterator<Item = &Known> {
        self.of(&self.makers)
    }

    /// Those that files say are to be there.
    pub(crate) fn declared(&self) -> impl Iterator<Item = &Known> {
        let open = self.by_source.values().flat_map(move |group| self.of(&group.open));
        open.filter(|known| known.is_declared())
    }

    /// Those that are to go.
    pub(crate) fn leaving(&self) -> impl Iterator<Item = &Known> {
        self.of(&self.leaving)
    }

    pub(crate) fn of_key(&self, key: &ObjectKey) -> impl Iterator<Item = &Known> {
        self.by_key.get(key).into_iter().flat_map(move |uids| self.of(uids))
    }

    pub(crate) fn of_source(&self, source: &Source) -> impl Iterator<Item = &Known> {
        self.by_source.get(source).into_iter().flat_map(move |group| self.members(group, usize::MAX))
    }

    /// As [`Objects::of_source`], but of the pods that a controller made and that have come to rest only the newest.
    pub(crate) fn newest_of(&self, source: &Source, at_rest: usize) -> impl Iterator<Item = &Known> {
        self.by_source.get(source).into_iter().flat_map(move |group| self.members(group, at_rest))
    }

    /// Files of a folder that objects come from.
    pub(crate) fn sources_in(&self, root: &Path) -> impl Iterator<Item = &Source> {
        let first = Source { root: root.to_owned(), path: PathBuf::new() };
        let from = self.by_source.range((Bound::Included(first.clone()), Bound::Unbounded));
        from.map(|(source, _)| source).take_while(move |source| source.root == first.root)
    }

    /// What an object has made.
    pub(crate) fn made_by(&self, owner: &Uid) -> impl Iterator<Item = &Known> {
        self.by_owner.get(owner).into_iter().flat_map(move |group| self.members(group, usize::MAX))
    }

    /// What of that has not come to rest.
    pub(crate) fn unrested_of(&self, owner: &Uid) -> impl Iterator<Item = &Known> {
        self.by_owner.get(owner).into_iter().flat_map(move |group| self.of(&group.open))
    }

    fn members<'a>(&'a self, group: &'a Group, at_rest: usize) -> impl Iterator<Item = &'a Known> {
        let newest = group.at_rest.iter().rev().take(at_rest).filter_map(|(.., uid)| self.all.get(uid));
        self.of(&group.open).chain(newest)
    }

    fn of<'a>(&'a self, uids: impl IntoIterator<Item = &'a Uid>) -> impl Iterator<Item = &'a Known> {
        uids.into_iter().filter_map(|uid| self.all.get(uid))
    }
}

impl Group {
    /// Tells whether nothing is left.
    fn remove(&mut self, age: &Age) -> bool {
        if !self.open.remove(&age.2) {
            self.at_rest.remove(age);
        }
        self.open.is_empty() && self.at_rest.is_empty()
    }
}

fn age(known: &Known) -> Age {
    let number = known.record.owner.as_ref().map_or(0, |owner| owner.number);
    (known.record.created_at, number, known.record.uid.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::object::{Deletion, ObjectRecord, Owner};

    fn uid(number: u8) -> Uid {
        Uid::from_random([number; 16])
    }

    fn pod(number: u8, owner: Option<u8>) -> Known {
        let authored = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}});
        let name = format!("p{number}");
        let record = ObjectRecord {
            format: 1,
            uid: uid(number),
            key: ObjectKey { group: String::new(), kind: "Pod".into(), namespace: "default".into(), name },
            source: Source { root: "/m".into(), path: "a.yaml".into() },
            authored: authored.clone().into(),
            generation: 1,
            created_at: Timestamp::UNIX_EPOCH,
            deletion: None,
            owner: owner.map(|owner| Owner { uid: uid(owner), number: number.into() }),
        };
        Known { record, object: Object::Pod(serde_json::from_value(authored).unwrap()).into() }
    }

    fn uids<'a>(known: impl Iterator<Item = &'a Known>) -> BTreeSet<Uid> {
        known.map(|known| known.record.uid.clone()).collect()
    }

    #[test]
    fn of_pods_at_rest_a_file_lists_the_newest_and_all_that_it_declares_itself() {
        let mut objects: Objects =
            [pod(1, None), pod(2, Some(9)), pod(3, Some(9)), pod(4, Some(9))].into_iter().collect();
        let source = objects[&uid(1)].record.source.clone();
        (1..=3).for_each(|number| objects.rest(&uid(number)));
        assert_eq!(uids(objects.pods()), [uid(4)].into());
        assert_eq!(uids(objects.newest_of(&source, 1)), [uid(1), uid(3), uid(4)].into());
        assert_eq!(uids(objects.unrested_of(&uid(9))), [uid(4)].into());
        assert_eq!(uids(objects.made_by(&uid(9))), [uid(2), uid(3), uid(4)].into());
        assert_eq!(uids(objects.declared()), [uid(1)].into());
        assert_eq!(objects.of_source(&source).count(), 4);
    }

    #[test]
    fn what_is_put_anew_rests_no_more_and_what_is_removed_is_found_no_way() {
        let mut objects: Objects = [pod(2, Some(9)), pod(3, Some(9))].into_iter().collect();
        let Known { record: ObjectRecord { source, key, .. }, .. } = objects[&uid(2)].clone();
        objects.rest(&uid(2));
        objects.rest(&uid(3));
        objects.take_stirred();
        let mut moved = objects[&uid(2)].clone();
        moved.record.source.path = "b.yaml".into();
        moved.record.deletion = Some(Deletion { at: Timestamp::UNIX_EPOCH, grace: None });
        objects.put(moved);
        assert_eq!(objects.take_stirred(), [uid(2), uid(9)].into());
        assert_eq!(uids(objects.pods()), [uid(2)].into());
        assert_eq!(uids(objects.leaving()), [uid(2)].into());
        assert_eq!(uids(objects.of_source(&source)), [uid(3)].into());
        objects.remove(&uid(2));
        objects.remove(&uid(3));
        assert_eq!(objects.take_stirred(), [uid(2), uid(3), uid(9)].into());
        assert_eq!(objects.sources_in(Path::new("/m")).count(), 0);
        assert_eq!(
            (objects.of_key(&key).count(), objects.made_by(&uid(9)).count(), objects.len()),
            (0, 0, 0)
        );
    }
}
