//! The directory behind a folder's name, and its lock.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::publish::untraced::untraced;

use super::identity::Identity;

/// The directory itself, whatever its name leads to later, with the lock that keeps a second `watch` out.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) directory: OwnedFd,
    pub(super) identity: Identity,
}

impl Handle {
    pub(super) fn open(path: &Path) -> io::Result<Handle> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = untraced(flags, |flags| rustix::fs::open(path, flags, Mode::empty()))?;
        let identity = Identity::of(path, &directory)?;
        Ok(Handle { directory, identity })
    }

    /// Takes the folder's lock, which goes with this handle; `None` if another process holds it.
    pub(super) fn lock(&self) -> io::Result<Option<()>> {
        match rustix::fs::flock(&self.directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(())),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
