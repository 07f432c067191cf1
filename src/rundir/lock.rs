//! Locks that say who is there. An flock belongs to an open file, so it is handed on with the descriptor and
//! ends with the last process that holds it, however that ends.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

/// A lock held by this process, and by every process it gives the descriptor to.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the lock at once, or says that another holds it with `None`.
    pub(crate) fn try_take(path: &Path) -> io::Result<Option<Lock>> {
        let file = open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes over a descriptor on which the lock was taken before it was handed here.
    pub(crate) fn inherited(file: File) -> Lock {
        Lock(file)
    }

    /// Writes who holds the lock into its file, for the error message of the next one to come.
    pub(crate) fn sign(&self, text: &str) -> io::Result<()> {
        self.0.set_len(0)?;
        rustix::io::pwrite(&self.0, text.as_bytes(), 0)?;
        Ok(())
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether a process holds the lock at this moment.
pub(crate) fn is_held(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?.into())
}
