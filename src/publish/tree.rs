//! Removal of trees that somebody hostile may have made: however deep, through no symlink, into no mount.

use std::ffi::{CStr, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

use super::untraced::untraced;

/// Opens a directory below `root` through no symbolic link at all.
pub(crate) fn directory_below(root: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    untraced(flags, |flags| rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve))
}

/// Removes a directory and all below it; one that is not there is as good as removed.
///
/// # Errors
/// Also where something below it is mounted: that is never entered.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the path of a directory"));
    };
    match super::open_directory(above) {
        Ok(above) => remove_tree_at(above, name),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// As [`remove_tree`], with two handles at any depth: what lies deeper is first moved up to the tree's own root, so
/// that a removal which is cut short leaves nothing outside the tree.
pub(crate) fn remove_tree_at(parent: impl AsFd, name: &OsStr) -> io::Result<()> {
    let parent = parent.as_fd();
    if remove_leaf(parent, name)? {
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        // Somebody else clears up here as well.
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    let mut moved = 0_u64;
    let mut waiting = names(&root)?;
    while let Some(next) = waiting.pop() {
        if remove_leaf(&root, &next)? {
            continue;
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let directory = match rustix::fs::openat2(&root, &next, flags, Mode::empty(), resolve) {
            Err(Errno::NOENT) => continue,
            opened => opened?,
        };
        for child in names(&directory)? {
            if !remove_leaf(&directory, &child)? {
                waiting.extend(move_up(&directory, &child, root.as_fd(), &mut moved)?);
            }
        }
        if !remove_leaf(&root, &next)? {
            return Err(Errno::NOTEMPTY.into());
        }
    }
    if remove_leaf(parent, name)? { Ok(()) } else { Err(Errno::NOTEMPTY.into()) }
}

/// Moves `child` up to the tree's root, under a name that is free there; `None` if it is gone.
fn move_up(
    directory: &OwnedFd,
    child: &OsStr,
    root: BorrowedFd<'_>,
    moved: &mut u64,
) -> io::Result<Option<OsString>> {
    loop {
        *moved += 1;
        let name = OsString::from(format!(".{moved}"));
        match rustix::fs::renameat_with(directory, child, root, &name, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(Some(name)),
            Err(Errno::EXIST) => {}
            Err(Errno::NOENT) => return Ok(None),
            // An overlay cannot move what lies in one of its lower layers, which are not made by who runs above them. On
            // a full disc the root may have no room for another name.
            Err(Errno::XDEV | Errno::NOSPC | Errno::DQUOT) => {
                let place = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
                std::fs::remove_dir_all(place.join(child))?;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Removes a file or an empty directory; `false` if it is a directory with something in it.
fn remove_leaf(parent: impl AsFd, name: &OsStr) -> io::Result<bool> {
    let parent = parent.as_fd();
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(true),
        Err(Errno::ISDIR) => {}
        Err(error) => return Err(error.into()),
    }
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::NOTEMPTY) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What a directory holds, without `.` and `..`. The handle must be readable.
pub(crate) fn names(directory: impl AsFd) -> io::Result<Vec<OsString>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name: &CStr = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            found.push(OsStr::from_bytes(name.to_bytes()).to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
