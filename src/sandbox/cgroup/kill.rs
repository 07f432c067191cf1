//! Killing all that is in a directory, however fast it forks.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::hierarchy::{Version, below};
use super::quota::{QuotaLifted, put_back};
use super::{Cgroups, Hierarchy};
use crate::sandbox::sys::pidfd;

/// Rounds of listing and killing, each waiting at most [`PATIENCE`].
const ROUNDS: u32 = 20;
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// Processes dealt with at once, which is also how many descriptors that takes.
const AT_ONCE: usize = 64;

pub(super) fn kill(cgroups: &Cgroups, path: &Path) -> io::Result<()> {
    if cgroups.processes(path)?.is_empty() {
        return Ok(());
    }
    let _held = ForksHeld::hold(&cgroups.hierarchies, path);
    let _lifted = QuotaLifted::below(&cgroups.hierarchies, path)?;
    for hierarchy in &cgroups.hierarchies {
        match hierarchy.version {
            Version::One if hierarchy.has("freezer") => thaw(&hierarchy.directory(path))?,
            Version::One => {}
            Version::Two => kill_at_once(&hierarchy.directory(path)),
        }
    }
    for _ in 0..ROUNDS {
        let pids = cgroups.processes(path)?;
        if pids.is_empty() {
            return Ok(());
        }
        let mut killed = Vec::new();
        for some in pids.chunks(AT_ONCE) {
            killed = kill_some(cgroups, path, some)?;
        }
        wait_a_moment(killed);
    }
    match cgroups.processes(path)?.len() {
        0 => Ok(()),
        left => {
            let told = format!("{left} processes of cgroup {} do not end", path.display());
            Err(io::Error::new(io::ErrorKind::TimedOut, told))
        }
    }
}

/// SIGKILL to those of `pids` that are still in the directory, which are given back.
fn kill_some(cgroups: &Cgroups, path: &Path, pids: &[i32]) -> io::Result<Vec<OwnedFd>> {
    let mut opened = Vec::new();
    for pid in pids {
        match pidfd::open(*pid) {
            Ok(pidfd) => opened.push((*pid, pidfd)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    // A number may have passed to a stranger before it was opened: only those still listed here are ours.
    let still = cgroups.processes(path)?;
    let mut killed = Vec::new();
    for (pid, pidfd) in opened {
        if still.binary_search(&pid).is_ok() {
            pidfd::signal(&pidfd, libc::SIGKILL)?;
            killed.push(pidfd);
        }
    }
    Ok(killed)
}

/// Until all of them have ended, or one has not for [`PATIENCE`].
fn wait_a_moment(mut killed: Vec<OwnedFd>) {
    while let Some(last) = killed.last() {
        if poll(&mut [PollFd::new(last, PollFlags::IN)], Some(&PATIENCE)) == Ok(0) {
            return;
        }
        killed.pop();
    }
}

/// Since Linux 5.14 the kernel does it; before that, and in a hierarchy that holds only some of the processes,
/// the rounds do.
fn kill_at_once(directory: &Path) {
    drop(std::fs::write(directory.join("cgroup.kill"), "1"));
}

/// In version 1 a frozen process does not hear of its death.
fn thaw(directory: &Path) -> io::Result<()> {
    for directory in below(directory)? {
        // The top directory of a hierarchy has no such file and is never frozen.
        drop(std::fs::write(directory.join("freezer.state"), "THAWED"));
    }
    Ok(())
}

/// While this lives, nothing in the directory can fork. The limit that was there comes back afterwards.
struct ForksHeld(Vec<(PathBuf, String)>);

impl ForksHeld {
    fn hold(hierarchies: &[Hierarchy], path: &Path) -> ForksHeld {
        let mut held = Vec::new();
        for hierarchy in hierarchies.iter().filter(|hierarchy| hierarchy.has("pids")) {
            let file = hierarchy.directory(path).join("pids.max");
            if let Ok(before) = std::fs::read_to_string(&file)
                && std::fs::write(&file, "0").is_ok()
            {
                held.push((file, before));
            }
        }
        ForksHeld(held)
    }
}

impl Drop for ForksHeld {
    fn drop(&mut self) {
        put_back(&self.0);
    }
}
