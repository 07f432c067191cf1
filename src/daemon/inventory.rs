//! Objects in force: what files declare, taken over file by file, kept on disc, and never lost to a bad edit.

pub(crate) mod change;
pub(crate) mod control;
pub(crate) mod file;
pub(crate) mod files;
mod home;
mod keep;
pub(crate) mod prune;
mod reconciliation;
pub(crate) mod renew;
pub(crate) mod stir;
mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use crate::manifest::{self, podsecurity};
use crate::model::control::Controlled;
use crate::model::id::Uid;
use crate::model::object::{Known, Source};
use crate::model::objects::Objects;
use crate::model::time::Moment;
use crate::paths::Places;
use crate::rundir::objects;
use crate::workload::Agenda;

use super::folder::{Look, News};
use change::Conflict;
use file::{Content, Reader};
use files::Files;
pub(crate) use reconciliation::replaces;
use stir::Stir;
pub(crate) use view::{FolderState, FolderView};

#[derive(Debug)]
pub(crate) struct Inventory {
    reader: Reader,
    caution: Caution,
    objects: Objects,
    controlled: Controlled,
    agenda: Agenda,
    folders: BTreeMap<PathBuf, FolderView>,
    files: Files,
    conflicts: BTreeMap<Source, Vec<Conflict>>,
    /// What of a file's content could not be brought into force at the last try.
    undone: BTreeMap<Source, Vec<Undone>>,
    /// Objects that were kept and that policy does not let start any more, with its words.
    forbidden: BTreeMap<Uid, String>,
    /// Objects whose removal is in force and not written down.
    unwritten: BTreeSet<Uid>,
    /// Files that may declare something else than is in force.
    undecided: Stir,
    /// Files of which something may be to be reported.
    untold: Stir,
}

/// Whether edits are given time to be completed or taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caution {
    Wait,
    /// The files are read once, as they were named.
    Trust,
}

/// What came of a reconciliation: a failure stops none of the rest, and is tried again by the next pass.
#[derive(Debug, Default)]
pub(crate) struct Reconciled {
    pub(crate) changed: usize,
    pub(crate) failures: Vec<InventoryError>,
    pub(crate) again_at: Option<Moment>,
}

/// An object that is not as its file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undone {
    /// Line and column at which the file says so; the first for an object that it declares no more.
    pub(crate) place: (usize, usize),
    pub(crate) field: &'static str,
    pub(crate) why: String,
    pub(crate) prospect: Prospect,
}

/// What becomes of an edit that is not in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prospect {
    TriedAgain,
    /// The object does not take it; what to do instead.
    Refused(&'static str),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum InventoryError {
    #[error("cannot load the objects in force")]
    Load { source: io::Error },
    #[error("cannot read the record of object {object}, which is left alone")]
    Record { object: String, source: io::Error },
    #[error("cannot revive object {object}, which is left alone")]
    Revive { object: String, source: manifest::ReviveError },
    #[error("cannot add object {object}: it cannot be written down which directory the folder is: {why}")]
    Unremembered { object: String, why: String },
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
        let mut known = Objects::default();
        let mut controlled = Controlled::default();
        let mut forbidden = BTreeMap::new();
        for record in loaded.objects {
            match manifest::revive(&record.authored) {
                Ok(object) => {
                    // Without what was counted, a Job would run again.
                    if let Err(source) = control::load(places, &record.uid, &object, &mut controlled) {
                        failures.push(InventoryError::Record { object: record.key.to_string(), source });
                        continue;
                    }
                    let policy = reader.policy(&record.source.root);
                    let why = podsecurity::objection(&record.authored, &policy);
                    forbidden.extend(why.map(|why| (record.uid.clone(), why)));
                    known.put(Known { record, object: object.into() });
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
            controlled,
            agenda: Agenda::default(),
            folders: BTreeMap::new(),
            files: Files::default(),
            conflicts: BTreeMap::new(),
            undone: BTreeMap::new(),
            forbidden,
            unwritten: BTreeSet::new(),
            undecided: Stir::All,
            untold: Stir::All,
        };
        Ok((inventory, failures))
    }

    pub(crate) fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Objects that may not start, and why; what runs of them already runs on.
    pub(crate) fn forbidden(&self) -> &BTreeMap<Uid, String> {
        &self.forbidden
    }

    pub(crate) fn controlled(&self) -> &Controlled {
        &self.controlled
    }

    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    pub(crate) fn folder(&self, root: &Path) -> Option<&FolderView> {
        self.folders.get(root)
    }

    /// Objects whose removal waits for a second look.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Uid> {
        self.folders.values().filter_map(FolderView::held).flatten()
    }

    pub(crate) fn conflicts(&self, source: &Source) -> &[Conflict] {
        self.conflicts.get(source).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn undone(&self, source: &Source) -> &[Undone] {
        self.undone.get(source).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn has_objects(&self, root: &Path) -> bool {
        self.live(root).next().is_some()
    }

    /// Objects that files of the folder declare.
    fn live(&self, root: &Path) -> impl Iterator<Item = &Known> {
        let sources = self.objects.sources_in(root);
        sources.flat_map(|source| self.objects.newest_of(source, 0)).filter(|known| known.is_declared())
    }

    /// Everything is looked at again by the next reconciliation, by controllers and by the next report.
    pub(crate) fn look_everywhere(&mut self) {
        self.undecided = Stir::All;
        self.untold = Stir::All;
        self.agenda.look_everywhere();
    }

    /// Objects that have come, gone or changed since this was asked last, and those whose controllers look at them.
    pub(crate) fn take_stirred(&mut self) -> BTreeSet<Uid> {
        let stirred = self.objects.take_stirred();
        self.agenda.wake(stirred.iter().cloned());
        stirred
    }

    /// Pods of which nothing is left but the records of their end. Those that still count for their Job are kept in sight
    /// until they have been counted, and those that are to go until they have gone.
    pub(crate) fn let_rest(&mut self, ended: &BTreeSet<Uid>) {
        for uid in ended {
            let is_done = |known: &Known| known.record.deletion.is_none() && self.is_counted(known);
            if self.objects.get(uid).is_some_and(is_done) {
                self.objects.rest(uid);
            }
        }
    }

    fn is_counted(&self, known: &Known) -> bool {
        let Some(owner) = &known.record.owner else { return true };
        let job = self.controlled.jobs.get(&owner.uid);
        job.is_some_and(|job| job.finished.is_some() || job.counted.contains(owner.number))
    }

    /// Files of which something may be to be reported since this was asked last.
    pub(crate) fn take_untold(&mut self) -> Stir {
        std::mem::take(&mut self.untold)
    }

    /// Takes over what a look at a folder told. Nothing comes into force by this alone.
    pub(crate) fn absorb(&mut self, root: &Path, look: Look) {
        let folder = self.folders.entry(root.to_owned()).or_default();
        let state = match &look {
            Look::Lost(why) => FolderState::Lost(why.clone()),
            Look::Refused(why) => FolderState::Refused(why.clone()),
            Look::Seen(_) => FolderState::Seen,
        };
        if folder.state != state {
            folder.state = state;
            self.undecided = Stir::All;
            self.untold = Stir::All;
        }
        match look {
            Look::Lost(_) => folder.went.clear(),
            Look::Refused(_) => {}
            Look::Seen(mut news) => {
                folder.went.append(&mut news.went);
                folder.restless_until = news.restless_until;
                folder.unremembered.clone_from(&news.unremembered);
                self.absorb_news(root, *news);
            }
        }
    }

    fn absorb_news(&mut self, root: &Path, mut news: News) {
        match &news.part {
            None => {
                self.files.keep_only(root, &news.present);
                self.look_everywhere();
            }
            Some(part) => {
                for path in part {
                    let source = Source { root: root.to_owned(), path: path.clone() };
                    self.undecided.touch(&source);
                    self.untold.touch(&source);
                    if !news.present.contains(path) {
                        self.files.remove(&source);
                    }
                }
            }
        }
        for path in news.present {
            let read = news.read.remove(&path);
            let odd = news.odd.remove(&path);
            let unfinished = news.settling.contains(&path);
            let source = Source { root: root.to_owned(), path };
            self.files.change(source, |file| {
                file.unfinished = unfinished;
                if let Some(why) = odd {
                    file.mistakes.clear();
                    file.ignored.clear();
                    file.content = Content::Refused(why);
                } else if let Some(text) = read {
                    file.read(&text, &self.reader, root);
                }
            });
        }
    }
}
