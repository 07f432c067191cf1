//! The last steps of a process on its way into a process namespace where others live already: of what `exec`, probes and
//! hooks run, and of a container of a pod that shares one.
//!
//! ```text
//! among the host's processes, seen by no container          in the container's process namespace
//! namespaces, root, directory, streams, user, bounding
//! set, no_new_privs, cgroups, filter, capabilities  ─clone→  setsid, parent-death signal, terminal, execve
//! ```
//!
//! The container's control groups come late, and the one that limits processor time comes last: from there on each step waits
//! for what the container leaves. Of version 2, where a move costs a hundredth of a second, see `enter/inside.rs`.
//!
//! Whoever has CAP_SYS_PTRACE in a process namespace takes hold of what is in it at any moment: of its root, directory,
//! descriptors and memory through `/proc`, and of its course by `ptrace`. To be non-dumpable keeps off only those who have
//! not. So a process becomes a part of the namespace when there is nothing left to take: it is born with the container's root
//! and directory, with user, capabilities and filter of its program, and with no descriptors but the standard ones and the pipe
//! of the verdict. `exec` brings no memory of the pod process along either, as what enters is a program begun anew; a
//! container that is started is a copy of the pod process, with the pod's plan in its memory until `execve`.
//! Who holds it then may keep it from its program or make it another, as with all that runs in the container, and may write
//! into the verdict, which is shown as a reason.
//!
//! A filter is loaded before the birth if it allows the few calls that come after (`Filter::keeps_from_birth`). One that does
//! not is loaded by the child, which has CAP_SYS_ADMIN for it, right before `execve`; where somebody has CAP_SYS_PTRACE, that
//! is refused.

use std::convert::Infallible;
use std::ffi::CString;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use oci_spec::runtime::Process;
use rustix::process::DumpableBehavior;
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use serde::{Deserialize, Serialize};

use super::verify;
use crate::bundle::Terminal;
use crate::bundle::seccomp::Filter;
use crate::model::pod_plan::{ContainerPlan, PidMode, PodPlan, Privilege};
use crate::sandbox::sys::birth::{Birth, Candidates, Program, Register};
use crate::sandbox::sys::{descriptor, seccomp, signal};

/// When a process gets its filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Loading {
    BeforeBirth,
    AfterBirth,
}

/// Of a process that enters where this container is, or is to be.
///
/// # Errors
/// Why it must not enter, in words for the pod's author.
pub(super) fn loading(
    plan: &PodPlan,
    container: &ContainerPlan,
    filter: Option<&Filter>,
) -> Result<Loading, String> {
    let missing = filter.map(Filter::keeps_from_birth).unwrap_or_default();
    if missing.is_empty() {
        return Ok(Loading::BeforeBirth);
    }
    let traces = |container: &&ContainerPlan| {
        container.security.privilege == Privilege::Privileged
            || container.security.capabilities.iter().any(|capability| capability == "SYS_PTRACE")
    };
    let tracer = match plan.pid {
        PidMode::Container => Some(container).filter(traces),
        PidMode::Pod => plan.all_containers().find(traces),
        // Whoever traces the host's processes has no need of ours.
        PidMode::Host => None,
    };
    match tracer {
        None => Ok(Loading::AfterBirth),
        Some(tracer) => Err(format!(
            "the seccomp profile of container {} does not allow {}: it could be loaded only where container {}, which has \
             CAP_SYS_PTRACE, takes hold of the process before",
            container.name,
            missing.join(", "),
            tracer.name
        )),
    }
}

/// A process that has all of its container but its place in the process namespace, which children of it are to have.
/// Its bounding set is the program's; it is permitted no more than the program and what is lent.
pub(super) struct Entrant<'a> {
    pub(super) process: &'a Process,
    /// CAP_SYS_ADMIN if the filter needs it and the program has it not.
    pub(super) lent: CapabilitySet,
    pub(super) filter: Option<&'a Filter>,
    pub(super) loading: Loading,
    pub(super) verdict: BorrowedFd<'a>,
    pub(super) register: &'a Register,
    /// Of control groups that are not joined yet.
    pub(super) doors: &'a [OwnedFd],
}

/// Joins control groups; see `cgroup::Doors`.
pub(super) fn pass(doors: &[OwnedFd]) -> Result<(), String> {
    for door in doors {
        // 0 is the writer.
        rustix::io::write(door, b"0").map_err(|error| {
            format!("cannot join the container's control groups: {}", io::Error::from(error))
        })?;
    }
    Ok(())
}

impl Entrant<'_> {
    /// Ends this process; its child becomes the program.
    pub(super) fn be_born(&self) -> Result<Infallible, String> {
        let told = |what: &'static str| move |error: io::Error| format!("cannot {what}: {error}");
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(|error| told("keep others from looking into the process")(error.into()))?;
        signal::reset_for_exec();
        let program = program(self.process).map_err(told("make the program's arguments ready"))?;
        let terminal = if self.process.terminal() == Some(true) { Terminal::Yes } else { Terminal::No };
        let late = self.filter.filter(|_| self.loading == Loading::AfterBirth);
        let birth = Birth::prepare(&program, terminal, late, self.verdict, self.register)
            .map_err(told("make the process ready"))?;
        pass(self.doors)?;
        // The doors, the register, which is mapped, and whatever led here: the child would inherit them.
        descriptor::close_all_but(&[self.verdict]);
        let own = self.capabilities();
        let (kept, early) = match (self.filter, self.loading) {
            (Some(filter), Loading::BeforeBirth) => (own, Some(filter)),
            (Some(_), Loading::AfterBirth) if self.process.no_new_privileges() != Some(true) => {
                (own | CapabilitySet::SYS_ADMIN, None)
            }
            (Some(_), Loading::AfterBirth) | (None, _) => (own, None),
        };
        // From here on nothing is handed back to the caller: it owns descriptors that are closed.
        if let Some(filter) = early
            && let Err(error) = seccomp::load(&filter.program, filter.flags)
        {
            birth.end(c"cannot load the seccomp filter: ", error.raw_os_error().unwrap_or_default());
        }
        match set_capabilities(None, only(kept)) {
            Ok(()) => birth.give(),
            Err(error) => birth.end(c"cannot give up capabilities: ", error.raw_os_error()),
        }
    }

    /// What the program is to be permitted. `execve` gives root all of the bounding set and nobody else any, so others are
    /// born without.
    fn capabilities(&self) -> CapabilitySet {
        let permitted = self.process.capabilities().as_ref().and_then(|sets| sets.permitted().as_ref());
        match self.process.user().uid() {
            0 => verify::set(permitted.into_iter().flatten()) - self.lent,
            _ => CapabilitySet::empty(),
        }
    }
}

/// As effective as they are permitted, and handed on to nobody.
pub(super) fn only(permitted: CapabilitySet) -> CapabilitySets {
    CapabilitySets { effective: permitted, permitted, inheritable: CapabilitySet::empty() }
}

fn program(process: &Process) -> io::Result<Program> {
    let argv: &[String] = process.args().as_deref().unwrap_or_default();
    let env: &[String] = process.env().as_deref().unwrap_or_default();
    let name = argv.first().ok_or(io::ErrorKind::InvalidInput)?;
    let says = |what: &str| CString::new(format!("exec: {name:?}: {what}"));
    let (paths, candidates) = if name.contains('/') {
        (vec![CString::new(name.as_str())?], None)
    } else {
        let path = env.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or_default();
        let directories = path.split(':').map(|directory| if directory.is_empty() { "." } else { directory });
        let paths = directories.map(|directory| CString::new(format!("{directory}/{name}")));
        let missing = says("executable file not found in $PATH")?;
        (
            paths.collect::<Result<_, _>>()?,
            Some(Candidates { missing, forbidden: says("permission denied")? }),
        )
    };
    Ok(Program { paths, argv: c_strings(argv)?, env: c_strings(env)?, failed: says("")?, candidates })
}

pub(super) fn c_strings(texts: &[String]) -> io::Result<Vec<CString>> {
    texts.iter().map(|text| Ok(CString::new(text.as_bytes())?)).collect()
}

#[cfg(test)]
mod tests {
    use seccompiler::sock_filter;

    use super::*;
    use crate::model::pod_plan::sample;

    fn pod(pid: PidMode, tracers: &[&str]) -> PodPlan {
        let container = |name: &&str| {
            let mut container = sample::container(name);
            if tracers.contains(name) {
                container.security.capabilities.push("SYS_PTRACE".to_owned());
            }
            container
        };
        PodPlan { pid, containers: ["main", "other"].iter().map(container).collect(), ..sample::pod() }
    }

    #[test]
    fn a_filter_that_must_wait_is_refused_where_somebody_traces() {
        // Answers to every call that it kills.
        let filter = Filter { program: vec![sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 }], flags: 0 };
        let of = |pid, tracers: &[&str], filter: Option<&Filter>| {
            let pod = pod(pid, tracers);
            loading(&pod, pod.container("main").unwrap(), filter)
                .map_err(|why| why.contains("CAP_SYS_PTRACE"))
        };
        for pid in [PidMode::Container, PidMode::Pod, PidMode::Host] {
            assert_eq!(of(pid, &["main", "other"], None), Ok(Loading::BeforeBirth));
            assert_eq!(of(pid, &[], Some(&filter)), Ok(Loading::AfterBirth));
        }
        assert_eq!(of(PidMode::Container, &["main"], Some(&filter)), Err(true));
        assert_eq!(of(PidMode::Container, &["other"], Some(&filter)), Ok(Loading::AfterBirth));
        assert_eq!(of(PidMode::Pod, &["other"], Some(&filter)), Err(true));
    }
}
