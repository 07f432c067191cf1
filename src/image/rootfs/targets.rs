//! Places inside a root that something will be mounted on. The image decides what a path in it is; a symlink
//! there must not lead a mount, or what is written through it, anywhere else.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use crate::image::inside;
use crate::publish::remove_tree_at;

/// What a mount target has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
}

/// As the kernel's own limit on symlinks in one path.
const SYMLINKS: u32 = 40;

/// libcontainer makes these itself, by path, if they are not there.
const DIRECTORIES: [(&str, u32); 6] =
    [("dev", 0o755), ("proc", 0o555), ("sys", 0o555), ("etc", 0o755), ("run", 0o755), ("tmp", 0o1777)];
const FILES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

/// Makes the directories and files that every container is given something on real ones: a symlink or anything
/// else in their place is replaced, in the writable layer.
pub(super) fn guard(root: impl AsFd) -> io::Result<()> {
    for (name, mode) in DIRECTORIES {
        real(&root, name.as_ref(), Kind::Directory, mode)?;
    }
    let etc = inside::directory(&root, Path::new("etc"))?;
    for name in FILES {
        real(&etc, name.as_ref(), Kind::File, 0o644)?;
    }
    Ok(())
}

/// Makes sure that `path`, taken inside `root`, is a `kind`, and returns the path without symlinks, relative to
/// the root. What is missing is made; symlinks are followed as a chroot would.
///
/// # Errors
/// If something else is there; nothing is replaced.
pub(crate) fn ensure_target(root: BorrowedFd<'_>, path: &Path, kind: Kind) -> io::Result<PathBuf> {
    let mut waiting: Vec<OsString> = components(path);
    let mut reached: Vec<OsString> = Vec::new();
    let mut links = 0;
    while let Some(name) = waiting.pop() {
        if name == ".." {
            reached.pop();
            continue;
        }
        let above: PathBuf = reached.iter().collect();
        let directory = inside::directory(root, &above)?;
        let wanted = if waiting.is_empty() { kind } else { Kind::Directory };
        let type_of = |stat: rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode);
        match (inside::look(&directory, &name)?.map(type_of), wanted) {
            (Some(FileType::Symlink), _) => {
                links += 1;
                if links > SYMLINKS {
                    return Err(rustix::io::Errno::LOOP.into());
                }
                let target = rustix::fs::readlinkat(&directory, &name, Vec::new())?.into_bytes();
                let target = PathBuf::from(OsString::from_vec(target));
                if target.is_absolute() {
                    reached.clear();
                }
                waiting.extend(components(&target));
                // A symlink to nothing but `/` leaves the kind of the last step open: the root is a directory.
                if waiting.is_empty() && kind == Kind::File {
                    return Err(io::ErrorKind::IsADirectory.into());
                }
                continue;
            }
            (Some(FileType::Directory), Kind::Directory) => {}
            (Some(FileType::Directory), Kind::File) => return Err(io::ErrorKind::IsADirectory.into()),
            (Some(_), Kind::Directory) => return Err(io::ErrorKind::NotADirectory.into()),
            (Some(_), Kind::File) => {}
            (None, Kind::Directory) => make(&directory, &name, Kind::Directory, 0o755)?,
            (None, Kind::File) => make(&directory, &name, Kind::File, 0o644)?,
        }
        reached.push(name);
    }
    Ok(reached.into_iter().collect())
}

/// The parts of a path, the last first, so that the next one is at the end.
fn components(path: &Path) -> Vec<OsString> {
    let part = |component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    let mut parts: Vec<OsString> = path.components().filter_map(part).collect();
    parts.reverse();
    parts
}

fn real(directory: impl AsFd, name: &OsStr, kind: Kind, mode: u32) -> io::Result<()> {
    let present = inside::look(&directory, name)?.map(|stat| FileType::from_raw_mode(stat.st_mode));
    let fits = match (kind, present) {
        (_, None) => false,
        (Kind::Directory, Some(present)) => present == FileType::Directory,
        (Kind::File, Some(present)) => present == FileType::RegularFile,
    };
    if fits {
        return Ok(());
    }
    if present == Some(FileType::Directory) {
        remove_tree_at(&directory, name)?;
    } else if present.is_some() {
        rustix::fs::unlinkat(&directory, name, AtFlags::empty())?;
    }
    make(directory, name, kind, mode)
}

fn make(directory: impl AsFd, name: &OsStr, kind: Kind, mode: u32) -> io::Result<()> {
    let made: OwnedFd = match kind {
        Kind::Directory => {
            rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o700))?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(&directory, name, flags, Mode::empty())?
        }
        Kind::File => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(&directory, name, flags, Mode::from_raw_mode(0o600))?
        }
    };
    // The umask has had its say above.
    Ok(rustix::fs::fchmod(&made, Mode::from_raw_mode(mode))?)
}
