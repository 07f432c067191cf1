//! Objects of folders that this watcher was not given: it cannot tell that a file of theirs is gone as it can of its own.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::daemon::folder::chain;
use crate::daemon::folder::identity::{self, Identity};
use crate::model::object::{Known, ObjectRecord, Source};
use crate::paths::Places;
use crate::rundir::objects;

use super::Inventory;
use super::change::Claim;

impl Inventory {
    /// Called once, before any file is read: what came from a watched folder by another of its names comes from it by this.
    pub(crate) fn rename_roots(&mut self, places: &Places, roots: &[PathBuf]) {
        for root in roots {
            let Ok(real) = root.canonicalize() else { continue };
            let is_other_name = |known: &&Known| {
                let name = &known.record.source.root;
                !roots.contains(name) && name.canonicalize().is_ok_and(|of_name| of_name == real)
            };
            let renamed: Vec<ObjectRecord> = self
                .objects
                .values()
                .filter(is_other_name)
                .map(|known| {
                    let source = Source { root: root.clone(), path: known.record.source.path.clone() };
                    ObjectRecord { source, ..known.record.clone() }
                })
                .collect();
            let Some(first) = renamed.first() else { continue };
            let before = &self.objects[&first.uid].record.source.root;
            // Else the loss of the folder could not be told.
            if let Err(error) = remember_as(places, before, root) {
                tracing::warn!(folder = %root.display(), %error, "which directory the folder was is not remembered");
            }
            tracing::info!(folder = %root.display(), before = %before.display(), "folder has another name");
            for (record, saved) in
                renamed.iter().zip(objects::save_all(places, &renamed.iter().collect::<Vec<_>>()))
            {
                // What is not on disc is found out by the next watcher as it was by this.
                if let Err(error) = saved {
                    tracing::warn!(object = %record.key, reason = chain(&error), "the folder's name is not written down");
                }
            }
            for record in renamed {
                if let Some(object) = self.objects.get(&record.uid).map(|known| Arc::clone(&known.object)) {
                    self.objects.put(Known { record, object });
                }
            }
        }
    }

    /// Files of other folders may go, come and be accepted as gone, and no event tells.
    pub(crate) fn look_at_strangers(&mut self) {
        let Inventory { objects, folders, undecided, .. } = self;
        let sources = objects.values().map(|known| &known.record.source);
        sources
            .filter(|source| !folders.contains_key(&source.root))
            .for_each(|source| undecided.touch(source));
    }

    /// What is to be taken for the claim of a source whose folder is not watched here.
    pub(super) fn claim_of_stranger(&self, places: &Places, source: &Source) -> Claim {
        let is_accepted = identity::is_accepted(places, &source.root).unwrap_or(false);
        match source.absolute().symlink_metadata() {
            Err(error) if is_nothing(&error) && is_accepted => Claim::Gone,
            Err(error) if is_nothing(&error) && is_really_gone(places, &source.root) => Claim::Left,
            Ok(_) if is_accepted || self.has_by_another_name(source) => Claim::Left,
            Ok(_) | Err(_) => Claim::Keeps,
        }
    }

    /// Whether the file lies in a watched folder, too: one that lies in the other, or around it.
    fn has_by_another_name(&self, source: &Source) -> bool {
        let Ok(real) = source.absolute().canonicalize() else { return false };
        self.folders.keys().any(|root| {
            let path = root
                .canonicalize()
                .ok()
                .and_then(|of_root| Some(real.strip_prefix(of_root).ok()?.to_owned()));
            path.is_some_and(|path| self.files.contains_key(&Source { root: root.clone(), path }))
        })
    }
}

fn remember_as(places: &Places, before: &Path, root: &Path) -> io::Result<()> {
    if identity::is_known(places, root)? {
        return Ok(());
    }
    match identity::remembered(places, before)? {
        Some(known) => identity::remember(places, &Identity { folder: root.to_owned(), ..known }),
        None => Ok(()),
    }
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether a file that is not there is gone, and not merely the disc that the folder lay on.
fn is_really_gone(places: &Places, root: &Path) -> bool {
    let Ok(known) = identity::remembered(places, root) else { return false };
    let Some(known) = known else { return true };
    match Identity::at(root) {
        Ok(present) => known.is_same(&present),
        Err(error) if is_nothing(&error) => {
            let above = root.ancestors().skip(1).map(Identity::at);
            let mut there = above.filter(|found| !found.as_ref().is_err_and(is_nothing));
            there.next().is_some_and(|found| found.is_ok_and(|above| above.device == known.device))
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::tests::ground::Ground;

    #[test]
    fn a_folder_that_was_renamed_is_told_from_a_disc_that_is_not_there() {
        let ground = Ground::new();
        let (places, root) = (ground.places(), ground.folder("disc/team/pods"));
        let known = Identity::at(&root).unwrap();
        identity::remember(&places, &known).unwrap();
        assert!(is_really_gone(&places, &root), "the same directory, without the file");
        std::fs::rename(ground.path("disc/team"), ground.path("disc/renamed")).unwrap();
        assert!(is_really_gone(&places, &root));
        ground.folder("disc/team/pods");
        assert!(!is_really_gone(&places, &root), "what was mounted here may come back");
        std::fs::remove_dir_all(ground.path("disc")).unwrap();
        identity::remember(&places, &Identity { device: known.device + 1, ..known }).unwrap();
        assert!(!is_really_gone(&places, &root), "the disc that it lay on is not there");
    }
}
