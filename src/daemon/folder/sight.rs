//! Which directory bears the folder's name by now, and how much of it is looked at.

use std::collections::BTreeSet;
use std::io;
use std::ops::Bound;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use crate::model::time::{Moment, Now};
use crate::paths::Places;
use crate::rundir::lock;

use super::handle::Handle;
use super::scan::{self, Depth, Scan};
use super::settle::Hints;
use super::trust::Trust;
use super::{Folder, HasObjects, Select, chain, identity, names, open};

/// How much of a folder is looked at when events come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attention {
    /// Always all of it.
    Whole,
    /// What they tell of, where that alone says enough.
    Told,
    /// All of it until it has come to rest: a new directory is not heard from its first moment on.
    WholeForNow,
}

impl Folder {
    /// The scan of the folder that now bears its name, or why that tells nothing.
    pub(super) fn sighted(
        &mut self,
        places: &Places,
        has_objects: HasObjects,
        now: Now,
    ) -> Result<Scan, String> {
        let told = |error: &dyn std::error::Error| chain(error);
        let remembered = identity::remembered(places, &self.root.path).map_err(|error| told(&error))?;
        let handle = match Handle::open(&self.root.path) {
            Ok(handle) => handle,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let accepted = self.handle.is_none() && remembered.is_none();
                self.handle = None;
                self.settling.take_went();
                return if accepted { Ok(Scan::default()) } else { Err("the folder is gone".to_owned()) };
            }
            Err(error) => return Err(told(&error)),
        };
        let another = remembered.as_ref().is_some_and(|remembered| !remembered.is_same(&handle.identity));
        let same = !another && self.handle.as_ref().is_some_and(|held| held.identity == handle.identity);
        let part = self.part(now.boot).filter(|_| same);
        let scan = match (&self.root.select, part) {
            (Select::All, Some(part)) => scan::part(handle.directory.as_fd(), self.trust, part),
            (Select::All, None) => scan::scan(handle.directory.as_fd(), self.trust, Depth::Recursive),
            (Select::Files(paths), _) => scan::named(handle.directory.as_fd(), paths),
        }
        .map_err(|error| told(&error))?;
        if another && scan.manifests.is_empty() && has_objects == HasObjects::Yes {
            // With a handle on the directory that was there, its file system could not be unmounted.
            self.handle = None;
            self.settling.take_went();
            return Err("the folder is empty, and another directory than before".to_owned());
        }
        if self.trust != Trust::NamedByUser {
            if remembered.as_ref() != Some(&handle.identity) {
                self.unremembered =
                    identity::remember(places, &handle.identity).err().map(|error| told(&error));
            } else {
                self.unremembered = None;
            }
            self.hold(handle).map_err(|error| told(&error))?;
        } else {
            self.handle = Some(handle);
        }
        Ok(scan)
    }

    /// The files that alone may have changed since the last look, if that can be told.
    fn part(&mut self, now: Moment) -> Option<BTreeSet<PathBuf>> {
        let hints = self.settling.take_hints();
        if self.attention != Attention::Told {
            return None;
        }
        let told = match hints {
            Hints::At(told) if self.read_all_at.is_some_and(|due| now < due) => self.manifests_of(told),
            Hints::At(_) | Hints::Everywhere => None,
        };
        let Some(told) = told else {
            self.attention = Attention::WholeForNow;
            return None;
        };
        Some(self.files.unsure().cloned().chain(told).collect())
    }

    /// Those of some paths that are, were or may be manifests; `None` if one is or was a directory, of which only a
    /// look at all that is in it can tell.
    fn manifests_of(&self, mut paths: BTreeSet<PathBuf>) -> Option<BTreeSet<PathBuf>> {
        let handle = self.handle.as_ref()?;
        let holds_files = |path: &Path| {
            let next = self.files.range::<Path, _>((Bound::Excluded(path), Bound::Unbounded)).next();
            next.is_some_and(|(file, _)| file.starts_with(path))
        };
        let strange = |path: &&PathBuf| !self.files.contains_key(*path);
        if paths
            .iter()
            .filter(strange)
            .any(|path| holds_files(path) || open::is_directory(&handle.directory, path))
        {
            return None;
        }
        let is_manifest =
            |path: &Path| path.file_name().is_some_and(|name| names::is_manifest(&name.to_string_lossy()));
        paths.retain(|path| is_manifest(path));
        Some(paths)
    }

    /// Keeps hold of the directory, and of its lock, for as long as it is the same.
    fn hold(&mut self, handle: Handle) -> io::Result<()> {
        if self.handle.as_ref().is_some_and(|held| held.identity == handle.identity) {
            return Ok(());
        }
        // What went before went from another directory.
        self.settling.take_went();
        if handle.lock()?.is_none() {
            let holder = lock::holder(&self.root.path);
            let why = format!("another droppod watches the folder: {holder}");
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, why));
        }
        self.handle = Some(handle);
        Ok(())
    }
}
