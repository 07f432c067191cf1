//! Which manifests there is something to report of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::daemon::inventory::stir::Stir;
use crate::daemon::inventory::{FolderState, Inventory};
use crate::model::object::{Known, Source};
use crate::status;

/// Manifests of a folder, of those that were stirred, and those that cannot be seen but whose objects stay.
pub(super) fn sources(inventory: &Inventory, root: &Path, stir: &Stir) -> BTreeSet<Source> {
    let kept = kept(inventory, root).filter(|source| stir.contains(source));
    let files = inventory.files();
    let present: Vec<&Source> = match stir {
        Stir::All => files.keys().filter(|source| source.root == root).collect(),
        Stir::Of(stirred) => {
            stirred.iter().filter(|source| source.root == root && files.contains_key(*source)).collect()
        }
    };
    present.into_iter().chain(kept).cloned().collect()
}

/// Manifests that cannot be seen but whose objects stay: until a second look, or for as long as the folder is lost.
pub(super) fn kept<'a>(inventory: &'a Inventory, root: &'a Path) -> impl Iterator<Item = &'a Source> {
    let view = inventory.folder(root);
    let objects = inventory.objects();
    let held = view.and_then(|view| view.held()).into_iter().flatten();
    let held = held.filter_map(move |uid| objects.get(uid)).map(|known| &known.record.source);
    let is_lost = view.is_some_and(|view| matches!(view.state, FolderState::Lost(_)));
    let has_objects = move |source: &&Source| objects.newest_of(source, 0).any(Known::is_declared);
    let lost = is_lost.then(|| objects.sources_in(root)).into_iter().flatten().filter(has_objects);
    held.filter(move |source| source.root == root).chain(lost)
}

pub(super) fn status_path(source: &Source) -> PathBuf {
    let name = source.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    source.path.with_file_name(status::status_name(name))
}
