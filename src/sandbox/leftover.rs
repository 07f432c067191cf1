//! What a pod process that was killed has left half-way: libcontainer's processes on their way into a container.
//! Each still has the lock's file open, and some wait for ever.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::cgroup::Cgroups;
use super::failure::cannot;
use super::sys::pidfd;
use crate::model::id::Uid;
use crate::paths::Places;
use crate::rundir::lock;

/// Rounds of looking and killing, each waiting at most [`PATIENCE`].
const ROUNDS: u32 = 20;
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Kills every process of a pod whose own process is dead: those in its cgroup, and those that have not got that
/// far and could still make it again.
///
/// # Errors
/// `TimedOut` if one is still there after that.
pub(crate) fn kill(cgroups: &Cgroups, places: &Places, pod: &Uid) -> io::Result<()> {
    let path = places.pod(pod).lock();
    for _ in 0..ROUNDS {
        cgroups.kill(&places.pod_cgroup(pod))?;
        let Some(file) = lock::left_open(&path)? else { return Ok(()) };
        let file = file.metadata()?;
        for pid in cgroups.processes(&places.shim_cgroup())? {
            kill_if_it_has(pid, &file)?;
        }
        // One that was in neither place is on its way from the one to the other.
        poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 1_000_000 }))?;
    }
    let busy = io::Error::new(io::ErrorKind::TimedOut, "a process that it left has it open");
    Err(cannot(format!("free {}", path.display()), busy))
}

fn kill_if_it_has(pid: i32, file: &Metadata) -> io::Result<()> {
    // One that has ended meanwhile needs no killing. The descriptor comes before the look, so that what is seen
    // is of the process that is killed.
    let Ok(process) = pidfd::open(pid) else { return Ok(()) };
    if has_open(pid, file) {
        pidfd::signal(&process, libc::SIGKILL)?;
        poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&PATIENCE))?;
    }
    Ok(())
}

fn has_open(pid: i32, file: &Metadata) -> bool {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut opened = descriptors.filter_map(|entry| std::fs::metadata(entry.path()).ok());
    opened.any(|there| (there.dev(), there.ino()) == (file.dev(), file.ino()))
}
