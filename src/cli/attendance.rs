//! Whether somebody acts on what changes in a folder.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::paths::Places;
use crate::rundir::{lock, watcher};
use crate::sandbox::sys::pidfd;

use super::exit::Exit;
use super::failure::Failure;
use super::settings::canonical;
use super::tell;

/// Who holds the lock of an instance, in words that end in the number of its process; `None` if nobody does.
pub(crate) fn holder(places: &Places) -> Option<String> {
    // A lock that cannot be looked at (another user's) is not ours to judge: say that somebody has it.
    let held = lock::is_held(&places.lock()).unwrap_or(true);
    held.then(|| lock::holder(&places.lock()))
}

/// Ends who holds the lock, as SIGTERM ends a watcher, and waits until it has gone.
pub(super) fn end(places: &Places, holder: &str, timeout: Option<Duration>) -> Result<(), Failure> {
    let cannot = || Failure::new(Exit::Locked, "the watcher cannot be ended here");
    let pid = holder.rsplit_once(' ').and_then(|(_, pid)| pid.parse().ok());
    let pid: i32 = pid.ok_or_else(|| cannot().because(format!("the lock is held by {holder}")))?;
    let process = match pidfd::open(pid) {
        Ok(process) => process,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(cannot().because(error)),
    };
    // Looked at once it is held on to: the number may have become another's before.
    if !has_open(pid, &places.lock()) {
        return Err(cannot().because(format!("process {pid} does not hold {}", places.lock().display())));
    }
    pidfd::signal(&process, libc::SIGTERM).map_err(|error| cannot().because(error))?;
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    // A descriptor of a process is ready once that has ended, and the lock has ended with it.
    match poll(&mut [PollFd::new(&process, PollFlags::IN)], timeout.as_ref()) {
        Ok(0) => Err(Failure::new(Exit::TimedOut, format!("still there: {holder}"))),
        Ok(_) => Ok(()),
        Err(error) => Err(cannot().because(io::Error::from(error))),
    }
}

fn has_open(pid: i32, path: &Path) -> bool {
    let Ok(wanted) = std::fs::metadata(path) else { return false };
    let is_it = |fd: PathBuf| {
        std::fs::metadata(fd).is_ok_and(|is| (is.dev(), is.ino()) == (wanted.dev(), wanted.ino()))
    };
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    open.map(|entry| entry.path()).any(is_it)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Watched {
    Yes,
    No,
    /// The instance has a watcher, but that one has these folders.
    Elsewhere(Vec<PathBuf>),
}

/// What comes of nobody watching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    /// Nothing is started or stopped.
    Nothing,
    /// Pods are stopped, and nothing is started in their place.
    Stopped,
}

/// Judged by the folder: a watcher of the same instance may have other folders, and one of another instance this one.
pub(crate) fn of(places: &Places, folder: &Path) -> Watched {
    let real = |path: &Path| canonical(path).unwrap_or_else(|_| path.to_owned());
    let is_in = |watched: &PathBuf| folder.starts_with(watched) || real(folder).starts_with(real(watched));
    // A folder that cannot be looked at is somebody else's, who may well watch it; this one cannot tell.
    if lock::is_directory_held(&real(folder)).unwrap_or(false) {
        return Watched::Yes;
    }
    if holder(places).is_none() {
        return Watched::No;
    }
    match watcher::read(places) {
        Ok(Some(watcher)) if !watcher.folders.iter().any(is_in) => Watched::Elsewhere(watcher.folders),
        // Without its record nothing speaks against the watcher that is there.
        Ok(_) | Err(_) => Watched::Yes,
    }
}

/// Says on stderr if nobody watches the folder, with the command that starts somebody.
pub(crate) fn look(places: &Places, folder: &Path, meanwhile: Meanwhile) -> Watched {
    let watched = of(places, folder);
    let note = match (&watched, meanwhile) {
        (Watched::Yes, _) => return watched,
        (Watched::No | Watched::Elsewhere(_), Meanwhile::Nothing) => {
            "nothing is started or stopped until one does"
        }
        (Watched::No | Watched::Elsewhere(_), Meanwhile::Stopped) => "pods are stopped without one",
    };
    tell(&format!("note: no watcher runs on {}, {note}:\n  {}", folder.display(), command(&watched, folder)));
    watched
}

/// What starts a watcher on the folder. One directs an instance, so one that has other folders is to be given this
/// one too.
pub(crate) fn command(watched: &Watched, folder: &Path) -> String {
    let mut words = vec!["droppod watch".to_owned()];
    if let Watched::Elsewhere(folders) = watched {
        words.extend(folders.iter().map(|folder| folder.display().to_string()));
    }
    words.push(folder.display().to_string());
    let command = words.join(" ");
    if let Watched::Elsewhere(_) = watched {
        format!("{command}  (in place of the one that runs)")
    } else {
        command
    }
}
