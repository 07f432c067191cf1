//! The start list: what a pod process does before it does anything for its pod.

use std::fs::File;
use std::io;
use std::os::unix::net::UnixListener;

use super::ShimError;
use crate::failpoint;
use crate::paths::{Places, PodDir};
use crate::rundir::goal::{self, Goal};
use crate::rundir::lock::Lock;
use crate::sandbox::capability;
use crate::sandbox::cgroup::Cgroups;
use crate::sandbox::namespace::HostNamespaces;
use crate::sandbox::oom;
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
    // An order to stop that is there already is taken by the first look at the goal, like one that comes later.
    let goal = Goal { stop: None, ..goal };
    // Before anything is cloned that could outlive this process with it.
    let lock = Lock::take_over(File::from(lock)).map_err(failed("take over the lock"))?;
    let places = goal.places.places();
    failpoint::arm(&places.state);
    failpoint::reach("lock taken over").map_err(failed("take over the lock"))?;
    let cgroups = Cgroups::probe().map_err(failed("find the control groups"))?;
    cgroups.join(&places.shim_cgroup()).map_err(failed("leave the caller's control group"))?;
    failpoint::reach("caller left").map_err(failed("leave the caller's control group"))?;
    // Where that is refused, it is so for every pod of the machine: its watcher says it once, and `doctor`.
    drop(oom::set_own(oom::OF_POD_PROCESS));
    capability::renounce_nameless().map_err(failed("give up capabilities that have no name here"))?;
    prctl::become_subreaper().map_err(failed("become a subreaper"))?;
    let signals = signal::SignalFd::block(&[libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP])
        .map_err(failed("listen for signals"))?;
    let host = HostNamespaces::keep().map_err(failed("keep the host's namespaces"))?;
    let control = listen(&pod).map_err(failed("listen on the control socket"))?;
    Ok(Started { pod, goal, places, cgroups, host, signals, control, lifeline, _lock: lock })
}

fn listen(pod: &PodDir) -> io::Result<UnixListener> {
    let path = pod.socket();
    // A pod process that died here before has left its socket.
    crate::publish::remove(&path)?;
    let listener = UnixListener::bind(&path)?;
    listener.set_nonblocking(true)?;
    failpoint::reach("control socket bound")?;
    Ok(listener)
}
