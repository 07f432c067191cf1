//! A directory below `tmp/` for one process's unfinished work, locked for as long as that lives. What a killed
//! one left is removed by the next that comes, or by a watcher that looks around.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::failpoint;
use crate::publish::{names, remove_tree_at};

#[derive(Debug)]
pub(crate) struct Session {
    path: PathBuf,
    above: OwnedFd,
    /// Both locks end when these are closed.
    directory: OwnedFd,
    store: Option<File>,
}

impl Session {
    pub(super) fn below(place: &Path) -> io::Result<Session> {
        let above = open_directory(place)?;
        // Nobody looks for what killed processes left while a directory is made and not locked yet.
        rustix::fs::flock(&above, FlockOperation::LockExclusive)?;
        remove_abandoned(&above)?;
        let mut count = 0_u32;
        let name = loop {
            let name = format!("{}.{count}", std::process::id());
            match rustix::fs::mkdirat(&above, &name, Mode::from_raw_mode(0o700)) {
                Ok(()) => break name,
                Err(Errno::EXIST) => count += 1,
                Err(error) => return Err(error.into()),
            }
        };
        let path = place.join(name);
        let directory = open_directory(&path)?;
        rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive)?;
        rustix::fs::flock(&above, FlockOperation::Unlock)?;
        Ok(Session { path, above, directory, store: None })
    }

    pub(super) fn holding(mut self, lock: File) -> Session {
        self.store = Some(lock);
        self
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves a layer in here to be removed, unless somebody holds it.
    pub(super) fn take(&self, layer: &Path) -> io::Result<bool> {
        let held = open_directory(layer)?;
        match rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let Some(name) = layer.file_name() else { return Ok(false) };
        rustix::fs::renameat(rustix::fs::CWD, layer, &self.directory, name)?;
        failpoint::reach("layer taken")?;
        remove_tree_at(&self.directory, name)?;
        Ok(true)
    }

    /// Removes what is left in here.
    pub(crate) fn end(self) -> io::Result<()> {
        self.clear()
    }

    fn clear(&self) -> io::Result<()> {
        match self.path.file_name() {
            Some(name) => remove_tree_at(&self.above, name),
            None => Ok(()),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // What cannot be removed here is removed by the next session, which also reports why not.
        drop(self.clear());
    }
}

/// Removes every session whose process is gone, unless somebody begins one just now, and does it.
pub(super) fn sweep(place: &Path) -> io::Result<()> {
    let above = open_directory(place)?;
    match rustix::fs::flock(&above, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => remove_abandoned(&above),
        Err(Errno::WOULDBLOCK) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Removes every session whose process is gone.
fn remove_abandoned(above: &OwnedFd) -> io::Result<()> {
    for name in names(above)? {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let alive = match rustix::fs::openat(above, &name, flags, Mode::empty()) {
            Ok(session) => match rustix::fs::flock(&session, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => false,
                Err(Errno::WOULDBLOCK) => true,
                Err(error) => return Err(error.into()),
            },
            Err(Errno::NOENT) => continue,
            Err(Errno::NOTDIR | Errno::LOOP) => false,
            Err(error) => return Err(error.into()),
        };
        if !alive {
            remove_tree_at(above, &name)?;
        }
    }
    Ok(())
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}
