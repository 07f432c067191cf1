//! Archives that have been loaded, each in the version in which it was: `<images>/preloaded/<file name of a path>`.

use std::io;
use std::path::{Path, PathBuf};

use super::{Store, file_name_of, names};
use crate::model::image::Archive;
use crate::publish::{self, Durability};

impl Store {
    /// Whether this version of an archive has been loaded. What cannot be read is loaded again, which does no harm.
    pub(crate) fn has_preloaded(&self, archive: &Archive) -> bool {
        let known: io::Result<Option<Archive>> = publish::read_json(&self.preloaded(&archive.path));
        known.ok().flatten().as_ref() == Some(archive)
    }

    pub(crate) fn note_preloaded(&self, archive: &Archive) -> io::Result<()> {
        self.prepare()?;
        publish::publish_json(&self.preloaded(&archive.path), archive, Durability::Whole).map(|_| ())
    }

    /// Forgets archives that are not there any more.
    pub(super) fn forget_preloads(&self) -> io::Result<()> {
        for name in names(&self.root.join("preloaded"))? {
            let path = self.root.join("preloaded").join(name);
            let known: Option<Archive> = publish::read_json(&path).ok().flatten();
            if known.is_none_or(|archive| !archive.path.exists()) {
                publish::remove(&path)?;
            }
        }
        Ok(())
    }

    fn preloaded(&self, archive: &Path) -> PathBuf {
        self.root.join("preloaded").join(file_name_of(&archive.display().to_string()))
    }
}
