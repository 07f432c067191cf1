//! Starting processes of our own from a sealed copy of the binary, with a clean environment and nothing inherited
//! but what is named here.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::event::{Timespec, poll};
use rustix::fs::{Mode, OFlags, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, fsconfig_create, fsconfig_reconfigure,
    fsconfig_set_flag, fsmount, fsopen, fspick,
};

use super::failure::cannot;
use super::sys::process;

/// Descriptor numbers that a pod process finds its own at.
pub(crate) const LOCK_FD: i32 = 3;
/// Read end of the pipe that an `up` holds open for as long as it lives.
pub(crate) const LIFELINE_FD: i32 = 4;

const A_MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
/// How many moments a file may be busy.
const PATIENCE: u32 = 1000;

/// The file of the sealed copy; what runs from it shows it in `/proc/PID/exe`.
const NAME: &str = "droppod";

/// Where a pull finds what it is handed.
pub(crate) const PULL_HANDOVER_FD: i32 = 3;

/// A copy of this binary in a file system of its own that is read-only and mounted nowhere: a container that reaches it by
/// `/proc/PID/exe` can change neither what runs (CVE-2019-5736) nor whether it runs. The seals of a memfd would keep the
/// former alone, its mode and its access list stay anybody's who has CAP_FOWNER.
#[derive(Debug)]
pub(crate) struct SealedBinary(File);

impl SealedBinary {
    /// Copies this process's binary. A process that runs from a sealed copy itself shares that one.
    pub(crate) fn copy() -> io::Result<SealedBinary> {
        let own = File::open("/proc/self/exe").map_err(|error| cannot("open this binary", error))?;
        if is_sealed(&own)? {
            return Ok(SealedBinary(own));
        }
        SealedBinary::of(own).map_err(|error| cannot("make a sealed copy of this binary", error))
    }

    fn of(mut program: File) -> io::Result<SealedBinary> {
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        let place = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        let open =
            |flags| rustix::fs::openat(&place, NAME, flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o555));
        let mut copy = File::from(open(OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY)?);
        io::copy(&mut program, &mut copy)?;
        drop(copy);
        make_read_only(&place)?;
        Ok(SealedBinary(open(OFlags::RDONLY)?.into()))
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

    /// As [`SealedBinary::start_in`], and waits for no control group: where one has no processor time, or is frozen, a
    /// child may take for ever to come to its first instruction. Why one does not even become this binary is told to `verdict`.
    pub(crate) fn begin_in(
        &self,
        cgroup: Option<BorrowedFd<'_>>,
        args: &[&OsStr],
        stdio: BorrowedFd<'_>,
        handed: &[BorrowedFd<'_>],
        verdict: BorrowedFd<'_>,
    ) -> io::Result<Child> {
        let (pid, pidfd) = process::begin(self.0.as_fd(), &argv(args)?, stdio, handed, cgroup, verdict)
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

/// Nothing may be open for writing then: whatever another thread forks has the descriptor until it executes something.
fn make_read_only(place: &OwnedFd) -> io::Result<()> {
    for _ in 0..PATIENCE {
        let context = fspick(place, "", FsPickFlags::FSPICK_EMPTY_PATH | FsPickFlags::FSPICK_CLOEXEC)?;
        fsconfig_set_flag(&context, "ro")?;
        match fsconfig_reconfigure(&context) {
            // Nothing tells when it is free.
            Err(Errno::BUSY) => drop(poll(&mut [], Some(&A_MOMENT))),
            answer => return Ok(answer?),
        }
    }
    Err(Errno::BUSY.into())
}

/// Whether it is what [`SealedBinary::of`] has made.
fn is_sealed(own: &File) -> io::Result<bool> {
    let in_memory = rustix::fs::fstatfs(own)?.f_type == libc::TMPFS_MAGIC;
    let read_only = rustix::fs::fstatvfs(own)?.f_flag.contains(StatVfsMountFlags::RDONLY);
    // It lies in the root of a file system that has no place in any other.
    let at_root = std::fs::read_link("/proc/self/exe")?.as_os_str() == OsStr::new("/droppod");
    Ok(in_memory && read_only && at_root)
}

#[cfg(test)]
mod tests;
