//! Which directory a folder was when its objects were taken from it, remembered over a restart: a mount that did
//! not come back leaves an empty directory, which is not a folder whose files were deleted.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Statx, StatxFlags};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::paths::Places;
use crate::publish::{Durability, publish_json, read_json};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) folder: PathBuf,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// Seconds and nanoseconds since the epoch, where the file system keeps it. The numbers of a directory that is gone
    /// are given to the next one, and those of a tmpfs that was unmounted to that which is mounted then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) born: Option<(i64, u32)>,
}

impl Identity {
    /// Of an open directory that bears this name.
    pub(crate) fn of(folder: &Path, directory: impl AsFd) -> io::Result<Identity> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        Ok(Identity::told(folder, &rustix::fs::statx(directory, "", AtFlags::EMPTY_PATH, wanted)?))
    }

    /// Of what bears this name.
    pub(crate) fn at(folder: &Path) -> io::Result<Identity> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        Ok(Identity::told(folder, &rustix::fs::statx(CWD, folder, AtFlags::empty(), wanted)?))
    }

    fn told(folder: &Path, stat: &Statx) -> Identity {
        let is_told = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
        Identity {
            folder: folder.to_owned(),
            device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            born: is_told.then_some((stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec)),
        }
    }

    /// A time that only one of them has says nothing.
    pub(crate) fn is_same(&self, other: &Identity) -> bool {
        let same_birth = self.born.is_none() || other.born.is_none() || self.born == other.born;
        (self.device, self.inode) == (other.device, other.inode) && same_birth
    }
}

/// What is written down of a folder.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Note {
    Is(Identity),
    /// A person has said that what it declared may go.
    Accepted {
        accepted: PathBuf,
    },
}

pub(crate) fn remembered(places: &Places, folder: &Path) -> io::Result<Option<Identity>> {
    Ok(match read_json(&file(places, folder))? {
        Some(Note::Is(identity)) => Some(identity),
        Some(Note::Accepted { .. }) | None => None,
    })
}

pub(crate) fn is_accepted(places: &Places, folder: &Path) -> io::Result<bool> {
    let note: Option<Note> = read_json(&file(places, folder))?;
    Ok(matches!(note, Some(Note::Accepted { .. })))
}

/// Whether it has been watched: one that was may be waited for.
pub(crate) fn is_known(places: &Places, folder: &Path) -> io::Result<bool> {
    let note: Option<Note> = read_json(&file(places, folder))?;
    Ok(note.is_some())
}

pub(crate) fn remember(places: &Places, identity: &Identity) -> io::Result<()> {
    write(places, &identity.folder, &Note::Is(identity.clone()))
}

/// Accepts that a folder's objects are gone (`droppod accept`): what it is next seen as is what it is, and any watcher of
/// the instance removes what it declared if none sees it again.
pub(crate) fn accept(places: &Places, folder: &Path) -> io::Result<()> {
    write(places, folder, &Note::Accepted { accepted: folder.to_owned() })
}

fn write(places: &Places, folder: &Path, note: &Note) -> io::Result<()> {
    let path = file(places, folder);
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    publish_json(&path, note, Durability::Durable)?;
    Ok(())
}

fn file(places: &Places, folder: &Path) -> PathBuf {
    let hash = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    let name: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    places.folders().join(format!("{name}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_made_in_place_of_another_is_another_also_if_it_has_its_number() {
        let identity = |born| Identity { folder: "/m".into(), device: 1, inode: 2, born };
        assert!(identity(Some((3, 4))).is_same(&identity(Some((3, 4)))));
        assert!(!identity(Some((3, 4))).is_same(&identity(Some((3, 5)))));
        assert!(identity(Some((3, 4))).is_same(&identity(None)));
        // As an earlier version has written it.
        let old: Note = serde_json::from_str(r#"{"folder":"/m","device":1,"inode":2}"#).unwrap();
        assert!(matches!(old, Note::Is(old) if old == identity(None)));
    }
}
