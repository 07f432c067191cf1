//! Status files: written beside each manifest or below a directory of their own, only when they differ.

mod absent;
mod items;
mod pace;
mod sources;
mod view;
mod write;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::api::Object;
use crate::model::id::Uid;
use crate::model::object::{Known, Source};
use crate::model::time::Moment;
use crate::paths::Places;
use crate::rundir::last_words::LastWord;
use crate::rundir::lock;
use crate::status::{self, ControlStatus, Course, FileState, Tense};

use super::folder::scan::Beside;
use super::folder::{Folder, earlier};
use super::inventory::file::ManifestFile;
use super::inventory::stir::Stir;
use super::inventory::{FolderState, Inventory};
use super::observe::Seen;
use items::Facts;
use sources::sources;
use view::{View, state_of, undone};
use write::Write;

/// Files written together; each takes three descriptors meanwhile.
const AT_ONCE: usize = 100;

#[derive(Debug)]
pub(crate) struct Reporter {
    /// In place of beside the manifests.
    status_dir: Option<PathBuf>,
    host_ip: String,
    written: BTreeMap<Source, Written>,
    /// Manifests of which a watcher before this one may have reported where nobody looks for what it left.
    inherited: BTreeSet<Source>,
    /// Directories that have been freed of what was half written in them.
    freed: BTreeSet<PathBuf>,
    /// Told once for each file.
    refused: BTreeSet<Source>,
    /// When those are tried again that a disc did not take. Nothing tells of its having room.
    owed: BTreeMap<Source, Moment>,
    /// Of an `up`, whose pods do not outlive it.
    last_words: Option<Places>,
    /// The state that was logged last; a file is taken for applied until something else is seen.
    told: BTreeMap<Source, FileState>,
    /// How many files were told to be in each state.
    states: BTreeMap<FileState, u64>,
    /// Files that time alone may make another report of.
    waiting: BTreeSet<Source>,
}

#[derive(Debug)]
struct Written {
    text: String,
    last_word: Option<LastWord>,
    facts: Facts,
    phases: Phases,
    at: Moment,
}

/// What a report is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) inventory: &'a Inventory,
    pub(crate) seen: &'a Seen,
    /// Of pods that have gone with all that could be seen of them.
    pub(crate) ends: &'a BTreeMap<Uid, Course>,
    pub(crate) tense: Tense,
    pub(crate) now: Moment,
}

/// What is to be done about a status file.
enum Due {
    /// Nothing before then, if ever.
    At(Option<Moment>),
    Now(Box<Write>),
}

/// What a person waits for: a change of it is written at once.
#[derive(Debug, PartialEq)]
struct Phases {
    state: FileState,
    items: Vec<(Uid, Option<String>)>,
}

impl Reporter {
    pub(crate) fn new(status_dir: Option<PathBuf>, host_ip: String) -> Reporter {
        Reporter {
            status_dir,
            host_ip,
            written: BTreeMap::new(),
            inherited: BTreeSet::new(),
            freed: BTreeSet::new(),
            refused: BTreeSet::new(),
            owed: BTreeMap::new(),
            last_words: None,
            told: BTreeMap::new(),
            states: BTreeMap::new(),
            waiting: BTreeSet::new(),
        }
    }

    /// Also writes down what the status files are to say if this process is killed.
    pub(crate) fn with_last_words(self, places: Places) -> Reporter {
        Reporter { last_words: Some(places), ..self }
    }

    /// Also removes what was reported of these files, once they are seen to be gone.
    pub(crate) fn inherit(&mut self, sources: impl IntoIterator<Item = Source>) {
        if self.status_dir.is_some() {
            self.inherited.extend(sources);
        }
    }

    /// How many files are in each state; one that settles counts by the state before.
    pub(crate) fn states(&self) -> BTreeMap<String, u64> {
        let states = self.states.iter().filter(|(_, count)| **count > 0);
        states.map(|(state, count)| (state.to_string(), *count)).collect()
    }

    /// Notes the state that a file is told to be in; without one, it is told of no more. Gives that before.
    fn note_state(&mut self, source: &Source, state: Option<FileState>) -> Option<FileState> {
        let before = match state {
            Some(state) => self.told.insert(source.clone(), state),
            None => self.told.remove(source),
        };
        if let Some(count) = before.and_then(|before| self.states.get_mut(&before)) {
            *count -= 1;
        }
        if let Some(state) = state {
            *self.states.entry(state).or_default() += 1;
        }
        before
    }

    /// Writes what differs, of files that have been stirred; tells when a write that waits is due.
    pub(crate) fn report(
        &mut self,
        folders: &[Folder],
        beside: &BTreeMap<PathBuf, Beside>,
        scene: Scene<'_>,
        stir: Stir,
    ) -> Option<Moment> {
        let Scene { inventory, .. } = scene;
        let mut stir = self.all_due(stir, scene.tense);
        beside.iter().for_each(|(root, beside)| self.miss(root, &beside.bare, &mut stir));
        let mut again_at = None;
        let mut writes = Vec::new();
        let empty = ManifestFile::default();
        let mut reported = BTreeSet::new();
        for folder in folders {
            let root = &folder.root.path;
            let lost = inventory.folder(root).is_some_and(|view| matches!(view.state, FolderState::Lost(_)));
            for source in sources(inventory, root, &stir) {
                reported.insert(source.clone());
                // What bears the folder's name is not the folder, so nothing is written into it.
                if lost && self.status_dir.is_none() {
                    continue;
                }
                let file = inventory.files().get(&source).unwrap_or(&empty);
                match self.one(folder, &source, file, scene) {
                    Due::At(due) => again_at = earlier(again_at, due),
                    Due::Now(write) => writes.push(*write),
                }
                if writes.len() == AT_ONCE {
                    again_at = earlier(again_at, self.write(std::mem::take(&mut writes)));
                }
            }
            if !lost && let Some(beside) = beside.get(root) {
                self.remove_orphans(folder, &beside.orphans, inventory);
            }
        }
        let due = self.write(writes);
        self.remove_gone(folders, &stir, &reported);
        earlier(again_at, due)
    }

    /// What was stirred and what waits; all at the end.
    fn all_due(&mut self, mut stir: Stir, tense: Tense) -> Stir {
        for source in std::mem::take(&mut self.waiting).iter().chain(self.owed.keys()) {
            stir.touch(source);
        }
        match tense {
            Tense::Present => stir,
            Tense::Past => Stir::All,
        }
    }

    fn one(&mut self, folder: &Folder, source: &Source, file: &ManifestFile, scene: Scene<'_>) -> Due {
        let Scene { inventory, seen, ends, tense, now } = scene;
        if let Some(due) = self.owed.get(source).copied().filter(|due| tense == Tense::Present && now < *due)
        {
            return Due::At(Some(due));
        }
        let objects: Vec<&Known> = inventory.objects().newest_of(source, items::ENDED_LISTED).collect();
        let (state, note) = state_of(source, file, inventory, &objects, now);
        if state == FileState::Settling {
            self.waiting.insert(source.clone());
        }
        let undone = undone(inventory.undone(source), &file.mistakes);
        let controls =
            status::controls(objects.iter().copied(), inventory.controlled(), |uid| seen.stage(uid));
        let items = items::items(&objects, seen, ends, &controls);
        let view = View { file, state, note, undone, tense, items };
        self.tell_state(source, state, view.reason().as_deref());
        let facts = view.facts();
        if self.written.get(source).is_some_and(|before| before.facts == facts) {
            return Due::At(None);
        }
        let phases = Phases {
            state,
            items: view.items.iter().map(|(known, course)| self.phase(known, course)).collect(),
        };
        let text = view.render(source, &self.host_ip);
        if let Some(before) = self.written.get_mut(source) {
            if before.text == text {
                before.facts = facts;
                return Due::At(None);
            }
            let due = before.at + pace::rest(&before.text, &text);
            if tense == Tense::Present && before.phases == phases && now < due {
                self.waiting.insert(source.clone());
                return Due::At(Some(due));
            }
        }
        // A watcher tells of the file: its word is not written over.
        if self.last_words.is_some() && source.absolute().parent().is_some_and(lock::is_within_held) {
            return Due::At(None);
        }
        let goes_on = tense == Tense::Present && self.last_words.is_some();
        let last_word =
            if goes_on { self.last_word(source, view.cut_off().render(source, &self.host_ip)) } else { None };
        let written = Written { text, last_word, facts, phases, at: now };
        let first_here =
            source.absolute().parent().is_some_and(|directory| self.freed.insert(directory.to_owned()));
        match self.place(folder, source) {
            Ok(place) => {
                let freed = if first_here { place.remove_drafts() } else { Ok(()) };
                Due::Now(Box::new(Write { source: source.clone(), place, freed, written }))
            }
            Err(refusal) => Due::At(self.note(source.clone(), written, Err(refusal))),
        }
    }

    /// One line for each transition; a file that settles is on its way to another state.
    fn tell_state(&mut self, source: &Source, state: FileState, note: Option<&str>) {
        if state == FileState::Settling {
            return;
        }
        let before = self.note_state(source, Some(state)).unwrap_or(FileState::Applied);
        if before != state {
            let file = source.path.display();
            tracing::info!(%file, %state, %before, reason = note, "manifest changed its state");
        }
    }

    fn phase(&self, known: &Known, course: &Course) -> (Uid, Option<String>) {
        let phase = match &*known.object {
            Object::Pod(pod) => status::pod_status(pod, course, &self.host_ip).phase,
            Object::Job(_) | Object::CronJob(_) => {
                match course.control.as_ref().map(|control| &control.status) {
                    Some(ControlStatus::Job(status)) => Some(
                        status::job_word(known.record.deletion.as_ref().map(|deletion| deletion.at), status)
                            .to_owned(),
                    ),
                    Some(ControlStatus::CronJob(_)) | None => None,
                }
            }
            Object::ConfigMap(_) | Object::Secret(_) | Object::Namespace(_) | Object::Unserved { .. } => None,
        };
        (known.record.uid.clone(), phase)
    }
}
