//! The last code before the container's own: what confines it is looked at once more, signals go back to their
//! defaults, it is to die with the pod process, its system calls are filtered; then `execve` without a fallback to a
//! shell. Runs in the container's namespaces with its user and capabilities; where the process namespace is that of others,
//! outside of it, and ends with the birth of a process in it (`birth.rs`).

use std::collections::HashMap;
use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;

use libcontainer::workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError};
use oci_spec::runtime::{Capability, Process, Spec};
use rustix::thread::{CapabilitySet, LinkNameSpaceType, move_into_link_name_space};

use crate::bundle::seccomp::Filter;
use crate::sandbox::capability;
use crate::sandbox::sys::birth::{NOT_STARTED, Register};
use crate::sandbox::sys::{descriptor, execve, prctl, pty, seccomp, signal};
use crate::shim::birth::{Entrant, Loading, c_strings};
use crate::shim::{console, verify};

/// libcontainer's clones carry this into the new process. There the writing end of the verdict is closed by the
/// program taking over; here, when the last copy is dropped.
#[derive(Debug, Clone)]
pub(super) struct Exec {
    verdict: Rc<OwnedFd>,
    filter: Option<Rc<Filter>>,
    /// Capabilities that the process has only until its filter is loaded.
    lent: CapabilitySet,
    place: Place,
}

/// Where the program is to run.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// In a process namespace that is its own, or the host's.
    Own,
    /// In one where others live.
    Shared(Rc<Joining>),
}

#[derive(Debug)]
pub(super) struct Joining {
    pub(super) namespace: File,
    pub(super) loading: Loading,
    /// Of the process that is born there.
    pub(super) register: Register,
}

impl Exec {
    pub(super) fn new(
        verdict: OwnedFd,
        filter: Option<Rc<Filter>>,
        lent: &[Capability],
        place: Place,
    ) -> Exec {
        Exec { verdict: Rc::new(verdict), filter, lent: verify::set(lent), place }
    }

    fn become_program(&self, spec: &Spec, process: &Process) -> Result<Infallible, String> {
        console::fit(process);
        capability::renounce(self.lent)
            .map_err(|error| format!("cannot take back capabilities lent to begin with: {error}"))?;
        verify::process(process, self.lent)?;
        verify::kernel_paths(spec)?;
        match &self.place {
            Place::Own => self.execute(process),
            Place::Shared(joining) => self.be_born(process, joining),
        }
    }

    fn execute(&self, process: &Process) -> Result<Infallible, String> {
        let argv: &[String] = process.args().as_deref().unwrap_or_default();
        let env: &[String] = process.env().as_deref().unwrap_or_default();
        let name = argv.first().map_or("", String::as_str);
        let program = Program::find(argv, env).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound if !name.contains('/') => {
                format!("exec: {name:?}: executable file not found in $PATH")
            }
            _ => format!("exec: {name:?}: {error}"),
        })?;
        let ready = prctl::die_with_parent();
        ready.map_err(|error| format!("cannot make the container end with its pod: {error}"))?;
        signal::reset_for_exec();
        if let Some(filter) = &self.filter {
            // What was lent ends with the next call: execve gives no capability outside the bounding set.
            seccomp::load(&filter.program, filter.flags)
                .map_err(|error| format!("cannot load the seccomp filter: {error}"))?;
        }
        let error = execve::execve(&program.path, &program.argv, &program.env);
        Err(format!("exec: {name:?}: {error}"))
    }

    fn be_born(&self, process: &Process, joining: &Joining) -> Result<Infallible, String> {
        if process.terminal() == Some(true) {
            pty::give_up().map_err(|error| format!("cannot hand on the terminal: {error}"))?;
        }
        move_into_link_name_space(joining.namespace.as_fd(), Some(LinkNameSpaceType::ProcessID))
            .map_err(|error| format!("cannot join the pod's process namespace: {error}"))?;
        let entrant = Entrant {
            process,
            lent: self.lent,
            filter: self.filter.as_deref(),
            loading: joining.loading,
            verdict: self.verdict.as_fd(),
            register: &joining.register,
            doors: &[],
        };
        entrant.be_born()
    }
}

impl Executor for Exec {
    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let Some(process) = spec.process() else { return Err(ExecutorError::InvalidArg) };
        // libcontainer waits until its own are closed. Looking for the program and executing it may take for ever, and
        // the pod process must not wait for a container.
        let mut needed = vec![self.verdict.as_fd()];
        if let Place::Shared(joining) = &self.place {
            needed.extend([joining.namespace.as_fd(), joining.register.as_fd()]);
        }
        descriptor::close_all_but(&needed);
        let why = match self.become_program(spec, process) {
            Err(why) => why,
            Ok(never) => match never {},
        };
        // A reason that nobody reads any more is of no use to anybody.
        let _ = rustix::io::write(&*self.verdict, why.as_bytes());
        std::process::exit(NOT_STARTED)
    }

    fn validate(&self, _spec: &Spec) -> Result<(), ExecutorValidationError> {
        // From here on the process waits to be started: it must not outlive a pod process that dies meanwhile.
        // A change of user clears this, so it is asked for again right before the program.
        prctl::die_with_parent()
            .map_err(|error| ExecutorValidationError::ArgValidationError(error.to_string()))
    }

    fn setup_envs(&self, _envs: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        // The environment goes to execve as it stands in the spec, order and doubles included.
        Ok(())
    }
}

/// What `execve` is given.
struct Program {
    path: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Program {
    fn find(argv: &[String], env: &[String]) -> io::Result<Program> {
        let name = argv.first().ok_or(io::ErrorKind::InvalidInput)?;
        let path = env.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or_default();
        let path = if name.contains('/') { CString::new(name.as_bytes())? } else { search(name, path)? };
        Ok(Program { path, argv: c_strings(argv)?, env: c_strings(env)? })
    }
}

/// The first executable file of that name in PATH, as a shell looks for it.
fn search(program: &str, path: &str) -> io::Result<CString> {
    let mut verdict = io::ErrorKind::NotFound;
    for directory in path.split(':') {
        let directory = if directory.is_empty() { "." } else { directory };
        let candidate = Path::new(directory).join(program);
        match std::fs::metadata(&candidate) {
            Ok(is) if is.is_file() && is.permissions().mode() & 0o111 != 0 => {
                return Ok(CString::new(candidate.as_os_str().as_bytes())?);
            }
            Ok(is) if is.is_file() => verdict = io::ErrorKind::PermissionDenied,
            Ok(_) | Err(_) => {}
        }
    }
    Err(verdict.into())
}
