//! One entry into the tree. An entry replaces what an earlier one of that name left (OCI image-spec, layer.md),
//! except that a directory over a directory keeps its content. Symlinks in the way to an entry are followed as
//! a chroot would; the entry itself never is.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::entry::{Entries, Entry, Kind};
use super::{NAME, UnpackError, shown};
use crate::image::inside;

const WHITEOUT: &[u8] = b".wh.";
/// Marks of aufs itself, the opaque one apart; they mean nothing to others.
const AUFS: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

pub(super) struct Tree {
    root: OwnedFd,
    trash: OwnedFd,
    thrown: u64,
    devices: u64,
    /// Their times change with each entry made in them, so they are set last.
    directories: Vec<(PathBuf, (i64, u32))>,
    kept: u64,
    keep_at_most: u64,
}

enum Step {
    Refused(&'static str),
    Io(io::Error),
    /// Already in words.
    Archive(UnpackError),
}

impl<E: Into<io::Error>> From<E> for Step {
    fn from(error: E) -> Step {
        Step::Io(error.into())
    }
}

impl Tree {
    pub(super) fn new(root: OwnedFd, trash: OwnedFd, keep_at_most: u64) -> Tree {
        Tree { root, trash, thrown: 0, devices: 0, directories: Vec::new(), kept: 0, keep_at_most }
    }

    pub(super) fn place<R: Read>(
        &mut self,
        entry: &Entry,
        content: &mut Entries<R>,
    ) -> Result<(), UnpackError> {
        self.step(entry, content).map_err(|step| match step {
            Step::Refused(why) => UnpackError::Refused { name: shown(&entry.name), why },
            Step::Io(source) => UnpackError::Place { name: shown(&entry.name), source },
            Step::Archive(error) => error,
        })
    }

    /// Sets the directories' times; returns how many device nodes were left out.
    pub(super) fn finish(self) -> Result<u64, UnpackError> {
        for (path, time) in self.directories.iter().rev() {
            // One that a later entry replaced by something else is left alone.
            let Ok(directory) = inside::open(&self.root, path, OFlags::RDONLY | OFlags::DIRECTORY) else {
                continue;
            };
            rustix::fs::futimens(&directory, &times(*time)).map_err(|error| UnpackError::Place {
                name: shown(path.as_os_str().as_bytes()),
                source: error.into(),
            })?;
        }
        Ok(self.devices)
    }

    fn step<R: Read>(&mut self, entry: &Entry, content: &mut Entries<R>) -> Result<(), Step> {
        let (parent, name) = split(&entry.name)?;
        let Some(name) = name else {
            if entry.kind != Kind::Directory {
                return Err(Step::Refused("names the root but is no directory"));
            }
            return self.directory(entry, PathBuf::new());
        };
        if entry.kind == Kind::Device {
            self.devices += 1;
            return Ok(());
        }
        let directory = inside::make_directory(&self.root, &parent)?;
        if name.as_bytes().starts_with(WHITEOUT) {
            return self.whiteout(&directory, &name);
        }
        match entry.kind {
            Kind::Directory => self.directory(entry, parent.join(&name)),
            Kind::File => self.file(entry, content, &directory, &name),
            Kind::HardLink => self.hard_link(entry, &directory, &name),
            Kind::Symlink => {
                if entry.target.is_empty() || entry.target.len() >= NAME || entry.target.contains(&0) {
                    return Err(Step::Refused("has a link target that no link can have"));
                }
                let target = OsStr::from_bytes(&entry.target);
                self.replacing(&directory, &name, || rustix::fs::symlinkat(target, &directory, &name))?;
                dress_unopened(&directory, &name, entry)
            }
            Kind::Fifo => {
                let mode = Mode::from_raw_mode(entry.mode & 0o777);
                self.replacing(&directory, &name, || {
                    rustix::fs::mknodat(&directory, &name, FileType::Fifo, mode, 0)
                })?;
                dress_unopened(&directory, &name, entry)?;
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let fifo = rustix::fs::openat(&directory, &name, flags, Mode::empty())?;
                Ok(inside::set_mode(fifo, entry.mode)?)
            }
            Kind::Device => Ok(()),
        }
    }

    fn directory(&mut self, entry: &Entry, path: PathBuf) -> Result<(), Step> {
        if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
            let parent = inside::directory(&self.root, parent)?;
            let present = inside::look(&parent, name)?;
            let is_directory =
                |stat: &rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if !present.as_ref().is_some_and(is_directory) {
                let mode = Mode::from_raw_mode(0o700);
                self.replacing(&parent, name, || rustix::fs::mkdirat(&parent, name, mode))?;
            }
            let directory = open_directory(&parent, name)?;
            // The whiteout said that the layers below lend nothing to this name.
            if present.as_ref().is_some_and(inside::is_whiteout) {
                inside::make_opaque(&directory)?;
            }
            dress(&directory, entry)?;
        } else {
            dress(&inside::open(&self.root, &path, OFlags::RDONLY | OFlags::DIRECTORY)?, entry)?;
        }
        self.kept += path.as_os_str().len() as u64 + size_of::<(PathBuf, (i64, u32))>() as u64;
        if self.kept > self.keep_at_most {
            let error =
                UnpackError::TooMuch { what: "bytes in names of directories", limit: self.keep_at_most };
            return Err(Step::Archive(error));
        }
        self.directories.push((path, entry.mtime));
        Ok(())
    }

    fn file<R: Read>(
        &mut self,
        entry: &Entry,
        content: &mut Entries<R>,
        directory: &OwnedFd,
        name: &OsStr,
    ) -> Result<(), Step> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o600);
        let file = self.replacing(directory, name, || rustix::fs::openat(directory, name, flags, mode))?;
        let mut file = File::from(file);
        let mut buffer = [0; 64 << 10];
        loop {
            match content.content(&mut buffer).map_err(Step::Archive)? {
                0 => break,
                got => file.write_all(&buffer[..got])?,
            }
        }
        dress(&file, entry)?;
        Ok(rustix::fs::futimens(&file, &times(entry.mtime))?)
    }

    fn hard_link(&mut self, entry: &Entry, directory: &OwnedFd, name: &OsStr) -> Result<(), Step> {
        let (target_parent, target_name) = split(&entry.target)?;
        let Some(target_name) = target_name else {
            return Err(Step::Refused("is a hard link to the root"));
        };
        let missing = Step::Refused("is a hard link to what the layer does not hold");
        let target_directory = match inside::directory(&self.root, &target_parent) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing),
            reached => reached?,
        };
        let Some(target) = inside::look(&target_directory, &target_name)? else { return Err(missing) };
        if inside::is_whiteout(&target) {
            return Err(missing);
        }
        if FileType::from_raw_mode(target.st_mode) == FileType::Directory {
            return Err(Step::Refused("is a hard link to a directory"));
        }
        let same =
            |present: rustix::fs::Stat| (present.st_dev, present.st_ino) == (target.st_dev, target.st_ino);
        if inside::look(directory, name)?.is_some_and(same) {
            return Ok(());
        }
        self.replacing(directory, name, || {
            rustix::fs::linkat(&target_directory, &target_name, directory, name, AtFlags::empty())
        })
    }

    /// What a `.wh.` name asks for. It hides layers below only: what this layer holds under the name stays.
    fn whiteout(&mut self, directory: &OwnedFd, name: &OsStr) -> Result<(), Step> {
        let marker = name.as_bytes();
        if marker == OPAQUE {
            let readable = inside::open(directory, Path::new("."), OFlags::RDONLY | OFlags::DIRECTORY)?;
            return Ok(inside::make_opaque(readable)?);
        }
        if marker.starts_with(AUFS) {
            return Ok(());
        }
        let hidden = OsStr::from_bytes(&marker[WHITEOUT.len()..]);
        if matches!(hidden.as_bytes(), b"" | b"." | b"..") {
            return Err(Step::Refused("is a whiteout of nothing"));
        }
        match inside::look(directory, hidden)? {
            None => Ok(inside::make_whiteout(directory, hidden)?),
            Some(present) if FileType::from_raw_mode(present.st_mode) == FileType::Directory => {
                Ok(inside::make_opaque(open_directory(directory, hidden)?)?)
            }
            Some(_) => Ok(()),
        }
    }

    /// Makes something under a name that may be taken; what had it goes to the trash, whole.
    fn replacing<T>(
        &mut self,
        directory: &OwnedFd,
        name: &OsStr,
        make: impl Fn() -> rustix::io::Result<T>,
    ) -> Result<T, Step> {
        match make() {
            Err(Errno::EXIST) => {}
            made => return Ok(made?),
        }
        match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => {
                self.thrown += 1;
                rustix::fs::renameat(directory, name, &self.trash, self.thrown.to_string())?;
            }
            removed => removed?,
        }
        Ok(make()?)
    }
}

fn open_directory(parent: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

/// Parent and last component of a name from an archive; no last component for the root itself.
fn split(name: &[u8]) -> Result<(PathBuf, Option<OsString>), Step> {
    if name.is_empty() || name.len() > NAME || name.contains(&0) {
        return Err(Step::Refused("has a name that no file can have"));
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(Step::Refused("has `..` in its name")),
            part => parts.push(part),
        }
    }
    let last = parts.pop().map(|part| OsStr::from_bytes(part).to_owned());
    if parts.iter().any(|part| part.starts_with(WHITEOUT)) {
        return Err(Step::Refused("lies below a whiteout"));
    }
    Ok((parts.into_iter().map(OsStr::from_bytes).collect(), last))
}

/// Owner, attributes and mode, in this order: a change of owner clears setuid bits and capabilities.
fn dress(file: impl AsFd, entry: &Entry) -> Result<(), Step> {
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    rustix::fs::fchown(&file, Some(uid), Some(gid))?;
    for (name, value) in &entry.attributes {
        let kept = name == b"security.capability"
            || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."));
        if kept && !name.contains(&0) {
            match rustix::fs::fsetxattr(&file, OsStr::from_bytes(name), value, XattrFlags::empty()) {
                // A file system without `user.*` makes no image unusable; lost capabilities would.
                Err(Errno::OPNOTSUPP) if name.starts_with(b"user.") => {}
                set => set?,
            }
        }
    }
    Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(entry.mode))?)
}

/// Owner and time of what is not to be opened.
fn dress_unopened(directory: &OwnedFd, name: &OsStr, entry: &Entry) -> Result<(), Step> {
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    rustix::fs::chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(rustix::fs::utimensat(directory, name, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn times((seconds, nanos): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: i64::from(nanos) };
    Timestamps { last_access: time, last_modification: time }
}
