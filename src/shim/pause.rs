//! Pid 1 of a pod whose containers share one process namespace. It does nothing but be there: orphans become its
//! children, and when it ends the kernel ends every process of the namespace.
//!
//! Containers of the pod see it, as root if they like: it has an empty root, no capability, no descriptor but the
//! standard ones on `/dev/null`, and runs from the sealed copy of the binary. As long as it is alone in the namespace it mounts
//! the `/proc` that shows it: whoever makes the containers is never in there.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
use rustix::process::DumpableBehavior;
use rustix::thread::{
    CapabilitySet, CapabilitySets, LinkNameSpaceType, UnshareFlags, move_into_link_name_space,
};

use crate::sandbox::capability;
use crate::sandbox::cgroup::Cgroups;
use crate::sandbox::spawn::SealedBinary;
use crate::sandbox::sys::{descriptor, namespace, prctl, signal};

/// Where it finds the pipe that it says on that it is ready, and the directory to mount `/proc` on.
const READY_FD: i32 = 3;
const PROC_FD: i32 = 4;
/// Below the pod's cgroup; no container can have the name.
const CGROUP: &str = "_pause";

/// The namespace of a pod's processes, and the process that holds it.
#[derive(Debug)]
pub(super) struct PidNamespace {
    pid: i32,
    process: OwnedFd,
    /// Where its `/proc` is mounted.
    pub(super) proc: PathBuf,
}

impl PidNamespace {
    /// Starts pid 1 in the pod's cgroup, and has `/proc` mounted on a directory. One thread only.
    pub(super) fn make(cgroups: &Cgroups, pod_cgroup: &Path, proc: PathBuf) -> io::Result<PidNamespace> {
        let binary = SealedBinary::copy()?;
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let (heard, ready) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let place = File::open(&proc)?;
        let own = File::open("/proc/thread-self/ns/pid")?;
        namespace::unshare(UnshareFlags::NEWPID)?;
        let started = binary.start(&["pause".as_ref()], null.as_fd(), &[ready.as_fd(), place.as_fd()]);
        // What this process starts after it lives where this process does.
        move_into_link_name_space(own.as_fd(), Some(LinkNameSpaceType::ProcessID))?;
        let child = started?;
        drop(ready);
        let held = PidNamespace { pid: child.pid, process: child.pidfd, proc };
        cgroups.put(child.pid, &pod_cgroup.join(CGROUP))?;
        if rustix::io::read(&heard, &mut [0; 1])? != 1 {
            return Err(io::Error::other("the pod's first process has ended before it was ready"));
        }
        Ok(held)
    }

    pub(super) fn open(&self) -> io::Result<File> {
        File::open(format!("/proc/{}/ns/pid", self.pid))
    }

    /// A namespace without its pid 1 takes no further process.
    pub(super) fn is_alive(&self) -> bool {
        let mut ended = [PollFd::new(&self.process, PollFlags::IN)];
        matches!(poll(&mut ended, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(0))
    }
}

/// `droppod pause`, in a process namespace of its own.
pub(crate) fn main() -> ExitCode {
    match become_nobody() {
        Ok(never) => match never {},
        Err(error) => {
            super::say(&format!("pause: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn become_nobody() -> io::Result<Infallible> {
    let (Some(ready), Some(place)) = (descriptor::inherited(READY_FD), descriptor::inherited(PROC_FD)) else {
        return Err(io::Error::other("this is started by pod processes only"));
    };
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    signal::reap_unseen();
    mount_proc(&place)?;
    drop(place);
    leave_the_host()?;
    drop_capabilities()?;
    rustix::thread::set_no_new_privs(true)?;
    // Last: a change of credentials undoes it.
    prctl::die_with_parent()?;
    rustix::io::write(&ready, b"y")?;
    drop(ready);
    loop {
        rustix::event::pause();
    }
}

/// In the pod's mount namespace, which this process still shares. What it shows is the mounter's process namespace.
fn mount_proc(place: &OwnedFd) -> io::Result<()> {
    rustix::process::fchdir(place)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount("proc", ".", "proc", flags, None)?)
}

/// An empty root, mounted nowhere else.
fn leave_the_host() -> io::Result<()> {
    namespace::unshare(UnshareFlags::NEWNS)?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    // /proc is there on every machine; nothing is looked up in it from here on.
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("empty", "/proc", "tmpfs", flags, c"size=4k,mode=555")?;
    rustix::process::chdir("/proc")?;
    rustix::process::pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    Ok(rustix::process::chdir("/")?)
}

fn drop_capabilities() -> io::Result<()> {
    capability::renounce(capability::bounding()?)?;
    let none = CapabilitySet::empty();
    Ok(rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?)
}
