//! Opening what lies in a folder: below its handle, never by way of a device, a FIFO or a link that leaves it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::publish::untraced::untraced;
use crate::sandbox::sys::writers::{self, Writers};

/// Largest manifest, in bytes.
pub(crate) const SIZE_LIMIT: u64 = 1024 * 1024;

/// What tells one content of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    /// Nanoseconds since the epoch.
    pub(crate) modified: i128,
    pub(crate) changed: i128,
}

impl Stamp {
    fn of(stat: &Stat) -> Stamp {
        let nanos = |seconds: i64, nanos: u64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Stamp {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: nanos(stat.st_mtime, stat.st_mtime_nsec),
            changed: nanos(stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

/// What stands at a name that a manifest may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sighting {
    File {
        stamp: Stamp,
        owner: Owner,
        /// Made whole in one step, as links are: nobody is still writing to it.
        linked: bool,
    },
    /// Not read, and why, for the status file.
    Odd(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    /// Permission bits with set-id and sticky bits.
    pub(crate) mode: u32,
}

impl Owner {
    pub(crate) fn of(stat: &Stat) -> Owner {
        Owner { uid: stat.st_uid, mode: stat.st_mode & 0o7777 }
    }
}

/// Looks at `path` below `root` without opening what it is. `None` if there is nothing.
pub(crate) fn look(root: impl AsFd, path: &Path) -> io::Result<Option<Sighting>> {
    let symlink = match rustix::fs::statat(&root, path, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => FileType::from_raw_mode(stat.st_mode) == FileType::Symlink,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match beneath(root.as_fd(), path, OFlags::PATH) {
        Ok(handle) => Ok(Some(sighting(&rustix::fs::fstat(&handle)?, symlink))),
        Err(Errno::XDEV) => {
            Ok(Some(Sighting::Odd("it is a symbolic link that leaves the folder".to_owned())))
        }
        Err(Errno::LOOP) => Ok(Some(Sighting::Odd("it is a symbolic link that leads to itself".to_owned()))),
        Err(Errno::NOENT | Errno::NOTDIR) if symlink => {
            Ok(Some(Sighting::Odd("it is a symbolic link to nothing".to_owned())))
        }
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// As [`look`], of what has this name in `directory`, which is open and was reached through no link: that takes one call
/// of the kernel for what is no link itself.
pub(crate) fn look_in(
    directory: impl AsFd,
    name: &OsStr,
    root: impl AsFd,
    path: &Path,
) -> io::Result<Option<Sighting>> {
    match rustix::fs::statat(directory, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink => {
            Ok(Some(sighting(&stat, false)))
        }
        Ok(_) => look(root, path),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a directory is at `path`; also if that cannot be told.
pub(crate) fn is_directory(root: impl AsFd, path: &Path) -> bool {
    match rustix::fs::statat(root, path, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
        Err(error) => !matches!(error, Errno::NOENT | Errno::NOTDIR),
    }
}

fn sighting(stat: &Stat, symlink: bool) -> Sighting {
    let odd = |what: &str| Sighting::Odd(format!("it is {what}, not a file"));
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let stamp = Stamp::of(stat);
            if stamp.size > SIZE_LIMIT {
                return Sighting::Odd(format!("it has {} bytes, more than 1 MiB", stamp.size));
            }
            Sighting::File { stamp, owner: Owner::of(stat), linked: symlink || stat.st_nlink > 1 }
        }
        FileType::Directory => odd("a directory"),
        FileType::Fifo => odd("a FIFO"),
        FileType::Socket => odd("a socket"),
        FileType::CharacterDevice | FileType::BlockDevice => odd("a device"),
        FileType::Symlink | FileType::Unknown => odd("of an unknown kind"),
    }
}

/// A manifest that is open for reading.
#[derive(Debug)]
pub(crate) struct Opened {
    file: File,
    pub(crate) stamp: Stamp,
}

/// Opens a file; `None` if it is gone or no file any more.
pub(crate) fn open(root: impl AsFd, path: &Path) -> io::Result<Option<Opened>> {
    let handle = match beneath(root.as_fd(), path, OFlags::PATH) {
        Ok(handle) => handle,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::XDEV | Errno::LOOP) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let stat = rustix::fs::fstat(&handle)?;
    if !matches!(sighting(&stat, false), Sighting::File { .. }) {
        return Ok(None);
    }
    // Opening a device for reading can act on it, so the kind is known before the file is opened by its handle.
    let own = format!("/proc/self/fd/{}", handle.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(untraced(flags, |flags| rustix::fs::open(&own, flags, Mode::empty()))?);
    Ok(Some(Opened { file, stamp: Stamp::of(&stat) }))
}

impl Opened {
    pub(crate) fn writers(&self) -> Writers {
        writers::of(&self.file)
    }

    /// What is in it by now; `None` if that is too large.
    pub(crate) fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let mut content = Vec::new();
        (&self.file).take(SIZE_LIMIT + 1).read_to_end(&mut content)?;
        Ok((content.len() as u64 <= SIZE_LIMIT).then_some(content))
    }

    /// The content and its stamp; `None` if somebody wrote to the file while it was read.
    pub(crate) fn content(self) -> io::Result<Option<(Stamp, Vec<u8>)>> {
        let content = self.read()?;
        Ok(content.filter(|_| self.is_unchanged()).map(|content| (self.stamp, content)))
    }

    fn is_unchanged(&self) -> bool {
        rustix::fs::fstat(&self.file).is_ok_and(|stat| Stamp::of(&stat) == self.stamp)
    }
}

/// Opens `path` below `root`; no link, magic or plain, leads out of it.
fn beneath(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}
