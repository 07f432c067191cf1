//! Whoever watches holds on to the first process of each container that it sees run: the kernel then keeps how that ended,
//! for the case that the pod process dies before it can say so.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use crate::model::id::{PodId, Uid};
use crate::model::observed::PodObservation;
use crate::model::record::{ContainerState, Exit, PodRecord};
use crate::model::time::{Now, Timestamp};
use crate::paths::Places;
use crate::rundir::exits::{self, ExitRecord};
use crate::sandbox::cgroup::Cgroups;
use crate::sandbox::sys::pidfd;

use super::ActError;

#[derive(Debug)]
pub(crate) struct Witness {
    held: BTreeMap<Uid, Vec<Held>>,
    /// Descriptors that it may have open: the watcher itself needs some, too.
    most: usize,
}

/// A container that was seen running.
#[derive(Debug)]
struct Held {
    container: String,
    run: u32,
    since: Timestamp,
    pid: i32,
    process: OwnedFd,
}

impl Witness {
    /// `None` where the kernel would not answer.
    pub(crate) fn new() -> Option<Witness> {
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let most = most.map_or(usize::MAX, |most| usize::try_from(most / 4).unwrap_or(usize::MAX));
        pidfd::can_ask().then(|| Witness { held: BTreeMap::new(), most })
    }

    /// Takes hold of what runs, and lets go of what is through.
    pub(super) fn follow(
        &mut self,
        places: &Places,
        cgroups: &Cgroups,
        pods: &BTreeMap<Uid, PodObservation>,
    ) {
        self.held.retain(|uid, _| pods.contains_key(uid));
        let mut open: usize = self.held.values().map(Vec::len).sum();
        for (uid, pod) in pods {
            let Some(record) = &pod.record else { continue };
            if let Some(held) = self.held.get_mut(uid) {
                let before = held.len();
                held.retain(|held| running(record).any(|run| held.is(run.container, run.number)));
                open -= before - held.len();
            }
            for run in running(record) {
                let known = self.held.get(uid).into_iter().flatten();
                if open >= self.most || known.clone().any(|held| held.is(run.container, run.number)) {
                    continue;
                }
                let cgroup = places.pod_cgroup(uid).join(run.container);
                let Some(process) = hold(run.pid, || cgroups.is_in(&cgroup, run.pid)) else { continue };
                let Run { container, number, pid, since } = run;
                let held = Held { container: container.to_owned(), run: number, since, pid, process };
                self.held.entry(uid.clone()).or_default().push(held);
                open += 1;
            }
        }
    }

    /// Writes down how containers ended whose pod process is gone and did not do it. One that was killed was so because of
    /// that death, or for its memory, or by somebody: that is not known, and not told.
    pub(super) fn testify(&mut self, places: &Places, pod: &PodId, now: Now) -> Result<(), ActError> {
        for held in self.held.remove(&pod.uid).into_iter().flatten() {
            let Some(pidfd::End { code, signal }) = pidfd::end(&held.process, held.pid) else { continue };
            if signal == Some(libc::SIGKILL) {
                continue;
            }
            let exit = Exit {
                code,
                signal,
                reason: if code == 0 { "Completed" } else { "Error" }.to_owned(),
                message: String::new(),
                started_at: Some(held.since),
                finished_at: now.wall,
            };
            let record = ExitRecord { exit, again: None };
            match exits::write(&places.pod(&pod.uid), &held.container, held.run, &record) {
                // The pod process has come to write it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                written => written.map_err(ActError::pod("record the end of a container", pod))?,
            }
        }
        Ok(())
    }
}

impl Held {
    fn is(&self, container: &str, run: u32) -> bool {
        self.container == container && self.run == run
    }
}

#[derive(Debug, Clone, Copy)]
struct Run<'r> {
    container: &'r str,
    number: u32,
    pid: i32,
    since: Timestamp,
}

fn running(record: &PodRecord) -> impl Iterator<Item = Run<'_>> {
    record.containers.iter().filter_map(|container| match container.state {
        ContainerState::Running { pid, since } => {
            Some(Run { container: &container.name, number: container.restart_count, pid, since })
        }
        ContainerState::Waiting { .. } | ContainerState::Terminated(_) => None,
    })
}

/// The number may be another process's by now; the look comes after the descriptor, so that it is of the same one.
fn hold(pid: i32, is_it: impl FnOnce() -> bool) -> Option<OwnedFd> {
    pidfd::open(pid).ok().filter(|_| is_it())
}
