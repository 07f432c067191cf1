//! Status files: written beside each manifest or below a directory of their own, only when they differ.

mod file;
mod items;
mod pace;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::api::Object;
use crate::manifest::{Mistake, Severity};
use crate::model::id::Uid;
use crate::model::object::{Known, Source};
use crate::model::time::Moment;
use crate::status::{self, Control, ControlStatus, Course, FileReport, FileState};

use super::folder::{Folder, earlier};
use super::inventory::file::{Content, ManifestFile};
use super::inventory::{FolderState, Inventory, Prospect, Undone};
use super::observe::Seen;
use file::{Place, Refusal};
use items::{Facts, Item};

#[derive(Debug)]
pub(crate) struct Reporter {
    /// In place of beside the manifests.
    status_dir: Option<PathBuf>,
    host_ip: String,
    written: BTreeMap<Source, Written>,
    /// Told once for each file.
    refused: BTreeSet<Source>,
    /// The state that was logged last; a file is taken for applied until something else is seen.
    told: BTreeMap<Source, FileState>,
}

#[derive(Debug)]
struct Written {
    text: String,
    facts: Facts,
    phases: Phases,
    at: Moment,
}

/// Whether what is reported goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tense {
    Present,
    /// The command is about to stop what has not ended by itself: that leaves no item, only a line.
    Past,
}

/// What a report is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) inventory: &'a Inventory,
    pub(crate) seen: &'a Seen,
    pub(crate) tense: Tense,
    pub(crate) now: Moment,
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
            refused: BTreeSet::new(),
            told: BTreeMap::new(),
        }
    }

    /// Writes what differs; tells when a write that waits is due.
    pub(crate) fn report(
        &mut self,
        folders: &[Folder],
        statuses: &BTreeMap<PathBuf, BTreeSet<PathBuf>>,
        scene: Scene<'_>,
    ) -> Option<Moment> {
        let Scene { inventory, seen, .. } = scene;
        let by_source = items::by_source(inventory.objects());
        let objects = inventory.objects().values();
        let controls = status::controls(objects, inventory.controlled(), |uid| seen.stage(uid));
        let mut again_at = None;
        let empty = ManifestFile::default();
        let mut reported = BTreeSet::new();
        for folder in folders {
            let root = &folder.root.path;
            let lost = inventory.folder(root).is_some_and(|view| matches!(view.state, FolderState::Lost(_)));
            for source in sources(inventory, root) {
                reported.insert(source.clone());
                // What bears the folder's name is not the folder, so nothing is written into it.
                if lost && self.status_dir.is_none() {
                    continue;
                }
                let file = inventory.files().get(&source).unwrap_or(&empty);
                let objects = by_source.get(&source).map_or(&[][..], Vec::as_slice);
                let due = self.one(folder, &source, file, scene, objects, &controls);
                again_at = earlier(again_at, due);
            }
            if !lost && let Some(found) = statuses.get(root) {
                self.remove_orphans(folder, found, &reported);
            }
        }
        self.remove_gone(folders, &reported);
        again_at
    }

    fn one(
        &mut self,
        folder: &Folder,
        source: &Source,
        file: &ManifestFile,
        scene: Scene<'_>,
        objects: &[&Known],
        controls: &BTreeMap<Uid, Control>,
    ) -> Option<Moment> {
        let Scene { inventory, seen, tense, now } = scene;
        let mut items = items::items(objects, seen, controls);
        let (state, mut note) = state_of(source, file, inventory, objects, now);
        if tense == Tense::Past {
            let all = items.len();
            // One that was never started is told of with what kept it.
            let never = |course: &Course| course.record.is_none() && course.waiting.is_some();
            items.retain(|(known, course)| !is_pod(known) || course.finished.is_some() || never(course));
            let stopped = all - items.len();
            note = note.or_else(|| (stopped > 0).then(|| format!("{stopped} stopped with the command")));
        }
        self.tell_state(source, state, note.as_deref());
        let undone = undone(inventory.undone(source), &file.mistakes);
        let hashes = [file.observed_hash.as_str(), file.applied_hash.as_str()];
        let facts = Facts::of(state, note.as_deref(), hashes, undone.as_deref(), &items);
        if self.written.get(source).is_some_and(|before| before.facts == facts) {
            return None;
        }
        let phases =
            Phases { state, items: items.iter().map(|(known, course)| self.phase(known, course)).collect() };
        let report = FileReport {
            name: source.path.file_name().and_then(|name| name.to_str()).unwrap_or_default(),
            state,
            observed_hash: &file.observed_hash,
            applied_hash: &file.applied_hash,
            note: note.as_deref(),
            mistakes: undone.as_deref().unwrap_or(&file.mistakes),
            ignored: &file.ignored,
            items: items.iter().map(|(known, course): &Item<'_>| (*known, course)).collect(),
            host_ip: &self.host_ip,
        };
        let text = status::render(&report);
        if let Some(before) = self.written.get_mut(source) {
            if before.text == text {
                before.facts = facts;
                return None;
            }
            let due = before.at + pace::rest(&before.text, &text);
            if tense == Tense::Present && before.phases == phases && now < due {
                return Some(due);
            }
        }
        let outcome = self.place(folder, source).and_then(|place| place.write(&text));
        match outcome {
            Ok(()) => {
                self.refused.remove(source);
            }
            Err(refusal) => self.tell(source, &refusal),
        }
        // A write that failed is tried again when there is something else to say.
        self.written.insert(source.clone(), Written { text, facts, phases, at: now });
        None
    }

    /// One line for each transition; a file that settles is on its way to another state.
    fn tell_state(&mut self, source: &Source, state: FileState, note: Option<&str>) {
        if state == FileState::Settling {
            return;
        }
        let before = self.told.insert(source.clone(), state).unwrap_or(FileState::Applied);
        if before != state {
            let file = source.path.display();
            tracing::info!(%file, %state, %before, reason = note, "manifest changed its state");
        }
    }

    fn phase(&self, known: &Known, course: &Course) -> (Uid, Option<String>) {
        let phase = match &known.object {
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

    fn place(&self, folder: &Folder, source: &Source) -> Result<Place, Refusal> {
        let name = source.path.file_name().and_then(|name| name.to_str()).ok_or(Refusal::NoFolder)?;
        let below = source.path.parent().unwrap_or(Path::new(""));
        let name = status::status_name(name);
        match &self.status_dir {
            Some(directory) => Place::below(directory, below, name),
            None => Place::beside(folder.directory().ok_or(Refusal::NoFolder)?, below, name),
        }
    }

    /// Status files that lie beside no manifest: of manifests that went while nobody watched, too.
    fn remove_orphans(&mut self, folder: &Folder, found: &BTreeSet<PathBuf>, reported: &BTreeSet<Source>) {
        if self.status_dir.is_some() {
            return;
        }
        let expected: BTreeSet<PathBuf> =
            reported.iter().filter(|source| source.root == folder.root.path).map(status_path).collect();
        for path in found.difference(&expected) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            let below = path.parent().unwrap_or(Path::new(""));
            let removed = folder
                .directory()
                .ok_or(Refusal::NoFolder)
                .and_then(|directory| Place::beside(directory, below, name))
                .and_then(|place| place.remove());
            // One that is not ours is not touched; one that cannot be removed is met again by the next scan.
            if let Err(refusal) = removed {
                tracing::debug!(path = %path.display(), reason = %refusal, "status file not removed");
            }
        }
    }

    fn remove_gone(&mut self, folders: &[Folder], reported: &BTreeSet<Source>) {
        let gone: Vec<Source> =
            self.written.keys().filter(|source| !reported.contains(*source)).cloned().collect();
        for source in gone {
            self.written.remove(&source);
            self.refused.remove(&source);
            self.told.remove(&source);
            let folder = folders.iter().find(|folder| folder.root.path == source.root);
            let removed = folder.map(|folder| self.place(folder, &source).and_then(|place| place.remove()));
            if let Some(Err(refusal)) = removed {
                tracing::debug!(path = %source.path.display(), reason = %refusal, "status file not removed");
            }
        }
    }

    fn tell(&mut self, source: &Source, refusal: &Refusal) {
        if self.refused.insert(source.clone()) {
            tracing::warn!(
                file = %source.absolute().display(),
                reason = super::folder::chain(refusal),
                "no status file written"
            );
        }
    }
}

/// Manifests of a folder, and those that are gone but whose objects stay until a second look.
fn sources(inventory: &Inventory, root: &Path) -> BTreeSet<Source> {
    let held = inventory.folder(root).and_then(|view| view.held()).into_iter().flatten();
    let held = held.filter_map(|uid| inventory.objects().get(uid)).map(|known| known.record.source.clone());
    let present = inventory.files().keys().filter(|source| source.root == root).cloned();
    present.chain(held).collect()
}

fn is_pod(known: &Known) -> bool {
    known.record.key.kind == "Pod"
}

fn status_path(source: &Source) -> PathBuf {
    let name = source.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    source.path.with_file_name(status::status_name(name))
}

/// The state of a manifest, and a line for a person where the state alone does not say why.
fn state_of(
    source: &Source,
    file: &ManifestFile,
    inventory: &Inventory,
    objects: &[&Known],
    now: Moment,
) -> (FileState, Option<String>) {
    let Some(folder) = inventory.folder(&source.root) else { return (FileState::Settling, None) };
    match &folder.state {
        FolderState::Lost(why) => {
            return (
                FileState::SourceLost,
                Some(format!("nothing is stopped while the folder is lost: {why}")),
            );
        }
        FolderState::Refused(why) => return (FileState::Refused, Some(why.clone())),
        FolderState::Unseen | FolderState::Seen => {}
    }
    let held = |known: &Known| folder.held().is_some_and(|held| held.contains(&known.record.uid));
    if objects.iter().any(|known| held(known)) {
        let note = "most objects of the folder are gone; they are removed when a second look agrees";
        return (FileState::PruneHeld, Some(note.to_owned()));
    }
    let restless = folder.is_restless(now);
    match &file.content {
        Content::Refused(why) => return (FileState::Refused, Some(why.clone())),
        Content::Mistaken if !restless && !file.unfinished => return (FileState::Invalid, None),
        Content::Mistaken | Content::Unknown => return (FileState::Settling, None),
        Content::Declares(_) => {}
    }
    if file.unfinished || (restless && file.applied_hash != file.observed_hash) {
        return (FileState::Settling, None);
    }
    if let Some(conflict) = inventory.conflicts(source).first() {
        let holder = conflict.holder.absolute();
        return (
            FileState::Conflict,
            Some(format!("{} is declared in {} already", conflict.key, holder.display())),
        );
    }
    if let Some(undone) = inventory.undone(source).first() {
        let state = match undone.prospect {
            Prospect::TriedAgain => FileState::Settling,
            Prospect::Refused(_) => FileState::Invalid,
        };
        return (state, Some(format!("not in force: {}", undone.why)));
    }
    (FileState::Applied, None)
}

/// The mistakes of a file together with what of it is not in force, if there is such.
fn undone(undone: &[Undone], mistakes: &[Mistake]) -> Option<Vec<Mistake>> {
    let told = undone.iter().map(|undone| Mistake {
        severity: Severity::Error,
        field: undone.field.to_owned(),
        message: undone.why.clone(),
        help: Some(match undone.prospect {
            Prospect::TriedAgain => "it is tried again until it succeeds".to_owned(),
            Prospect::Refused(help) => help.to_owned(),
        }),
        labels: Vec::new(),
        line: undone.line,
        column: 1,
    });
    (!undone.is_empty()).then(|| mistakes.iter().cloned().chain(told).collect())
}
