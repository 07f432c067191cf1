//! Runs a further process in a running container: a user's `exec`, a probe, a hook.
//!
//! A process of ours, begun anew from the sealed copy and seen by no container, takes on all that the container is
//! (`inside.rs`), and then makes the child that becomes the program (`birth.rs`).

pub(crate) mod inside;

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use oci_spec::runtime::Process;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::MemfdFlags;
use rustix::process::{Pid, WaitOptions};
use serde::{Deserialize, Serialize};

use super::birth::Loading;
use super::launch::{LaunchError, Launched, Stdio, keep_within_bounds};
use super::verdict::Verdict;
use crate::bundle::seccomp::Filter;
use crate::sandbox::cgroup::Doors;
use crate::sandbox::spawn::{Child, SealedBinary};
use crate::sandbox::sys::birth::Register;
use crate::sandbox::sys::{pidfd, scm};

/// Longest wait for a process to enter. Only a working directory on a file system that does not answer takes so long, or a
/// container without any processor time.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Mount, control groups, processes: those of a container that are not the pod's.
const NAMESPACES: [&str; 3] = ["mnt", "cgroup", "pid"];

/// What runs where.
pub(super) struct Entry<'a> {
    /// The container's first process, which has not been reaped.
    pub(super) beside: i32,
    /// The container's, and how one comes there.
    pub(super) cgroup: &'a Path,
    pub(super) doors: Doors,
    /// With a terminal if it says so.
    pub(super) process: Process,
    /// Absent with a terminal.
    pub(super) stdio: Option<Stdio>,
    pub(super) filter: Option<Rc<Filter>>,
    pub(super) loading: Loading,
}

/// What the process that enters reads first.
#[derive(Debug, Serialize, Deserialize)]
struct Orders {
    process: Process,
    filter: Option<Filter>,
    loading: Loading,
    cgroup: PathBuf,
    doors: usize,
}

/// It has entered, and is on its way to its program; with its terminal's master if it has one.
///
/// # Errors
/// Whatever keeps it from entering. What keeps it from executing its program is in its verdict.
pub(super) fn enter(mut entry: Entry<'_>) -> Result<(Launched, Option<OwnedFd>), LaunchError> {
    let cannot = |operation| move |source| LaunchError::Prepare { operation, source };
    keep_within_bounds(&mut entry.process)?;
    let namespaces = NAMESPACES
        .iter()
        .map(|name| File::open(format!("/proc/{}/ns/{name}", entry.beside)))
        .collect::<io::Result<Vec<File>>>()
        .map_err(cannot("find the container's namespaces"))?;
    let register = Register::new().map_err(cannot("make a register"))?;
    let orders = write_orders(&entry).map_err(cannot("write the orders"))?;
    let (verdict, theirs) = Verdict::pipe().map_err(cannot("make a pipe"))?;
    let (console, their_console) = UnixStream::pair().map_err(cannot("make a socket"))?;
    let streams: Vec<BorrowedFd<'_>> = match &entry.stdio {
        Some(stdio) => vec![stdio.stdin.as_fd(), stdio.stdout.as_fd(), stdio.stderr.as_fd()],
        None => vec![their_console.as_fd()],
    };
    let handed: Vec<BorrowedFd<'_>> = [orders.as_fd(), theirs.as_fd(), register.as_fd()]
        .into_iter()
        .chain(namespaces.iter().chain(&entry.doors.files).map(AsFd::as_fd))
        .chain(streams)
        .collect();
    let null = File::options().read(true).write(true).open("/dev/null").map_err(cannot("open /dev/null"))?;
    let birthplace = entry.doors.birthplace.as_ref().map(AsFd::as_fd);
    let started = SealedBinary::copy()
        .and_then(|binary| binary.start_in(birthplace, &["enter".as_ref()], null.as_fd(), &handed));
    let child = started.map_err(cannot("start the process that enters"))?;
    drop((theirs, their_console, entry.stdio));
    let in_time = await_end(&child);
    match register.born().map_err(cannot("read the register"))? {
        Some(pid) => {
            let master = match entry.process.terminal() {
                Some(true) => Some(master(&console).map_err(cannot("make a terminal"))?),
                Some(false) | None => None,
            };
            Ok((Launched { pid, verdict }, master))
        }
        None if in_time => {
            // Without a word it was killed, for the memory of its container for one.
            let message =
                verdict.failure().unwrap_or_else(|| "the process that enters was killed".to_owned());
            Err(LaunchError::Runtime { message })
        }
        None => Err(LaunchError::Runtime {
            message: "the container cannot be entered: its working directory does not answer, or it gets no \
                      processor time"
                .to_owned(),
        }),
    }
}

fn write_orders(entry: &Entry<'_>) -> io::Result<File> {
    let orders = Orders {
        process: entry.process.clone(),
        filter: entry.filter.as_deref().cloned(),
        loading: entry.loading,
        cgroup: entry.cgroup.to_owned(),
        doors: entry.doors.files.len(),
    };
    let mut file = File::from(rustix::fs::memfd_create("orders", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(&orders)?)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// Whether it has ended by itself, and is reaped. One that has not is killed, and reaped like any stranger.
pub(super) fn await_end(child: &Child) -> bool {
    let mut ended = [PollFd::new(&child.pidfd, PollFlags::IN)];
    if matches!(poll(&mut ended, Some(&PATIENCE)), Ok(1..)) {
        // How it ended is told by what it left.
        let _ = rustix::process::waitpid(Pid::from_raw(child.pid), WaitOptions::empty());
        return true;
    }
    drop(pidfd::signal(&child.pidfd, libc::SIGKILL));
    false
}

fn master(console: &UnixStream) -> io::Result<OwnedFd> {
    console.set_nonblocking(true)?;
    let mut received = scm::receive(console, &mut [0; 1])?;
    received
        .descriptors
        .pop()
        .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no terminal was sent"))
}
