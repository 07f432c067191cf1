//! Which directory a folder was when its objects were taken from it, remembered over a restart: a mount that did
//! not come back leaves an empty directory, which is not a folder whose files were deleted.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Stat;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::paths::Places;
use crate::publish::{Durability, publish_json, read_json, remove};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) folder: PathBuf,
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl Identity {
    pub(crate) fn of(folder: &Path, stat: &Stat) -> Identity {
        Identity { folder: folder.to_owned(), device: stat.st_dev, inode: stat.st_ino }
    }
}

pub(crate) fn remembered(places: &Places, folder: &Path) -> io::Result<Option<Identity>> {
    read_json(&file(places, folder))
}

pub(crate) fn remember(places: &Places, identity: &Identity) -> io::Result<()> {
    let path = file(places, &identity.folder);
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    publish_json(&path, identity, Durability::Durable)?;
    Ok(())
}

/// Accepts that a folder's objects are gone (`droppod accept`): what it is next seen as is what it is.
pub(crate) fn forget(places: &Places, folder: &Path) -> io::Result<()> {
    remove(&file(places, folder))
}

fn file(places: &Places, folder: &Path) -> PathBuf {
    let hash = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    let name: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    places.folders().join(format!("{name}.json"))
}
