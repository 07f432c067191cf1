//! Runs a further process in a running container: a user's `exec`, a probe, a hook.
//!
//! A process of ours, begun anew from the sealed copy and seen by no container, takes on all that the container is
//! (`inside.rs`), and then makes the child that becomes the program (`birth.rs`).
//!
//! ```text
//!   begun ──► outside ──it ends, having made the child──► inside ──► its end is that of the exec, probe or hook
//!                │ it ends without          │ it takes too long, or nobody waits any more
//!                ▼                          ▼
//!          why, in its verdict       a straggler, killed, and watched for a child until it has ended
//! ```
//!
//! Nobody waits for it: it may be as slow as the container's file systems and what processor time is left there.

pub(crate) mod inside;

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use oci_spec::runtime::Process;
use rustix::fs::MemfdFlags;
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use super::birth::Loading;
use super::launch::{LaunchError, Stdio, keep_within_bounds};
use super::verdict::Verdict;
use crate::bundle::seccomp::Filter;
use crate::model::time::Moment;
use crate::sandbox::cgroup::Doors;
use crate::sandbox::spawn::{Child, SealedBinary};
use crate::sandbox::sys::birth::Register;
use crate::sandbox::sys::{clock, pidfd, scm};

/// Longest that a process may take to enter. A probe may have less.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of those that do not end, in a container: no further one is begun.
const STRAGGLERS_LIMIT: usize = 4;

pub(super) const TOO_LATE: &str =
    "the container cannot be entered: its working directory does not answer, or it gets no processor time";

/// Mount, control groups, processes: those of a container that are not the pod's.
const NAMESPACES: [&str; 3] = ["mnt", "cgroup", "pid"];

/// What runs where.
pub(super) struct Entry<'a> {
    pub(super) container: &'a str,
    /// The container's first process, which has not been reaped.
    pub(super) beside: i32,
    /// The OOM score of the container's processes.
    pub(super) score: i32,
    /// Of the container's control groups.
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
    score: i32,
    /// Where version 2 is all there is.
    unified: Option<PathBuf>,
    /// How many doors are to be passed before the namespaces are joined, and how many after.
    doors: (usize, usize),
}

/// A process in a container, or on its way there.
#[derive(Debug)]
pub(super) struct Passage {
    container: String,
    pub(super) verdict: Verdict,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Outside(Outside),
    Inside(Inside),
    /// It never came there, or is called off.
    Over,
}

#[derive(Debug)]
struct Outside {
    child: Child,
    register: Register,
    /// Takes the master of its terminal, if it has one.
    console: Option<UnixStream>,
    until: Moment,
}

#[derive(Debug)]
struct Inside {
    pid: i32,
    process: OwnedFd,
}

/// It has been killed on its way, and may have made its child by then.
#[derive(Debug)]
pub(super) struct Straggler {
    container: String,
    outside: Outside,
}

/// # Errors
/// What keeps it from beginning; the rest is told by [`Passage::arrive`], and what keeps it from executing its program by
/// its verdict.
pub(super) fn begin(mut entry: Entry<'_>) -> Result<Passage, LaunchError> {
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
        .chain(namespaces.iter().chain(&entry.doors.early).chain(&entry.doors.late).map(AsFd::as_fd))
        .chain(streams)
        .collect();
    let null = File::options().read(true).write(true).open("/dev/null").map_err(cannot("open /dev/null"))?;
    let birthplace = entry.doors.birthplace.as_ref().map(AsFd::as_fd);
    let started = SealedBinary::copy().and_then(|binary| {
        binary.begin_in(birthplace, &["enter".as_ref()], null.as_fd(), &handed, theirs.as_fd())
    });
    let child = started.map_err(cannot("start the process that enters"))?;
    let console = entry.stdio.is_none().then_some(console);
    let outside = Outside { child, register, console, until: clock::boot() + PATIENCE };
    Ok(Passage { container: entry.container.to_owned(), verdict, place: Place::Outside(outside) })
}

fn write_orders(entry: &Entry<'_>) -> io::Result<File> {
    let orders = Orders {
        process: entry.process.clone(),
        filter: entry.filter.as_deref().cloned(),
        loading: entry.loading,
        score: entry.score,
        unified: entry.doors.unified.clone(),
        doors: (entry.doors.early.len(), entry.doors.late.len()),
    };
    let mut file = File::from(rustix::fs::memfd_create("orders", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(&orders)?)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

impl Passage {
    /// Of the process in the container.
    pub(super) fn pid(&self) -> Option<i32> {
        match &self.place {
            Place::Inside(inside) => Some(inside.pid),
            Place::Outside(_) | Place::Over => None,
        }
    }

    /// Until when it has to enter the container.
    pub(super) fn until(&self) -> Option<Moment> {
        match &self.place {
            Place::Outside(outside) => Some(outside.until),
            Place::Inside(_) | Place::Over => None,
        }
    }

    pub(super) fn enters(&self, container: &str) -> bool {
        self.until().is_some() && self.container == container
    }

    /// Whether a child that has ended, and is not reaped, is what was to enter or what has entered.
    pub(super) fn concerns(&self, pid: i32) -> bool {
        match &self.place {
            Place::Outside(outside) => outside.is(pid),
            Place::Inside(_) | Place::Over => false,
        }
    }

    /// To be called when [`Passage::concerns`] says so. Gives the terminal's master if there is one.
    ///
    /// # Errors
    /// Why it has not entered.
    pub(super) fn arrive(&mut self) -> Result<Option<OwnedFd>, String> {
        let Place::Outside(outside) = std::mem::replace(&mut self.place, Place::Over) else {
            return Ok(None);
        };
        let Some(pid) = outside.born() else {
            // Without a word it was killed, for the memory of its container for one.
            let killed = || "the process that enters was killed".to_owned();
            return Err(self.verdict.failure().unwrap_or_else(killed));
        };
        let lost = |error: io::Error| format!("cannot hold on to the process: {error}");
        let process = pidfd::open(pid).map_err(|error| {
            kill_unreaped(pid);
            lost(error)
        })?;
        let inside = Inside { pid, process };
        match outside.console.as_ref().map(master).transpose() {
            Ok(master) => {
                self.place = Place::Inside(inside);
                Ok(master)
            }
            Err(error) => {
                inside.kill();
                Err(format!("cannot make a terminal: {error}"))
            }
        }
    }

    /// Before it has entered there is nobody to signal.
    pub(super) fn signal(&self, number: i32) {
        if let Place::Inside(inside) = &self.place {
            // Ended already is as good as signalled.
            drop(pidfd::signal(&inside.process, number));
        }
    }

    /// SIGKILL, wherever it is.
    #[must_use = "a straggler is to be watched"]
    pub(super) fn call_off(&mut self) -> Option<Straggler> {
        match std::mem::replace(&mut self.place, Place::Over) {
            Place::Outside(outside) => {
                drop(pidfd::signal(&outside.child.pidfd, libc::SIGKILL));
                Some(Straggler { container: self.container.clone(), outside })
            }
            Place::Inside(inside) => {
                inside.kill();
                None
            }
            Place::Over => None,
        }
    }
}

impl Outside {
    /// A file in our memory can be read.
    fn born(&self) -> Option<i32> {
        self.register.born().ok().flatten()
    }

    fn is(&self, pid: i32) -> bool {
        self.child.pid == pid || self.born() == Some(pid)
    }
}

impl Inside {
    /// Of a process that is not reaped yet, so that the number of its group is still its own.
    fn kill(&self) {
        kill_unreaped(self.pid);
    }
}

/// SIGKILL to a child that leads a group, or is about to, and to the group. It is not reaped, so that the number is its own.
pub(super) fn kill_unreaped(pid: i32) {
    if let Some(child) = Pid::from_raw(pid) {
        // There is no such group if it ended before it made one of its own.
        let _ = rustix::process::kill_process_group(child, Signal::KILL);
        let _ = rustix::process::kill_process(child, Signal::KILL);
    }
}

/// Whether no more may be begun in a container, where none of the last ones has ended.
pub(super) fn is_stuck(stragglers: &[Straggler], container: &str) -> bool {
    stragglers.iter().filter(|straggler| straggler.container == container).count() >= STRAGGLERS_LIMIT
}

/// A child has ended that is not reaped yet. What a straggler has made ends with it.
pub(super) fn look_at_stragglers(stragglers: &mut Vec<Straggler>, pid: i32) {
    stragglers.retain(|Straggler { outside, .. }| {
        if !outside.is(pid) {
            return true;
        }
        if let Some(born) = outside.born() {
            kill_unreaped(born);
        }
        false
    });
}

fn master(console: &UnixStream) -> io::Result<OwnedFd> {
    console.set_nonblocking(true)?;
    let mut received = scm::receive(console, &mut [0; 1])?;
    received
        .descriptors
        .pop()
        .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no terminal was sent"))
}
