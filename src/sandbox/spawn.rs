//! Starting processes of our own from a sealed copy of the binary, with a clean environment and nothing inherited
//! but what is named here.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Descriptor numbers that a pod process finds its own at.
pub(crate) const LOCK_FD: i32 = 3;
/// Read end of the pipe that an `up` holds open for as long as it lives.
pub(crate) const LIFELINE_FD: i32 = 4;

/// A copy of this binary in a sealed memfd: a container that reaches it cannot change what runs.
#[derive(Debug)]
pub(crate) struct SealedBinary(File);

impl SealedBinary {
    pub(crate) fn copy() -> io::Result<SealedBinary> {
        unimplemented!()
    }

    /// Starts `droppod ARGS…` in a new session, environment empty, stdin `/dev/null`, stdout and stderr those
    /// given, `handed` at descriptors 3, 4, …, every other descriptor closed, signals at their defaults.
    pub(crate) fn start(
        &self,
        args: &[&OsStr],
        stdio: BorrowedFd<'_>,
        handed: &[BorrowedFd<'_>],
    ) -> io::Result<Child> {
        let _ = (&self.0, args, stdio, handed);
        unimplemented!()
    }
}

/// A child of ours; the pidfd becomes readable when it has ended.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
}
