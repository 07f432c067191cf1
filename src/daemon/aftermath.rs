//! What a watcher would do after pods were stopped or deleted, where none runs: `down` and `delete` do it then.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::image::store::Store;
use crate::model::id::PodId;
use crate::model::object::Source;
use crate::paths::Places;
use crate::rundir::watcher::{self, Watcher};
use crate::sandbox::cgroup::Cgroups;
use crate::sandbox::host::host_ip;
use crate::sandbox::leftover;
use crate::sandbox::sys::clock;
use crate::status::Tense;

use super::DaemonError;
use super::execute::children::Children;
use super::execute::{self, ActError, Logs};
use super::folder::settle::Sight;
use super::folder::trust::Trust;
use super::folder::{Folder, HasObjects, Look, News, Root, Select, chain};
use super::inventory::file::Reader;
use super::inventory::stir::Stir;
use super::inventory::{Caution, Inventory};
use super::observe::{Memory, observe};
use super::report::{Reporter, Scene};

/// Removes all that is left of a pod that does not run, its object last.
pub(crate) fn forget(places: &Places, pod: &PodId) -> Result<(), ActError> {
    let cgroups = Cgroups::probe().map_err(ActError::pod("find the cgroup", pod))?;
    leftover::kill(&cgroups, places, &pod.uid).map_err(ActError::pod("kill the processes", pod))?;
    execute::forget(&cgroups, places, pod, Logs::Remove)
}

/// Writes the status files of the manifests that the last watcher reported on as things are now. Nothing comes
/// into force by it: a file that was edited meanwhile is Settling. A folder that is not there, or that another
/// instance watches, is passed over.
pub(crate) fn report(places: &Places) -> Result<(), DaemonError> {
    let failed = |source| DaemonError::Io { operation: "read", path: places.watcher(), source };
    let Some(last) = watcher::read(places).map_err(failed)? else { return Ok(()) };
    let Watcher { folders: watched, status_dir, namespace, strictness, pod_security, untrusted } = last;
    let reader = Reader { namespace, strictness, pod_security, untrusted: untrusted.clone() };
    let (mut inventory, _) = Inventory::load(places, reader, Caution::Trust)
        .map_err(|error| DaemonError::Objects(chain(&error)))?;
    let roots: BTreeSet<PathBuf> =
        inventory.objects().values().map(|known| known.record.source.root.clone()).chain(watched).collect();
    let now = clock::now();
    let mut folders = Vec::new();
    let mut beside = BTreeMap::new();
    for path in roots {
        let root = Root { path: path.clone(), select: Select::All };
        let trust = if untrusted.contains(&path) { Trust::Admitted } else { Trust::Checked };
        let Ok(mut folder) = Folder::open(root, trust, Sight::Polling, places) else { continue };
        let has_objects = if inventory.has_objects(&path) { HasObjects::Yes } else { HasObjects::No };
        let mut look = folder.look(places, has_objects, now);
        if let Look::Seen(news) = &mut look {
            keep_reported(&path, news, &inventory);
            // Nothing is ended by it.
            news.restless_until = None;
            beside.extend(news.beside.clone().map(|beside| (path.clone(), beside)));
        }
        inventory.absorb(&path, look);
        folders.push(folder);
    }
    inventory.compare();
    let store = Store::at(&places.images);
    let seen = observe(
        places,
        &store,
        inventory.objects(),
        &Children::default(),
        Trust::Checked,
        &mut Memory::default(),
    )
    .map_err(|error| DaemonError::Objects(chain(&error)))?;
    let ends = BTreeMap::new();
    let scene =
        Scene { inventory: &inventory, seen: &seen, ends: &ends, tense: Tense::Present, now: now.boot };
    Reporter::new(status_dir, host_ip().to_string()).report(&folders, &beside, scene, Stir::All);
    Ok(())
}

/// Only files that a watcher has spoken of: what came after it waits for the next one.
fn keep_reported(root: &std::path::Path, news: &mut News, inventory: &Inventory) {
    let has_object = |path: &PathBuf| {
        let source = Source { root: root.to_owned(), path: path.clone() };
        inventory.objects().of_source(&source).next().is_some()
    };
    let has_status = |path: &PathBuf| news.beside.as_ref().is_some_and(|beside| !beside.bare.contains(path));
    let reported: BTreeSet<PathBuf> =
        news.present.iter().filter(|path| has_object(path) || has_status(path)).cloned().collect();
    news.present = reported;
}
