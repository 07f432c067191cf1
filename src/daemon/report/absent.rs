//! Status files that are there and should not be, and the other way round.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Reporter;
use super::sources::{kept, status_path};
use crate::daemon::folder::Folder;
use crate::daemon::inventory::Inventory;
use crate::daemon::inventory::stir::Stir;
use crate::model::object::Source;
use crate::publish::status::{Place, Refusal};

impl Reporter {
    /// What was written and is there no more is written again.
    pub(super) fn miss(&mut self, root: &Path, bare: &BTreeSet<PathBuf>, stir: &mut Stir) {
        if self.status_dir.is_some() {
            return;
        }
        for path in bare {
            let source = Source { root: root.to_owned(), path: path.clone() };
            if self.written.remove(&source).is_some() {
                stir.touch(&source);
            }
        }
    }

    /// Status files that lie beside no manifest: of manifests that went while nobody watched, too. That of one which is
    /// held stays.
    pub(super) fn remove_orphans(
        &mut self,
        folder: &Folder,
        found: &BTreeSet<PathBuf>,
        inventory: &Inventory,
    ) {
        if self.status_dir.is_some() {
            return;
        }
        let kept: BTreeSet<PathBuf> = kept(inventory, &folder.root.path).map(status_path).collect();
        for path in found.difference(&kept) {
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

    pub(super) fn remove_gone(&mut self, folders: &[Folder], stir: &Stir, reported: &BTreeSet<Source>) {
        // A write that failed may have come as far as to give the file its name.
        let is_tried = |source: &&Source| {
            let written = self.written.contains_key(*source) || self.owed.contains_key(*source);
            written || self.inherited.contains(*source)
        };
        let gone: BTreeSet<Source> = match stir {
            Stir::All => {
                let tried = self.written.keys().chain(self.owed.keys()).chain(&self.inherited);
                tried.filter(|source| !reported.contains(*source)).cloned().collect()
            }
            Stir::Of(sources) => sources.difference(reported).filter(is_tried).cloned().collect(),
        };
        for source in gone {
            self.written.remove(&source);
            self.owed.remove(&source);
            self.inherited.remove(&source);
            self.refused.remove(&source);
            self.note_state(&source, None);
            let folder = folders.iter().find(|folder| folder.root.path == source.root);
            let removed = folder.map(|folder| self.place(folder, &source).and_then(|place| place.remove()));
            if let Some(Err(refusal)) = removed {
                tracing::debug!(path = %source.path.display(), reason = %refusal, "status file not removed");
            }
        }
    }
}
