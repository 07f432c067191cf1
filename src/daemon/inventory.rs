//! Objects in force: what files declare, taken over file by file, kept on disc, and never lost to a bad edit.

pub(crate) mod change;
mod class;
pub(crate) mod file;
mod keep;
pub(crate) mod prune;
pub(crate) mod renew;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use crate::manifest::podsecurity;
use crate::manifest::{self, Declared};
use crate::model::id::Uid;
use crate::model::object::{Known, Source};
use crate::model::time::{Moment, Now};
use crate::paths::Places;
use crate::rundir::objects;

use super::folder::{Look, News, earlier};
use change::{Change, Claim, Conflict};
use class::pod_class;
use file::{Content, ManifestFile, Reader};
use keep::Step;
use prune::Held;

#[derive(Debug)]
pub(crate) struct Inventory {
    reader: Reader,
    caution: Caution,
    objects: BTreeMap<Uid, Known>,
    folders: BTreeMap<PathBuf, FolderView>,
    files: BTreeMap<Source, ManifestFile>,
    conflicts: BTreeMap<Source, Vec<Conflict>>,
    /// Objects that were kept and that policy does not let start any more, with its words.
    forbidden: BTreeMap<Uid, String>,
}

/// Whether edits are given time to be completed or taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caution {
    Wait,
    /// The files are read once, as they were named.
    Trust,
}

/// What the last look at a folder told of it as a whole.
#[derive(Debug, Default)]
pub(crate) struct FolderView {
    pub(crate) state: FolderState,
    restless_until: Option<Moment>,
    /// Files of objects in force that were seen going: their removal is nobody's accident.
    went: BTreeSet<PathBuf>,
    held: Option<Held>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum FolderState {
    #[default]
    Unseen,
    Seen,
    Lost(String),
    Refused(String),
}

/// What came of a reconciliation: a failure stops none of the rest, and is tried again by the next pass.
#[derive(Debug, Default)]
pub(crate) struct Reconciled {
    pub(crate) changed: usize,
    pub(crate) failures: Vec<InventoryError>,
    pub(crate) again_at: Option<Moment>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum InventoryError {
    #[error("cannot load the objects in force")]
    Load { source: io::Error },
    #[error("cannot read the record of object {object}, which is left alone")]
    Record { object: String, source: io::Error },
    #[error("cannot revive object {object}, which is left alone")]
    Revive { object: String, source: manifest::ReviveError },
    #[error("cannot {operation} object {object}")]
    Write { operation: &'static str, object: String, source: io::Error },
}

impl Inventory {
    /// Loads what was in force, before any file is read. Records that cannot be read are told and left alone.
    pub(crate) fn load(
        places: &Places,
        reader: Reader,
        caution: Caution,
    ) -> Result<(Inventory, Vec<InventoryError>), InventoryError> {
        let loaded = objects::load(places).map_err(|source| InventoryError::Load { source })?;
        let mut failures: Vec<InventoryError> = loaded
            .unreadable
            .into_iter()
            .map(|(object, source)| InventoryError::Record { object, source })
            .collect();
        let mut known = BTreeMap::new();
        let mut forbidden = BTreeMap::new();
        for record in loaded.objects {
            match manifest::revive(&record.authored) {
                Ok(object) => {
                    let policy = reader.policy(&record.source.root);
                    let why = podsecurity::objection(&record.authored, &policy);
                    forbidden.extend(why.map(|why| (record.uid.clone(), why)));
                    known.insert(record.uid.clone(), Known { record, object });
                }
                Err(source) => {
                    failures.push(InventoryError::Revive { object: record.key.to_string(), source });
                }
            }
        }
        let inventory = Inventory {
            reader,
            caution,
            objects: known,
            folders: BTreeMap::new(),
            files: BTreeMap::new(),
            conflicts: BTreeMap::new(),
            forbidden,
        };
        Ok((inventory, failures))
    }

    pub(crate) fn objects(&self) -> &BTreeMap<Uid, Known> {
        &self.objects
    }

    /// Objects that may not start, and why; what runs of them already runs on.
    pub(crate) fn forbidden(&self) -> &BTreeMap<Uid, String> {
        &self.forbidden
    }

    pub(crate) fn files(&self) -> &BTreeMap<Source, ManifestFile> {
        &self.files
    }

    pub(crate) fn folder(&self, root: &Path) -> Option<&FolderView> {
        self.folders.get(root)
    }

    pub(crate) fn conflicts(&self, source: &Source) -> &[Conflict] {
        self.conflicts.get(source).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn has_objects(&self, root: &Path) -> bool {
        self.live(root).next().is_some()
    }

    fn live(&self, root: &Path) -> impl Iterator<Item = &Known> {
        let of_root = move |known: &&Known| known.record.source.root == root;
        self.objects.values().filter(|known| known.record.deletion.is_none()).filter(of_root)
    }

    /// Takes over what a look at a folder told. Nothing comes into force by this alone.
    pub(crate) fn absorb(&mut self, root: &Path, look: Look) {
        let folder = self.folders.entry(root.to_owned()).or_default();
        match look {
            Look::Lost(why) => {
                folder.state = FolderState::Lost(why);
                folder.went.clear();
            }
            Look::Refused(why) => folder.state = FolderState::Refused(why),
            Look::Seen(mut news) => {
                folder.state = FolderState::Seen;
                folder.went.append(&mut news.went);
                folder.restless_until = news.restless_until;
                self.absorb_news(root, news);
            }
        }
    }

    fn absorb_news(&mut self, root: &Path, mut news: News) {
        self.files.retain(|source, _| source.root != root || news.present.contains(&source.path));
        for path in news.present {
            let read = news.read.remove(&path);
            let odd = news.odd.remove(&path);
            let unfinished = news.settling.contains(&path);
            let source = Source { root: root.to_owned(), path };
            let file = self.files.entry(source).or_default();
            file.unfinished = unfinished;
            if let Some(why) = odd {
                file.mistakes.clear();
                file.ignored.clear();
                file.content = Content::Refused(why);
            } else if let Some(text) = read {
                file.read(&text, &self.reader, root);
            }
        }
    }

    /// Brings the objects in force to what the files declare, as far as caution lets it.
    pub(crate) fn reconcile(&mut self, places: &Places, now: Now) -> Reconciled {
        let mut done = Reconciled::default();
        self.drop_forgotten(places);
        let steps = self.decide(places, now, &mut done);
        for step in steps {
            match self.take(places, step, now) {
                Ok(()) => done.changed += 1,
                Err(failure) => done.failures.push(failure),
            }
        }
        self.note_applied();
        self.forget_went();
        done
    }

    /// For a look at files that brings nothing into force: what is not so yet waits for a watcher.
    pub(crate) fn compare(&mut self) {
        self.note_applied();
        for file in self.files.values_mut() {
            file.unfinished |= file.is_good() && file.applied_hash != file.observed_hash;
        }
    }

    /// An object whose record is gone from disc is gone: its pod was, and the record was removed.
    fn drop_forgotten(&mut self, places: &Places) {
        self.objects
            .retain(|uid, known| known.record.deletion.is_none() || places.object(uid).object().exists());
    }

    /// What is to be written, in order. Borrows end here, so that writing can follow.
    fn decide(&mut self, places: &Places, now: Now, done: &mut Reconciled) -> Vec<Step> {
        let declaring: BTreeMap<&Source, &[Declared]> = self
            .files
            .iter()
            .filter_map(|(source, file)| match self.claim(source) {
                Claim::Declares => match &file.content {
                    Content::Declares(declared) => Some((source, declared.as_slice())),
                    Content::Unknown | Content::Mistaken | Content::Refused(_) => None,
                },
                Claim::Keeps | Claim::Gone => None,
            })
            .collect();
        let replaces = |known: &Known, declared: &Declared| replaces(places, known, declared);
        let found = change::changes(&self.objects, &declaring, |source| self.claim(source), replaces);
        let held = self.hold(&found.changes, now.boot);
        let mut steps = Vec::new();
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
            match self.step(change, now) {
                Ok(step) => steps.push(step),
                Err(failure) => done.failures.push(failure),
            }
        }
        let conflicts = found.conflicts.into_iter().map(|(source, found)| (source.clone(), found)).collect();
        for held in held.values() {
            done.again_at = earlier(done.again_at, Some(held.since + prune::SECOND_LOOK));
        }
        self.conflicts = conflicts;
        let mut held = held;
        for (root, folder) in &mut self.folders {
            folder.held = held.remove(root);
        }
        steps
    }

    /// Objects of folders that nobody looks at, or that tell nothing, stay as they are.
    fn claim(&self, source: &Source) -> Claim {
        let seen = self.folders.get(&source.root).is_some_and(|folder| folder.state == FolderState::Seen);
        if !seen {
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
            if let Err(more) = prune::decide(&removed, self.live(root).count(), folder.held.as_ref(), now) {
                held.insert(root.clone(), more);
            }
        }
        held
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
                let has_objects =
                    |known: &Known| known.record.deletion.is_none() && known.record.source == source;
                !self.files.contains_key(&source) && self.objects.values().any(has_objects)
            });
        }
    }

    /// A file's content is in force when none of it waits: everything it declares and owns is as declared.
    fn note_applied(&mut self) {
        let objects = &self.objects;
        for (source, file) in &mut self.files {
            let Content::Declares(declared) = &file.content else { continue };
            let in_force = |declared: &Declared| {
                objects.values().any(|known| {
                    known.record.key == declared.key
                        && known.record.deletion.is_none()
                        && (known.record.source != *source || known.record.authored == declared.authored)
                })
            };
            if file.applied_hash != file.observed_hash && declared.iter().all(in_force) {
                file.applied_hash.clone_from(&file.observed_hash);
            }
        }
    }
}

impl FolderView {
    pub(crate) fn is_restless(&self, now: Moment) -> bool {
        self.restless_until.is_some_and(|until| now < until)
    }

    /// Objects whose removal waits for a second look.
    pub(crate) fn held(&self) -> Option<&BTreeSet<Uid>> {
        self.held.as_ref().map(|held| &held.objects)
    }
}

/// A pod that has ended is run again by any change of its spec; a living one takes over what it can.
pub(crate) fn replaces(places: &Places, known: &Known, declared: &Declared) -> bool {
    // An end that cannot be read counts as one: a pod must not run twice.
    let ended = !matches!(objects::finished_of(places, &known.record.uid), Ok(None));
    if ended {
        return known.record.authored.get("spec") != declared.authored.get("spec");
    }
    pod_class(&known.record.authored) != pod_class(&declared.authored)
}
