//! Starting processes of our own from a sealed copy of the binary, with a clean environment and nothing inherited
//! but what is named here.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

use super::failure::cannot;
use super::sys::process;

/// Descriptor numbers that a pod process finds its own at.
pub(crate) const LOCK_FD: i32 = 3;
/// Read end of the pipe that an `up` holds open for as long as it lives.
pub(crate) const LIFELINE_FD: i32 = 4;

/// Where a pull finds what it is handed.
pub(crate) const PULL_HANDOVER_FD: i32 = 3;

/// A copy of this binary in a sealed memfd: a container that reaches it cannot change what runs.
#[derive(Debug)]
pub(crate) struct SealedBinary(File);

impl SealedBinary {
    /// Copies this process's binary. A process that runs from a sealed copy itself shares that one.
    pub(crate) fn copy() -> io::Result<SealedBinary> {
        let own = File::open("/proc/self/exe").map_err(|error| cannot("open this binary", error))?;
        if rustix::fs::fcntl_get_seals(&own).is_ok_and(|seals| seals.contains(seals_wanted())) {
            return Ok(SealedBinary(own));
        }
        SealedBinary::of(own).map_err(|error| cannot("make a sealed copy of this binary", error))
    }

    fn of(mut program: File) -> io::Result<SealedBinary> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // A kernel may be set to make memory files that cannot be executed unless asked to (6.3); older ones do
        // not know the question.
        let copy = match rustix::fs::memfd_create("droppod", flags | MemfdFlags::EXEC) {
            Err(Errno::INVAL) => rustix::fs::memfd_create("droppod", flags)?,
            answer => answer?,
        };
        let mut copy = File::from(copy);
        io::copy(&mut program, &mut copy)?;
        rustix::fs::fcntl_add_seals(&copy, seals_wanted())?;
        Ok(SealedBinary(copy))
    }

    /// Starts `droppod ARGS…` in a new session, environment empty, stdin `/dev/null`, stdout and stderr those
    /// given, `handed` at descriptors 3, 4, …, every other descriptor closed, signals at their defaults.
    pub(crate) fn start(
        &self,
        args: &[&OsStr],
        stdio: BorrowedFd<'_>,
        handed: &[BorrowedFd<'_>],
    ) -> io::Result<Child> {
        self.start_in(None, args, stdio, handed)
    }

    /// As [`SealedBinary::start`], in a control group that [`Cgroups::birthplace`] gave. Where the kernel cannot do that,
    /// the child begins where this process is.
    ///
    /// [`Cgroups::birthplace`]: super::cgroup::Cgroups::birthplace
    pub(crate) fn start_in(
        &self,
        cgroup: Option<BorrowedFd<'_>>,
        args: &[&OsStr],
        stdio: BorrowedFd<'_>,
        handed: &[BorrowedFd<'_>],
    ) -> io::Result<Child> {
        let (pid, pidfd) = process::start(self.0.as_fd(), &argv(args)?, stdio, handed, cgroup)
            .map_err(|error| cannot("start a process of this binary", error))?;
        Ok(Child { pid, pidfd })
    }

    /// As [`SealedBinary::start_in`], and waits for nothing: where a control group has no processor time, or is frozen, a
    /// child may take for ever to come to its first instruction. One that does not even become this binary just ends.
    pub(crate) fn begin_in(
        &self,
        cgroup: Option<BorrowedFd<'_>>,
        args: &[&OsStr],
        stdio: BorrowedFd<'_>,
        handed: &[BorrowedFd<'_>],
    ) -> io::Result<Child> {
        let (pid, pidfd) = process::begin(self.0.as_fd(), &argv(args)?, stdio, handed, cgroup)
            .map_err(|error| cannot("start a process of this binary", error))?;
        Ok(Child { pid, pidfd })
    }
}

fn argv(args: &[&OsStr]) -> io::Result<Vec<CString>> {
    let all = [OsStr::new("droppod")].into_iter().chain(args.iter().copied());
    Ok(all.map(|arg| CString::new(arg.as_bytes())).collect::<Result<_, _>>()?)
}

/// A child of ours; the pidfd becomes readable when it has ended.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
}

fn seals_wanted() -> SealFlags {
    SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE
}

#[cfg(test)]
mod tests;
