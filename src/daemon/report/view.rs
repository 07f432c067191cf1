//! What is told of one manifest: its state, and what of its objects and their pods.

use crate::daemon::inventory::file::{Content, ManifestFile};
use crate::daemon::inventory::{FolderState, Inventory, Prospect, Undone};
use crate::manifest::{IgnoredField, Mistake, Severity};
use crate::model::object::{Known, ObjectKey, Source};
use crate::model::time::Moment;
use crate::status::{self, Course, FileReport, FileState, Tense};

use super::items::{Facts, Item};

/// What is told of one manifest.
#[derive(Debug, Clone)]
pub(super) struct View<'a> {
    pub(super) file: &'a ManifestFile,
    pub(super) state: FileState,
    pub(super) note: Option<String>,
    /// Mistakes and what is not in force, where there is such.
    pub(super) undone: Option<Vec<Mistake>>,
    pub(super) tense: Tense,
    pub(super) items: Vec<Item<'a>>,
}

impl View<'_> {
    /// As it is once the command has been killed, and what runs has stopped itself: how that ended, nobody will see.
    pub(super) fn cut_off(&self) -> Self {
        let mut view = View { tense: Tense::Past, ..self.clone() };
        // One that was never started is told of with what kept it.
        let never = |course: &Course| course.record.is_none() && course.waiting.is_some();
        view.items.retain(|(known, course)| !is_pod(known) || course.finished.is_some() || never(course));
        let stopped = self.items.len() - view.items.len();
        if stopped > 0 {
            let (pods, they) = if stopped == 1 { ("pod", "it") } else { ("pods", "they") };
            let note = format!(
                "{stopped} {pods} stopped with the command, which was killed; how {they} ended is not known"
            );
            view.note = view.note.or(Some(note));
        }
        view
    }

    /// What is wrong, for a log: of several mistakes the first.
    pub(super) fn reason(&self) -> Option<String> {
        let mistakes = self.undone.as_deref().unwrap_or(&self.file.mistakes);
        let first = || {
            let is_error = |mistake: &&Mistake| mistake.severity == Severity::Error;
            let Mistake { line, field, message, .. } = mistakes.iter().find(is_error)?;
            let field = if field.is_empty() { String::new() } else { format!("{field}: ") };
            Some(format!("line {line}: {field}{message}"))
        };
        self.note.clone().or_else(|| (self.state == FileState::Invalid).then(first).flatten())
    }

    pub(super) fn facts(&self) -> Facts {
        let hashes = [self.file.observed_hash.as_str(), self.file.applied_hash.as_str()];
        let standing = (self.state, self.tense);
        Facts::of(standing, self.note.as_deref(), hashes, self.undone.as_deref(), &self.items)
    }

    /// Fields without effect: what the manifest was read with, and what of a Job was edited after its end.
    fn ignored(&self) -> Vec<IgnoredField> {
        let line_of = |key: &ObjectKey| match &self.file.content {
            Content::Declares(declared) => declared.iter().find(|one| one.key == *key).map(|one| one.line),
            Content::Unknown | Content::Mistaken | Content::Refused(_) => None,
        };
        let late = self.items.iter().flat_map(|(known, course)| {
            let key = &known.record.key;
            let fields = course.control.iter().flat_map(|control| &control.in_vain);
            fields.map(move |field| IgnoredField {
                field: format!("spec.{field}"),
                reason: format!("the Job has ended; `droppod rerun job/{}` has it run anew", key.name),
                line: line_of(key).unwrap_or(1),
            })
        });
        self.file.ignored.iter().cloned().chain(late).collect()
    }

    pub(super) fn render(&self, source: &Source, host_ip: &str) -> String {
        let mut text = status::render(&FileReport {
            name: source.path.file_name().and_then(|name| name.to_str()).unwrap_or_default(),
            state: self.state,
            tense: self.tense,
            observed_hash: &self.file.observed_hash,
            applied_hash: &self.file.applied_hash,
            note: self.note.as_deref(),
            mistakes: self.undone.as_deref().unwrap_or(&self.file.mistakes),
            ignored: &self.ignored(),
            items: self.items.iter().map(|(known, course)| (*known, course)).collect(),
            host_ip,
        });
        // It is kept, to be compared with the next.
        text.shrink_to_fit();
        text
    }
}

/// The state of a manifest, and a line for a person where the state alone does not say why.
pub(super) fn state_of(
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
        let mut note = format!("{} is declared in {} already", conflict.key, holder.display());
        if inventory.folder(&conflict.holder.root).is_none() {
            let folder = conflict.holder.root.display();
            note.push_str(&format!(
                "; nobody watches that folder: `droppod accept {folder}` gives up what was taken from it"
            ));
        }
        return (FileState::Conflict, Some(note));
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
pub(super) fn undone(undone: &[Undone], mistakes: &[Mistake]) -> Option<Vec<Mistake>> {
    let told = undone.iter().map(|undone| Mistake {
        severity: Severity::Error,
        field: undone.field.to_owned(),
        message: undone.why.clone(),
        help: Some(match undone.prospect {
            Prospect::TriedAgain => "it is tried again until it succeeds".to_owned(),
            Prospect::Refused(help) => help.to_owned(),
        }),
        labels: Vec::new(),
        line: undone.place.0,
        column: undone.place.1,
    });
    (!undone.is_empty()).then(|| mistakes.iter().cloned().chain(told).collect())
}

fn is_pod(known: &Known) -> bool {
    known.record.key.kind == "Pod"
}
