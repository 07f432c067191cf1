//! Steps in a tree that somebody hostile may have made. Every path is resolved by the kernel as if the handle
//! were the root of the file system, and the last component is never followed.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Opens `path` below `root`: absolute symlinks and `..` stay inside, `/proc`'s magic links are refused.
pub(crate) fn open(root: impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(root.as_fd(), path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Ok(file) => return Ok(file),
            // A rename somewhere on the machine while `..` was walked: the kernel asks to try again.
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::NOSYS) => {
                let why = "the kernel has no openat2; Linux 5.6 or later is needed";
                return Err(io::Error::new(io::ErrorKind::Unsupported, why));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// A handle to a directory below `root`.
pub(crate) fn directory(root: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    open(root, path, OFlags::PATH | OFlags::DIRECTORY)
}

/// As [`directory`], making what is missing with mode 0755.
///
/// # Errors
/// Also where a component is a file, or a symlink to what is not there.
pub(crate) fn make_directory(root: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let root = root.as_fd();
    match directory(root, path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        reached => return reached,
    }
    let mut walked = PathBuf::new();
    let mut reached = directory(root, &walked)?;
    for component in path.components() {
        let Component::Normal(name) = component else {
            walked.push(component);
            continue;
        };
        walked.push(name);
        reached = match directory(root, &walked) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                rustix::fs::mkdirat(&reached, name, Mode::from_raw_mode(0o755))?;
                let made = directory(root, &walked)?;
                set_mode(&made, 0o755)?;
                made
            }
            present => present?,
        };
    }
    Ok(reached)
}

/// Sets permission bits through any handle, also one that can neither be read nor written.
pub(crate) fn set_mode(file: impl AsFd, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::chmod(through_proc(file.as_fd()), Mode::from_raw_mode(mode))?)
}

/// A path that means what the handle means, for calls that take no handle.
pub(crate) fn through_proc(file: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// What `name` is, a symlink as itself; `None` if there is nothing.
pub(crate) fn look(directory: impl AsFd, name: &OsStr) -> io::Result<Option<rustix::fs::Stat>> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether `stat` is how overlayfs writes "not here" into an upper layer: character device 0/0.
pub(crate) fn is_whiteout(stat: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

pub(crate) fn make_whiteout(directory: impl AsFd, name: &OsStr) -> io::Result<()> {
    let device = rustix::fs::makedev(0, 0);
    Ok(rustix::fs::mknodat(directory, name, FileType::CharacterDevice, Mode::empty(), device)?)
}

/// Hides whatever the layers below have in this directory. The handle must be readable, not `O_PATH`.
pub(crate) fn make_opaque(directory: impl AsFd) -> io::Result<()> {
    Ok(rustix::fs::fsetxattr(directory, c"trusted.overlay.opaque", b"y", rustix::fs::XattrFlags::empty())?)
}
