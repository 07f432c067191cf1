//! The end of a container's run: what is heard of it, what it leaves, what is written down.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::event_loop::Shim;
use super::execute::Running;
use super::launch::{self, Instance};
use super::{ground, handler, say, session};
use crate::failpoint;
use crate::image::rootfs::HeldLayers;
use crate::logs::write::LogWriter;
use crate::model::pod_plan::MessagePolicy;
use crate::pod::{Event, RawEnd};
use crate::rundir::exits::{self, ExitRecord};
use crate::sandbox::sys::clock;
use crate::sandbox::sys::reap::Reaped;

/// Bytes of a termination message, as the kubelet limits it.
const MESSAGE_LIMIT: u64 = 4096;

/// What a run that has ended leaves, until its end is on record.
pub(super) struct Remains {
    id: String,
    cgroup: PathBuf,
    _layers: HeldLayers,
}

/// The pipe of a process on its way to its program has something to tell, or has ended.
pub(super) fn hear_verdict(shim: &mut Shim, name: &str) {
    let Some(running) = shim.running.get_mut(name) else { return };
    let Some(verdict) = running.verdict.take() else { return };
    running.not_started = verdict.failure();
    if running.not_started.is_none() {
        let pid = running.pid;
        shim.happened.push_back(Event::Started { container: name.to_owned(), pid });
    }
}

/// A container's first process is gone, and with it, in a pid namespace of its own, all others.
pub(super) fn of_run(shim: &mut Shim, name: &str, ended: &Reaped) {
    hear_verdict(shim, name);
    let Some(running) = shim.running.remove(name) else { return };
    failpoint::pass("exit seen");
    handler::end_all_of(shim, name);
    session::end_all_of(shim, name);
    // In a shared pid namespace its other processes live on until they are killed.
    drop(shim.at.cgroups.kill(&running.ground.cgroup));
    let (log, farewell) = running.output.finish(ended.code, clock::now());
    shim.farewells.extend(farewell);
    tell_of_loss(shim, name, &log);
    let oom_kills = shim.at.cgroups.oom_kills(&running.ground.cgroup).unwrap_or(0);
    let policy = shim.state.plan().container(name).map(|container| container.termination_message.policy);
    let last_word = termination_message(&running.message, policy, ended.code, &log);
    let event = match running.not_started {
        Some(message) => {
            Event::NotStarted { container: name.to_owned(), reason: "RunContainerError", message }
        }
        None => {
            let end = RawEnd {
                code: ended.code,
                signal: ended.signal,
                oom_killed: oom_kills > running.oom_kills_before,
                message: last_word,
            };
            Event::Exited { container: name.to_owned(), end }
        }
    };
    shim.happened.push_back(event);
    let Running { id, ground, layers, .. } = running;
    shim.remains.insert(name.to_owned(), Remains { id, cgroup: ground.cgroup, _layers: layers });
}

/// What no later line of the log can tell.
fn tell_of_loss(shim: &Shim, container: &str, log: &LogWriter) {
    if log.lost() > 0 {
        let (id, lines) = (&shim.state.plan().id, log.lost());
        say(&format!("pod {id}: {lines} lines of container {container} lost, the log could not be written"));
    }
}

/// Removes what a run leaves: cgroup, libcontainer's state, mounts, the file of its last word.
pub(super) fn clear_run(shim: &Shim, name: &str, id: &str, cgroup: &Path) {
    // What cannot be removed now is removed with the pod.
    drop(shim.at.cgroups.remove(cgroup));
    let bundle = shim.at.pod.bundle(name);
    drop(launch::forget(Instance { runtime: &shim.at.pod.runtime(), bundle: &bundle, id }));
    failpoint::pass("container deleted");
    drop(crate::publish::remove(&shim.at.pod.message(id)));
    if let Some(container) = shim.state.plan().container(name) {
        ground::release(&shim.at, container);
    }
}

/// <https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/>
fn termination_message(file: &Path, policy: Option<MessagePolicy>, code: i32, log: &LogWriter) -> String {
    let mut message = Vec::new();
    if let Ok(file) = File::open(file) {
        // No message is the usual case, and an unreadable one is no message.
        drop(file.take(MESSAGE_LIMIT).read_to_end(&mut message));
    }
    match policy {
        Some(MessagePolicy::FallbackToLogsOnError) if message.is_empty() && code != 0 => log.tail(),
        Some(MessagePolicy::FallbackToLogsOnError | MessagePolicy::File) | None => {
            String::from_utf8_lossy(&message).into_owned()
        }
    }
}

/// The end is on record before what is left of the run is removed.
pub(super) fn record(shim: &mut Shim, container: &str, restart: u32, record: &ExitRecord) {
    let pod = shim.at.pod.clone();
    let mut written = exits::write(&pod, container, restart, record);
    if let Some(remains) = shim.remains.remove(container) {
        clear_run(shim, container, &remains.id, &remains.cgroup);
    }
    let is_there = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists;
    if written.as_ref().is_err_and(|error| !is_there(error)) {
        // There may be room by now.
        written = exits::write(&pod, container, restart, record);
    }
    match written {
        Ok(()) => {}
        // Whoever watches has written it.
        Err(error) if is_there(&error) => {}
        Err(error) => {
            let id = &shim.state.plan().id;
            say(&format!("pod {id}: cannot record the end of container {container}: {error}"));
        }
    }
}
