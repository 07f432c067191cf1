//! Status files on their way to disc.

use std::path::Path;
use std::time::Duration;

use super::{Reporter, Written};
use crate::daemon::folder::{Folder, chain, earlier};
use crate::model::object::Source;
use crate::model::time::Moment;
use crate::publish::status::{Place, Refusal};
use crate::rundir::last_words::{self, LastWord};
use crate::status;

/// After a write that failed: all is to be told within five seconds of there being room.
const TRY_AGAIN: Duration = Duration::from_secs(3);

/// A status file that is to be written.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) source: Source,
    pub(super) place: Place,
    /// What has come of freeing its directory.
    pub(super) freed: Result<(), Refusal>,
    pub(super) written: Written,
}

impl Reporter {
    /// Writes them together; tells when what a disc did not take is tried again.
    pub(super) fn write(&mut self, writes: Vec<Write>) -> Option<Moment> {
        if writes.is_empty() {
            return None;
        }
        let texts: Vec<(&Place, &str)> =
            writes.iter().map(|write| (&write.place, write.written.text.as_str())).collect();
        let outcomes = Place::write_all(&texts);
        let mut again_at = None;
        for (Write { source, freed, written, .. }, outcome) in writes.into_iter().zip(outcomes) {
            again_at = earlier(again_at, self.note(source, written, outcome.and(freed)));
        }
        self.leave_last_words();
        again_at
    }

    /// Takes over what has come of a write; tells when it is tried again.
    pub(super) fn note(
        &mut self,
        source: Source,
        written: Written,
        outcome: Result<(), Refusal>,
    ) -> Option<Moment> {
        self.owed.remove(&source);
        match outcome {
            Ok(()) => {
                self.refused.remove(&source);
            }
            Err(refusal) => {
                self.tell(&source, &refusal);
                if let Refusal::Io { .. } = refusal {
                    let due = written.at + TRY_AGAIN;
                    self.owed.insert(source, due);
                    return Some(due);
                }
            }
        }
        // Where another's file is in the way, it is tried again when there is something else to say.
        self.written.insert(source, written);
        None
    }

    /// Nothing is said over the last report of a command that ends by itself.
    pub(super) fn last_word(&self, source: &Source, text: String) -> Option<LastWord> {
        let name = status::status_name(source.path.file_name()?.to_str()?);
        let root = self.status_dir.as_ref().unwrap_or(&source.root);
        let directory = root.join(source.path.parent()?);
        Some(LastWord { directory, name, text })
    }

    pub(super) fn leave_last_words(&self) {
        let Some(places) = &self.last_words else { return };
        let words: Vec<&LastWord> =
            self.written.values().filter_map(|written| written.last_word.as_ref()).collect();
        if let Err(error) = last_words::leave(places, &words) {
            tracing::warn!(%error, "last words not left");
        }
    }

    pub(super) fn place(&self, folder: &Folder, source: &Source) -> Result<Place, Refusal> {
        let path = source.path.to_str().map(Path::new).ok_or(Refusal::NotUtf8)?;
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(Refusal::NoFolder)?;
        let below = path.parent().unwrap_or(Path::new(""));
        let name = status::status_name(name);
        match &self.status_dir {
            Some(directory) => Place::below(directory, below, name),
            None => Place::beside(folder.directory().ok_or(Refusal::NoFolder)?, below, name),
        }
    }

    pub(super) fn tell(&mut self, source: &Source, refusal: &Refusal) {
        if self.refused.insert(source.clone()) {
            // An `up` has no such flag.
            let can_go_elsewhere =
                refusal.is_of_folder() && self.status_dir.is_none() && self.last_words.is_none();
            let help = can_go_elsewhere.then_some("--status-dir DIR has them written elsewhere");
            tracing::warn!(
                file = %source.absolute().display(),
                reason = chain(refusal),
                help,
                "no status file written"
            );
        }
    }
}
