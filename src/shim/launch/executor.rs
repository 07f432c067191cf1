//! The last code before the container's own: signals back to their defaults, death with the pod process, then
//! `execve` without a fallback to a shell. Runs in the container's namespaces with its user and capabilities.

use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;

use libcontainer::workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError};
use oci_spec::runtime::Spec;

use crate::sandbox::sys::{execve, prctl, signal};

/// Exit code of a process whose `execve` failed; the reason is in the pipe.
const NOT_STARTED: i32 = 128;

/// libcontainer's clones carry this into the new process. There the writing end of the verdict is closed by the
/// program taking over; here, when the last copy is dropped.
#[derive(Debug, Clone)]
pub(super) struct Exec {
    verdict: Rc<OwnedFd>,
}

impl Exec {
    pub(super) fn new(verdict: OwnedFd) -> Exec {
        Exec { verdict: Rc::new(verdict) }
    }
}

impl Executor for Exec {
    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let Some(process) = spec.process() else { return Err(ExecutorError::InvalidArg) };
        let argv: &[String] = process.args().as_deref().unwrap_or_default();
        let env: &[String] = process.env().as_deref().unwrap_or_default();
        let why = match become_program(argv, env) {
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && argv.first().is_some_and(|program| !program.contains('/')) =>
            {
                format!("exec: {:?}: executable file not found in $PATH", argv[0])
            }
            Err(error) => {
                let program = argv.first().map_or("", String::as_str);
                format!("exec: {program:?}: {error}")
            }
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

fn become_program(argv: &[String], env: &[String]) -> io::Result<std::convert::Infallible> {
    let program = argv.first().ok_or(io::ErrorKind::InvalidInput)?;
    let path = env.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or_default();
    let argv = c_strings(argv)?;
    let env = c_strings(env)?;
    prctl::die_with_parent()?;
    signal::reset_for_exec();
    if program.contains('/') {
        return Err(execve::execve(&argv[0], &argv, &env));
    }
    let found = search(program, path)?;
    Err(execve::execve(&found, &argv, &env))
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

fn c_strings(texts: &[String]) -> io::Result<Vec<CString>> {
    texts.iter().map(|text| Ok(CString::new(text.as_bytes())?)).collect()
}
