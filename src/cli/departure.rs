//! Waiting until pods are gone, and removing what their instance had.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::daemon::aftermath;
use crate::logs::bell::Bell;
use crate::model::id::Uid;
use crate::paths::Places;
use crate::publish::remove_tree;
use crate::rundir::lock;
use crate::sandbox::instance::{self, RunDirectory};
use crate::sandbox::sys::clock;

use super::exit::Exit;
use super::failure::Failure;
use super::records::Shown;
use super::tell;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// No process of the pod lives.
    Stopped,
    /// The object's record is removed as well, which a watcher does.
    Forgotten,
}

/// Says what it waits for if that takes longer than a moment.
pub(crate) fn wait(
    leaving: &[&Shown],
    until: Until,
    timeout: Option<Duration>,
    places: &Places,
) -> Result<Exit, Failure> {
    const MOMENT: Duration = Duration::from_secs(2);
    let start = clock::boot();
    let bell = Bell::hang();
    let mut said = false;
    let mut left = leaving.to_vec();
    loop {
        bell.watch(&places.pods());
        bell.watch(&places.objects());
        let mut still = Vec::new();
        for shown in left {
            bell.watch(&places.pod(shown.uid()).0);
            if is_there(shown.uid(), until, places)? {
                still.push(shown);
            }
        }
        left = still;
        if left.is_empty() {
            return Ok(Exit::Done);
        }
        let waited = clock::boot() - start;
        if timeout.is_some_and(|timeout| waited >= timeout) {
            let help = if left.iter().any(|shown| is_pod(shown)) {
                "`droppod get pods -o wide` shows them; --now or --grace-period shortens their grace"
            } else {
                "the status file beside a manifest says why it is not in force"
            };
            return Err(Failure::new(Exit::TimedOut, format!("still there: {}", names(&left))).help(help));
        }
        if !said && waited >= MOMENT {
            let what = if left.iter().all(|shown| is_pod(shown)) { "stop" } else { "go" };
            tell(&format!("waiting for {} to {what}", names(&left)));
            said = true;
        }
        bell.wait(io::stderr().as_fd(), PollFlags::empty()).map_err(Failure::of_output)?;
    }
}

fn is_pod(shown: &Shown) -> bool {
    shown.known.record.key.kind == "Pod"
}

/// Pods by namespace and name, everything else by its kind, too.
fn names(left: &[&Shown]) -> String {
    let name = |shown: &&Shown| {
        if is_pod(shown) { shown.pod_id().to_string() } else { shown.known.record.key.to_string() }
    };
    left.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Removes the directories of pods that only waited: no process of theirs ever lived.
pub(crate) fn forget_waiting(pods: &[&Shown], places: &Places) -> io::Result<()> {
    for shown in pods {
        let directory = places.pod(shown.uid());
        if !directory.goal().exists() {
            remove_tree(&directory.0)?;
        }
    }
    Ok(())
}

/// Brings the status files of manifests up to date in place of a watcher. They only tell: what stands against it is
/// no failure of what was done.
pub(crate) fn report(places: &Places) {
    if let Err(error) = aftermath::report(places) {
        tell(&format!("warning: status files could not be brought up to date: {error}"));
    }
}

/// Removes what an instance has outside of its state directory. A pod process removes its directory before it
/// leaves, so one may still be on its way out of the instance's cgroup.
pub(crate) fn retire(places: &Places, directory: RunDirectory) -> io::Result<()> {
    const AT_MOST: Duration = Duration::from_secs(5);
    const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
    let start = clock::boot();
    loop {
        match instance::retire(places, directory) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && clock::boot() - start < AT_MOST => {
                match poll(&mut [], Some(&LOOK_AGAIN)) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            retired => return retired,
        }
    }
}

fn is_there(uid: &Uid, until: Until, places: &Places) -> Result<bool, Failure> {
    let lives = lock::is_held(&places.pod(uid).lock()).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot see whether pod {uid} lives")).because(error)
    })?;
    Ok(match until {
        Until::Stopped => lives,
        Until::Forgotten => lives || places.object(uid).object().exists(),
    })
}
