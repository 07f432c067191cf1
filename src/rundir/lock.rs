//! Locks that say who is there, and end with whoever that is, however it ends.
//!
//! An flock belongs to an open file: it is handed on with the descriptor, and is what starts a pod process locked.
//! But its children inherit it too, and what libcontainer has cloned may outlive it, waiting for an answer that
//! nobody will give. So the pod process takes a lock of its own beside it (fcntl), which no child inherits, and goes
//! over to sharing the flock, which then tells whether anybody is left that has the descriptor.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::event::{Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType};

mod holder;

pub(crate) use holder::holder;

const ATTEMPTS: usize = 100;
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// A lock held by this process, and by every process it gives the descriptor to.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the lock at once, or says that another holds it with `None`. The file is made if need be.
    pub(crate) fn try_take(path: &Path) -> io::Result<Option<Lock>> {
        loop {
            let file = open(path)?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) if is_owned(&file)? => return Ok(None),
                // Whoever held it before may have removed the file as the last thing it did.
                Ok(()) if leads_to(path, &file)? => return Ok(Some(Lock(file))),
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes the lock of a directory at once, or says with `None` that another holds or shares it.
    pub(crate) fn try_take_directory(path: &Path) -> io::Result<Option<Lock>> {
        let directory = open_directory(path)?;
        match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock(directory))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the lock of a directory once nobody else has it.
    pub(crate) fn take_directory(path: &Path) -> io::Result<Lock> {
        let directory = open_directory(path)?;
        rustix::fs::flock(&directory, FlockOperation::LockExclusive)?;
        Ok(Lock(directory))
    }

    /// Shares the lock of a directory with others, once nobody has it alone.
    pub(crate) fn share_directory(path: &Path) -> io::Result<Lock> {
        let directory = open_directory(path)?;
        rustix::fs::flock(&directory, FlockOperation::LockShared)?;
        Ok(Lock(directory))
    }

    /// Takes over a descriptor on which the lock was taken before it was handed here, so that it ends with this
    /// process alone. From then on the file must not be opened a second time here: closing it would end the lock.
    pub(crate) fn take_over(file: File) -> io::Result<Lock> {
        rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive)?;
        rustix::fs::flock(&file, FlockOperation::LockShared)?;
        Ok(Lock(file))
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

/// Tries again for two seconds. A lock may be held for a moment by somebody who looks whether it is, or, after its
/// holder was killed, by a child of that on its way from fork to exec.
pub(crate) fn patiently<T>(mut attempt: impl FnMut() -> io::Result<Option<T>>) -> io::Result<Option<T>> {
    for _ in 1..ATTEMPTS {
        if let Some(taken) = attempt()? {
            return Ok(Some(taken));
        }
        poll(&mut [], Some(&PAUSE))?;
    }
    attempt()
}

/// Whether a process holds the lock at this moment.
pub(crate) fn is_held(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        // In this order: who takes over the lock has it as its own before it shares the flock.
        Ok(()) => is_owned(&file),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Whether a process has the lock of a directory alone.
pub(crate) fn is_directory_held(path: &Path) -> io::Result<bool> {
    let directory = match open_directory(path) {
        Ok(directory) => directory,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Whether a process has the lock of a directory, or of one above it, alone. One that cannot be looked at counts as free.
pub(crate) fn is_within_held(directory: &Path) -> bool {
    directory.ancestors().any(|directory| is_directory_held(directory).unwrap_or(false))
}

/// The file of a lock that nobody holds and that is still open in processes which the last holder left behind.
pub(crate) fn left_open(path: &Path) -> io::Result<Option<File>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(None),
        Err(Errno::WOULDBLOCK) => Ok(Some(file)),
        Err(error) => Err(error.into()),
    }
}

/// Whether a process has taken the lock over.
fn is_owned(file: &File) -> io::Result<bool> {
    Ok(rustix::process::fcntl_getlk(file, &Flock::from(FlockType::WriteLock))?.is_some())
}

fn leads_to(path: &Path, file: &File) -> io::Result<bool> {
    let (there, here) = match (rustix::fs::lstat(path), rustix::fs::fstat(file)?) {
        (Ok(there), here) => (there, here),
        (Err(Errno::NOENT), _) => return Ok(false),
        (Err(error), _) => return Err(error.into()),
    };
    Ok((there.st_dev, there.st_ino) == (here.st_dev, here.st_ino))
}

fn open_directory(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?.into())
}

#[cfg(test)]
mod tests;
