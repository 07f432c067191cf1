//! The one place that names libcontainer: create and start, from one thread, with an executor of our own.
//!
//! libcontainer clones its caller, and its child goes on running ordinary Rust. So: one thread, an empty
//! environment, no descriptor that is not close-on-exec; and afterwards the caller reaps children it does not know,
//! because a failed create leaves some. SIGPIPE stays ignored as Rust has it: whoever looks on may go at any moment. What
//! is executed gets it back by the executor.
//!
//! It enters a process namespace that others live in before it has the container's root, and so with the host's: it is not told
//! of any. The executor, which has the root, goes there itself.

mod executor;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use oci_spec::runtime::{Capabilities, Capability, Process, Spec};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, WaitOptions};

use self::executor::{Exec, Joining, Place};
use super::birth::Loading;
use super::verdict::Verdict;
use crate::bundle::seccomp::Filter;
use crate::failpoint;
use crate::sandbox::capability;
use crate::sandbox::spawn::Child;
use crate::sandbox::sys::birth::Register;
use crate::sandbox::sys::{keyring, pidfd};

#[derive(Debug, thiserror::Error)]
pub(super) enum LaunchError {
    #[error("cannot {operation}")]
    Prepare { operation: &'static str, source: io::Error },
    #[error("{message}")]
    Runtime { message: String },
}

/// A process whose `execve` is still to come.
#[derive(Debug)]
pub(super) struct Launched {
    pub(super) pid: i32,
    pub(super) verdict: Verdict,
}

/// A process namespace where others live, which a container is to be born into.
pub(super) struct Shared {
    pub(super) namespace: File,
    pub(super) loading: Loading,
}

/// Takes out of a process's capabilities what this machine does not let us hand on, a privileged container's
/// CAP_SYS_RESOURCE in another container for one: asking for more would fail without a word.
pub(super) fn keep_within_bounds(process: &mut Process) -> Result<(), LaunchError> {
    let permitted = capability::permitted()
        .map_err(|source| LaunchError::Prepare { operation: "read the capabilities to hand on", source })?;
    let Some(mut capabilities) = process.capabilities().clone() else { return Ok(()) };
    let within = |set: &Option<Capabilities>| {
        set.as_ref().map(|set| {
            set.iter()
                .filter(|one| permitted.contains(&one.to_string().trim_start_matches("CAP_")))
                .copied()
                .collect()
        })
    };
    let (bounding, allowed, effective) =
        (within(capabilities.bounding()), within(capabilities.permitted()), within(capabilities.effective()));
    capabilities.set_bounding(bounding).set_permitted(allowed).set_effective(effective);
    process.set_capabilities(Some(capabilities));
    Ok(())
}

/// A filter is loaded with CAP_SYS_ADMIN, unless no_new_privs is set, and so is a namespace entered; CAP_SETPCAP is what
/// takes both away again. Those that the process is not to have are put into its sets, and handed back for the executor to
/// remove.
fn lend(process: &mut Process, filter: Option<&Rc<Filter>>, shared: Option<&Shared>) -> Vec<Capability> {
    let needs = shared.is_some() || (filter.is_some() && process.no_new_privileges().is_none());
    let (true, Some(mut capabilities)) = (needs, process.capabilities().clone()) else { return Vec::new() };
    let own = capabilities.bounding().clone().unwrap_or_default();
    let needed = [Capability::SysAdmin, Capability::Setpcap];
    let lent: Vec<Capability> = needed.into_iter().filter(|one| !own.contains(one)).collect();
    let with = |set: &Option<Capabilities>| -> Option<Capabilities> {
        Some(set.iter().flatten().chain(&needed).copied().collect())
    };
    let (bounding, permitted, effective) =
        (with(capabilities.bounding()), with(capabilities.permitted()), with(capabilities.effective()));
    capabilities.set_bounding(bounding).set_permitted(permitted).set_effective(effective);
    process.set_capabilities(Some(capabilities));
    lent
}

/// What a process reads and writes.
#[derive(Debug)]
pub(super) struct Stdio {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// Where libcontainer keeps its state, and the name of one container's run in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instance<'a> {
    pub(super) runtime: &'a Path,
    pub(super) bundle: &'a Path,
    pub(super) id: &'a str,
}

/// Creates a container, calls `between` with the number of its process, and starts it; one that shares a process namespace is born there by that.
pub(super) fn start(
    at: Instance<'_>,
    mut spec: Spec,
    wiring: Wiring,
    filter: Option<Rc<Filter>>,
    shared: Option<Shared>,
    between: impl FnOnce(i32) -> io::Result<()>,
) -> Result<Launched, LaunchError> {
    let broken = |operation| move |source| LaunchError::Prepare { operation, source };
    let lent = match spec.process_mut() {
        Some(process) => {
            keep_within_bounds(process)?;
            lend(process, filter.as_ref(), shared.as_ref())
        }
        None => Vec::new(),
    };
    // libcontainer makes none: without this the container would possess the keys of whoever started droppod.
    keyring::join_new_session().map_err(broken("make a session keyring"))?;
    write_json(&at.bundle.join("config.json"), &spec)?;
    let (verdict, writer) = Verdict::pipe().map_err(broken("make a pipe"))?;
    let place = match shared {
        None => Place::Own,
        Some(Shared { namespace, loading }) => {
            let register = Register::new().map_err(broken("make a register"))?;
            Place::Shared(Rc::new(Joining { namespace, loading, register }))
        }
    };
    let executor = Exec::new(writer, filter, &lent, place.clone());
    let attempt = Diagnosis::listen()?;
    let created = builder(at, executor)
        .map(|builder| wiring.connect(builder).as_init(at.bundle))
        // systemd is asked for unless told otherwise, also where there is none.
        .and_then(|builder| builder.with_systemd(false).with_detach(true).build());
    let mut container = created.map_err(|error| attempt.explain(&error))?;
    let lost = || LaunchError::Runtime { message: "the container has no process".to_owned() };
    let pid = container.pid().ok_or_else(lost)?.as_raw();
    failpoint::reach("container created").map_err(broken("create the container"))?;
    between(pid).map_err(broken("write down that the container starts"))?;
    container.start().map_err(|error| attempt.explain(&error))?;
    let pid = match place {
        Place::Own => pid,
        Place::Shared(joining) => born(pid, &joining.register, &verdict)?,
    };
    failpoint::reach("container started").map_err(broken("start the container"))?;
    Ok(Launched { pid, verdict })
}

/// Waits for the end of the process that libcontainer has made, and says which one it has left.
fn born(parent: i32, register: &Register, verdict: &Verdict) -> Result<i32, LaunchError> {
    let broken = |source| LaunchError::Prepare { operation: "follow the container's process", source };
    let child = Child { pid: parent, pidfd: pidfd::open(parent).map_err(broken)? };
    let in_time = await_end(&child);
    let told = || {
        let word = if in_time {
            "the container's process was killed"
        } else {
            "the container's process does not answer"
        };
        LaunchError::Runtime { message: verdict.failure().unwrap_or_else(|| word.to_owned()) }
    };
    register.born().map_err(broken)?.ok_or_else(told)
}

/// Longest wait for the process that libcontainer has made to leave its child.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Whether it has ended by itself, and is reaped. One that has not is killed, and reaped like any stranger.
fn await_end(child: &Child) -> bool {
    let mut ended = [PollFd::new(&child.pidfd, PollFlags::IN)];
    if matches!(poll(&mut ended, Some(&PATIENCE)), Ok(1..)) {
        // How it ended is told by what it left.
        let _ = rustix::process::waitpid(Pid::from_raw(child.pid), WaitOptions::empty());
        return true;
    }
    drop(pidfd::signal(&child.pidfd, libc::SIGKILL));
    false
}

/// How a process is wired.
#[derive(Debug)]
pub(super) enum Wiring {
    Pipes(Stdio),
    /// A listening socket that is sent the terminal's master.
    Console(PathBuf),
}

impl Wiring {
    fn connect(self, builder: ContainerBuilder) -> ContainerBuilder {
        match self {
            Wiring::Pipes(stdio) => {
                builder.with_stdin(stdio.stdin).with_stdout(stdio.stdout).with_stderr(stdio.stderr)
            }
            Wiring::Console(socket) => builder.with_console_socket(Some(socket)),
        }
    }
}

/// Forgets a container that has ended. Its cgroup is ours to remove.
pub(super) fn forget(at: Instance<'_>) -> io::Result<()> {
    crate::publish::remove_tree(&at.runtime.join(at.id))
}

fn builder(
    at: Instance<'_>,
    executor: Exec,
) -> Result<ContainerBuilder, libcontainer::error::LibcontainerError> {
    ContainerBuilder::new(at.id.to_owned(), SyscallType::default())
        .with_executor(executor)
        .with_root_path(at.runtime)
}

fn write_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<(), LaunchError> {
    let write = || {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        crate::publish::publish_json(path, value, crate::publish::Durability::Volatile)
    };
    write().map(drop).map_err(|source| LaunchError::Prepare { operation: "write the bundle", source })
}

/// libcontainer says in its log what its errors leave out. The log is a pipe that is read when something failed.
struct Diagnosis {
    log: File,
    _scope: tracing::subscriber::DefaultGuard,
}

impl Diagnosis {
    fn listen() -> Result<Diagnosis, LaunchError> {
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
            .map_err(|error| LaunchError::Prepare { operation: "make a pipe", source: error.into() })?;
        let subscriber = tracing_subscriber::fmt()
            .with_writer(std::sync::Mutex::new(File::from(writer)))
            .with_max_level(tracing::Level::ERROR)
            .with_ansi(false)
            .with_target(false)
            .with_level(false)
            .without_time()
            .log_internal_errors(false)
            .finish();
        Ok(Diagnosis { log: reader.into(), _scope: tracing::subscriber::set_default(subscriber) })
    }

    fn explain(&self, error: &dyn std::error::Error) -> LaunchError {
        let mut log = Vec::new();
        // The pipe does not block: what is there is what there is.
        drop((&self.log).take(64 * 1024).read_to_end(&mut log));
        let log = String::from_utf8_lossy(&log);
        let outer = super::with_causes(error);
        // The first complaint is the innermost: the call that failed.
        let message = match log.lines().find(|line| !line.trim().is_empty()) {
            Some(first) if !outer.contains(first) => format!("{outer}: {}", first.trim()),
            Some(_) | None => outer,
        };
        LaunchError::Runtime { message }
    }
}
