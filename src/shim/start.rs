//! The start list: what a pod process does before it does anything for its pod.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use rustix::fs::inotify;

use super::ShimError;
use crate::paths::{Places, PodDir};
use crate::rundir::goal::{self, Goal};
use crate::rundir::lock::Lock;
use crate::sandbox::cgroup::Cgroups;
use crate::sandbox::namespace::HostNamespaces;
use crate::sandbox::spawn::{LIFELINE_FD, LOCK_FD};
use crate::sandbox::sys::{descriptor, prctl, signal};

/// A pod process that has left its caller behind and listens, and has made nothing of its pod yet.
pub(super) struct Started {
    pub(super) pod: PodDir,
    pub(super) goal: Goal,
    pub(super) places: Places,
    pub(super) cgroups: Cgroups,
    pub(super) host: HostNamespaces,
    pub(super) signals: signal::SignalFd,
    pub(super) control: UnixListener,
    /// Tells that `goal.json` was replaced.
    pub(super) goal_watch: OwnedFd,
    /// Ends with the `up` that this pod belongs to.
    pub(super) lifeline: Option<File>,
    /// Says that this process lives, for as long as it does.
    pub(super) _lock: Lock,
}

pub(super) fn start(pod: PodDir) -> Result<Started, ShimError> {
    let failed = |operation| move |source: io::Error| ShimError::Start { operation, source };
    let lock = descriptor::inherited(LOCK_FD).ok_or_else(|| ShimError::NoLock(pod.0.clone()))?;
    let lifeline = descriptor::inherited(LIFELINE_FD).map(File::from);
    let goal =
        goal::read(&pod).map_err(failed("read the goal"))?.ok_or_else(|| ShimError::NoGoal(pod.0.clone()))?;
    // Before anything is cloned that could outlive this process with it.
    let lock = Lock::take_over(File::from(lock)).map_err(failed("take over the lock"))?;
    let places = goal.places.places();
    let cgroups = Cgroups::probe().map_err(failed("find the control groups"))?;
    cgroups.join(&places.shim_cgroup()).map_err(failed("leave the caller's control group"))?;
    prctl::become_subreaper().map_err(failed("become a subreaper"))?;
    signal::default_sigpipe();
    let signals = signal::SignalFd::block(&[libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP])
        .map_err(failed("listen for signals"))?;
    let host = HostNamespaces::keep().map_err(failed("keep the host's namespaces"))?;
    let goal_watch = watch(&pod).map_err(failed("watch for a changed goal"))?;
    let control = listen(&pod).map_err(failed("listen on the control socket"))?;
    Ok(Started { pod, goal, places, cgroups, host, signals, control, goal_watch, lifeline, _lock: lock })
}

fn watch(pod: &PodDir) -> io::Result<OwnedFd> {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(&watch, &pod.0, inotify::WatchFlags::MOVED_TO)?;
    Ok(watch)
}

fn listen(pod: &PodDir) -> io::Result<UnixListener> {
    let path = pod.socket();
    // A pod process that died here before has left its socket.
    crate::publish::remove(&path)?;
    let listener = UnixListener::bind(&path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Whether one of the directory's events is of `goal.json`; all pending events are taken.
pub(super) fn goal_was_replaced(watch: &OwnedFd) -> bool {
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(watch, &mut buffer);
    let mut replaced = false;
    // The descriptor does not block: the loop ends when nothing is pending.
    while let Ok(event) = reader.next() {
        let overflow = event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW);
        replaced |= overflow
            || event
                .file_name()
                .is_some_and(|name| OsStr::new(name.to_str().unwrap_or_default()) == OsStr::new("goal.json"));
    }
    replaced
}
