//! What files declare → objects in force, as far as caution lets it.
//!
//! Longer than other files: each rule is about the changes that the one before has left.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::api::Object;
use crate::daemon::folder::{chain, earlier, settle};
use crate::manifest::Declared;
use crate::manifest::immutable::{self, Progress};
use crate::model::id::Uid;
use crate::model::object::{Known, ObjectKey, Source};
use crate::model::time::{Moment, Now};
use crate::paths::Places;
use crate::rundir::objects;
use crate::workload;

use super::change::{self, Change, Claim, Conflict};
use super::file::{Content, ManifestFile};
use super::keep::Step;
use super::prune::{self, Held};
use super::stir::Stir;
use super::view::FolderState;
use super::{Caution, Inventory, InventoryError, Prospect, Reconciled, Undone};

/// What could not be written down is tried again after this.
pub(super) const TRY_AGAIN: Duration = Duration::from_secs(2);

/// A change that is to be made, or why it cannot be.
struct Due {
    source: Source,
    line: usize,
    step: Result<Step, InventoryError>,
}

impl Inventory {
    /// Brings the objects in force to what the files declare, as far as caution lets it.
    pub(crate) fn reconcile(&mut self, places: &Places, now: Now) -> Reconciled {
        let mut done = Reconciled::default();
        self.drop_forgotten(places);
        let mut scope = self.scope();
        let before = self.undone.clone();
        self.undone.retain(|source, _| !scope.contains(source));
        let steps = self.decide(&scope, places, now, &mut done);
        let mut asked = Vec::new();
        let mut taken = Vec::new();
        for Due { source, line, step } in steps {
            // It may take over what another file has lost, and nothing has told of itself.
            scope.touch(&source);
            match step {
                Ok(step) => {
                    asked.push((source, line, step.uid().clone()));
                    taken.push(step);
                }
                Err(failure) => self.note_undone(source, line, failure, &mut done),
            }
        }
        let mut failures = self.take(places, taken, now);
        for (source, line, uid) in asked {
            match failures.remove(&uid) {
                None => done.changed += 1,
                Some(failure) => self.note_undone(source, line, failure, &mut done),
            }
        }
        if !done.failures.is_empty() {
            done.again_at = earlier(done.again_at, Some(now.boot + TRY_AGAIN));
        }
        self.note_applied(&scope);
        self.tell_differing(&before, &self.undone.clone());
        self.forget_went();
        if done.again_at.is_some() {
            self.undecided = scope;
        }
        done
    }

    /// What is to be decided. All of it where a decision waits for something else than its own files.
    fn scope(&mut self) -> Stir {
        let scope = std::mem::take(&mut self.undecided);
        let waits =
            self.folders.values().any(|folder| folder.held.is_some() || folder.unremembered.is_some());
        let tried_again = |undone: &Undone| undone.prospect == Prospect::TriedAgain;
        if waits || self.undone.values().flatten().any(tried_again) { Stir::All } else { scope }
    }

    fn note_undone(&mut self, source: Source, line: usize, failure: InventoryError, done: &mut Reconciled) {
        let (why, prospect) = (chain(&failure), Prospect::TriedAgain);
        let undone = Undone { place: (line, 1), field: "", why, prospect };
        self.undone.entry(source).or_default().push(undone);
        done.failures.push(failure);
    }

    /// For a look at files that brings nothing into force: what is not so yet waits for a watcher.
    pub(crate) fn compare(&mut self) {
        self.note_applied(&Stir::All);
        let sources: Vec<Source> = self.files.keys().cloned().collect();
        for source in sources {
            self.files.change(source, |file| {
                file.unfinished |= file.is_good() && file.applied_hash != file.observed_hash;
            });
        }
    }

    /// An object whose record is gone from disc is gone: its pod was, and the record was removed.
    fn drop_forgotten(&mut self, places: &Places) {
        let is_forgotten = |known: &&Known| !places.object(&known.record.uid).object().exists();
        let forgotten: Vec<Uid> =
            self.objects.leaving().filter(is_forgotten).map(|known| known.record.uid.clone()).collect();
        for known in forgotten.iter().filter_map(|uid| self.objects.remove(uid)) {
            self.undecided.touch(&known.record.source);
            self.untold.touch(&known.record.source);
        }
    }

    /// What is to be written, in order. Borrows end here, so that writing can follow.
    fn decide(&mut self, scope: &Stir, places: &Places, now: Now, done: &mut Reconciled) -> Vec<Due> {
        let keys = self.keys(scope);
        let within = |key: &ObjectKey| keys.as_ref().is_none_or(|keys| keys.contains(key));
        let (objects, declaring) = self.concerned(places, keys.as_ref());
        let replaces = |known: &Known, declared: &Declared| replaces(places, known, declared);
        let claim = |source: &Source| self.claim(places, source);
        let mut found = change::changes(objects.into_iter(), &declaring, within, claim, replaces);
        let all = found.changes.len();
        if self.awaits_content() {
            // What is gone may be in there, under another name.
            found.changes.retain(|change| !matches!(change, Change::Remove { .. }));
        }
        if found.changes.len() < all {
            done.again_at = earlier(done.again_at, Some(now.boot + settle::SECOND_LOOK));
        }
        let held = self.hold(&found.changes, now.boot);
        let (mut steps, mut refused) = (Vec::new(), Vec::new());
        for change in &found.changes {
            if let Some(root) = self.disturbed(change)
                && let Some(until) = self.restless(root, now.boot)
            {
                done.again_at = earlier(done.again_at, Some(until));
                continue;
            }
            if let Change::Remove { uid } = change
                && held.values().any(|held| held.objects.contains(uid))
            {
                continue;
            }
            let (source, line) = self.place(change);
            if let Some(undone) = self.refused(change) {
                refused.push((source.clone(), undone));
                continue;
            }
            let step = self.may_add(change).and_then(|()| self.step(change, now));
            steps.push(Due { source: source.clone(), line, step });
        }
        let conflicts = found.conflicts.into_iter().map(|(source, found)| (source.clone(), found)).collect();
        for held in held.values() {
            done.again_at = earlier(done.again_at, Some(held.since + prune::SECOND_LOOK));
        }
        self.take_conflicts(keys.as_ref(), conflicts);
        for (source, undone) in refused {
            self.undone.entry(source).or_default().push(undone);
        }
        let mut held = held;
        for (root, folder) in &mut self.folders {
            let held = held.remove(root);
            if folder.held != held {
                folder.held = held;
                self.untold = Stir::All;
            }
        }
        steps
    }

    /// Keys of what these files declare and of what is in force from them: all else is as it was decided before. `None`
    /// for every key.
    fn keys(&self, scope: &Stir) -> Option<BTreeSet<ObjectKey>> {
        let Stir::Of(sources) = scope else { return None };
        let files = sources.iter().filter_map(|source| self.files.get(source));
        let declared = files.filter_map(|file| match &file.content {
            Content::Declares(declared) => Some(declared),
            Content::Unknown | Content::Mistaken | Content::Refused(_) => None,
        });
        let declared = declared.flatten().map(|declared| declared.key.clone());
        let in_force = sources.iter().flat_map(|source| self.objects.newest_of(source, 0));
        Some(declared.chain(in_force.map(|known| known.record.key.clone())).collect())
    }

    /// Objects of these keys, and files that declare one.
    fn concerned(
        &self,
        places: &Places,
        keys: Option<&BTreeSet<ObjectKey>>,
    ) -> (Vec<&Known>, BTreeMap<&Source, &[Declared]>) {
        let (objects, sources): (Vec<&Known>, Vec<&Source>) = match keys {
            None => (self.objects.values().collect(), self.files.keys().collect()),
            Some(keys) => (
                keys.iter().flat_map(|key| self.objects.of_key(key)).collect(),
                keys.iter().flat_map(|key| self.files.declaring(key)).collect(),
            ),
        };
        let mut declaring: BTreeMap<&Source, &[Declared]> = BTreeMap::new();
        for source in
            sources.into_iter().filter(|source| matches!(self.claim(places, source), Claim::Declares))
        {
            if let Some(ManifestFile { content: Content::Declares(declared), .. }) = self.files.get(source) {
                declaring.insert(source, declared);
            }
        }
        (objects, declaring)
    }

    /// What is told of a file changes with this.
    fn tell_differing<T: PartialEq>(&mut self, before: &BTreeMap<Source, T>, after: &BTreeMap<Source, T>) {
        let sources = before.keys().chain(after.keys());
        sources.filter(|source| before.get(source) != after.get(source)).for_each(|it| self.untold.touch(it));
    }

    fn take_conflicts(&mut self, keys: Option<&BTreeSet<ObjectKey>>, found: BTreeMap<Source, Vec<Conflict>>) {
        let Some(keys) = keys else {
            let before = std::mem::replace(&mut self.conflicts, found.clone());
            self.tell_differing(&before, &found);
            return;
        };
        for (source, conflicts) in &mut self.conflicts {
            let before = conflicts.len();
            conflicts.retain(|conflict| !keys.contains(&conflict.key));
            if conflicts.len() != before {
                self.untold.touch(source);
            }
        }
        for (source, mut conflicts) in found {
            self.untold.touch(&source);
            self.conflicts.entry(source).or_default().append(&mut conflicts);
        }
        self.conflicts.retain(|_, conflicts| !conflicts.is_empty());
    }

    /// Objects of folders that tell nothing stay as they are.
    fn claim(&self, places: &Places, source: &Source) -> Claim {
        let Some(folder) = self.folders.get(&source.root) else {
            return self.claim_of_stranger(places, source);
        };
        if folder.state != FolderState::Seen {
            return Claim::Keeps;
        }
        match self.files.get(source) {
            None => Claim::Gone,
            Some(ManifestFile { content: Content::Declares(_), .. }) => Claim::Declares,
            Some(_) => Claim::Keeps,
        }
    }

    /// Removals that are too many to be believed at once, for each folder.
    fn hold(&self, changes: &[Change<'_>], now: Moment) -> BTreeMap<PathBuf, Held> {
        let mut held = BTreeMap::new();
        if self.caution == Caution::Trust {
            return held;
        }
        for (root, folder) in &self.folders {
            let removed: BTreeSet<Uid> = changes
                .iter()
                .filter_map(|change| match change {
                    Change::Remove { uid } => Some(*uid),
                    Change::Add { .. }
                    | Change::Move { .. }
                    | Change::Update { .. }
                    | Change::Replace { .. } => None,
                })
                .filter(|uid| {
                    let source = &self.objects[*uid].record.source;
                    source.root == *root && !folder.went.contains(&source.path)
                })
                .cloned()
                .collect();
            if removed.is_empty() {
                continue;
            }
            if let Err(more) = prune::decide(&removed, self.live(root).count(), folder.held.as_ref(), now) {
                held.insert(root.clone(), more);
            }
        }
        held
    }

    /// The file that a change comes from, and the line that says so.
    fn place<'a>(&'a self, change: &Change<'a>) -> (&'a Source, usize) {
        match *change {
            Change::Move { source, .. } => (source, 1),
            Change::Add { declared, source }
            | Change::Update { declared, source, .. }
            | Change::Replace { declared, source, .. } => (source, declared.line),
            Change::Remove { uid } => (&self.objects[uid].record.source, 1),
        }
    }

    /// An edit that the object in force does not take.
    fn refused(&self, change: &Change<'_>) -> Option<Undone> {
        let Change::Update { uid, declared, .. } = change else { return None };
        let has_ended = self.controlled.jobs.get(*uid).is_some_and(|record| record.finished.is_some());
        let progress = if has_ended { Progress::Ended } else { Progress::GoesOn };
        let objection = immutable::objection(&self.objects[*uid].object, &declared.object, progress)?;
        let why = format!("{} is invalid: {}", declared.key, objection.message);
        let place = declared.place_of(objection.field);
        Some(Undone { place, field: objection.field, why, prospect: Prospect::Refused(objection.help) })
    }

    fn may_add(&self, change: &Change<'_>) -> Result<(), InventoryError> {
        let Change::Add { declared, source } = change else { return Ok(()) };
        let why = self.folders.get(&source.root).and_then(|folder| folder.unremembered.clone());
        let object = declared.key.to_string();
        why.map_or(Ok(()), |why| Err(InventoryError::Unremembered { object, why }))
    }

    /// A file has come that is still to be read.
    fn awaits_content(&self) -> bool {
        self.caution == Caution::Wait && self.files.awaits_content()
    }

    /// The folder whose edit would end or change something that runs.
    fn disturbed<'a>(&'a self, change: &Change<'a>) -> Option<&'a Path> {
        match change {
            Change::Add { .. } | Change::Move { .. } => None,
            Change::Update { source, .. } | Change::Replace { source, .. } => Some(&source.root),
            Change::Remove { uid } => Some(&self.objects[*uid].record.source.root),
        }
    }

    fn restless(&self, root: &Path, now: Moment) -> Option<Moment> {
        if self.caution == Caution::Trust {
            return None;
        }
        self.folders.get(root).and_then(|folder| folder.restless_until).filter(|until| now < *until)
    }

    /// A file is remembered as gone for as long as it has objects and does not come back.
    fn forget_went(&mut self) {
        for (root, folder) in &mut self.folders {
            folder.went.retain(|path| {
                let source = Source { root: root.clone(), path: path.clone() };
                let has_objects = || self.objects.newest_of(&source, 0).any(Known::is_declared);
                !self.files.contains_key(&source) && has_objects()
            });
        }
    }

    fn note_applied(&mut self, scope: &Stir) {
        let sources: Vec<&Source> = match scope {
            Stir::All => self.files.keys().collect(),
            Stir::Of(sources) => sources.iter().collect(),
        };
        let applied = sources.into_iter().filter(|source| self.is_applied(source));
        for source in applied.cloned().collect::<Vec<Source>>() {
            let own = self.objects.newest_of(&source, 0).filter(|known| known.is_declared());
            if self.files.apply(&source, own) {
                self.untold.touch(&source);
            }
        }
    }

    /// A file's content comes into force when none of it waits: what it declares is as declared and its own, and nothing
    /// else is.
    fn is_applied(&self, source: &Source) -> bool {
        let Some(file) = self.files.get(source).filter(|file| file.applied_hash != file.observed_hash) else {
            return false;
        };
        let Content::Declares(declared) = &file.content else { return false };
        let own = self.objects.newest_of(source, 0).filter(|known| known.is_declared());
        let own: Vec<&Known> = own.collect();
        let in_force = |declared: &Declared| {
            own.iter()
                .any(|known| known.record.key == declared.key && known.record.authored == declared.authored)
        };
        // As many as are declared, each of them once: nothing that is to go is still there.
        own.len() == declared.len() && declared.iter().all(in_force)
    }
}

/// A pod that has ended is run again by any change of its spec; a living one takes over what it can. A Job is run
/// again by a change of what its pods are made from, and both because a person says so.
pub(crate) fn replaces(places: &Places, known: &Known, declared: &Declared) -> bool {
    let (before, after) = (&known.record.authored, &declared.authored);
    match &*declared.object {
        Object::Pod(_) => !workload::is_same_wish(before, after) || replaces_pod(places, known, declared),
        Object::Job(_) => !workload::is_same_run(before, after),
        Object::ConfigMap(_)
        | Object::Secret(_)
        | Object::Namespace(_)
        | Object::CronJob(_)
        | Object::Unserved { .. } => false,
    }
}

fn replaces_pod(places: &Places, known: &Known, declared: &Declared) -> bool {
    // An end that cannot be read counts as one: a pod must not run twice.
    let ended = !matches!(objects::finished_of(places, &known.record.uid), Ok(None));
    if ended {
        return known.record.authored.get("spec") != declared.authored.get("spec");
    }
    !workload::is_same_pod(&known.record.authored, &declared.authored)
}
