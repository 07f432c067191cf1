//! Does what the state machine says. Each effect is done at once; what it leads to is put down as an `Event`.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;

use oci_spec::runtime::{BoxBuilder, Spec};

use super::event_loop::{Course, Shim};
use super::launch::{self, Instance, Shared};
use super::output::Output;
use super::verdict::Verdict;
use super::wires::{Wires, start_wired};
use super::{birth, end, filter, ground, handler, leave};
use crate::bundle::seccomp::Filter;
use crate::bundle::{self, Ground, oom_score_adj};
use crate::failpoint;
use crate::image::rootfs::HeldLayers;
use crate::logs::reader::Reader;
use crate::logs::write::LogWriter;
use crate::model::pod_plan::Privilege;
use crate::paths::{Places, container_log};
use crate::pod::{Effect, Event};
use crate::rundir::exits::{self, ExitRecord};
use crate::rundir::terminal;
use crate::sandbox::cgroup::Cgroups;
use crate::sandbox::oom;
use crate::sandbox::sys::pidfd;
use crate::volume;

/// A container's run under way.
pub(super) struct Running {
    pub(super) pid: i32,
    process: OwnedFd,
    /// Absent once the program has taken over.
    pub(super) verdict: Option<Verdict>,
    pub(super) output: Output,
    /// The writing end of its input, until that is given away.
    pub(super) stdin: Option<OwnedFd>,
    pub(super) id: String,
    pub(super) ground: Ground,
    /// Of system calls, also for what is executed in the container later.
    pub(super) filter: Option<Rc<Filter>>,
    pub(super) message: PathBuf,
    pub(super) oom_kills_before: u64,
    /// The OOM score of its processes.
    pub(super) score: i32,
    /// Why its process could not become its program.
    pub(super) not_started: Option<String>,
    /// Keeps the image's layers from being removed below a mounted root.
    pub(super) layers: HeldLayers,
}

pub(super) fn execute(shim: &mut Shim, effect: Effect) {
    match effect {
        Effect::MakeSandbox => match ground::make(&shim.at, shim.state.plan()) {
            Ok(sandbox) => {
                let lacks = sandbox.lacks.iter().cloned();
                shim.happened.extend(lacks.map(|what| Event::Lacks { container: None, what }));
                shim.sandbox = Some(sandbox);
                shim.happened.push_back(Event::SandboxReady);
            }
            Err(error) => shim.happened.push_back(Event::SandboxFailed { message: error.to_string() }),
        },
        Effect::Start { container, restart } => start(shim, &container, restart),
        Effect::Signal { container, signal } => {
            if let Some(running) = shim.running.get(&container) {
                // Gone already is as good as signalled: its end is on the way.
                drop(pidfd::signal(&running.process, signal));
                failpoint::pass("container signalled");
            }
        }
        Effect::Kill { container } => {
            if let Some(running) = shim.running.get(&container) {
                // A process that cannot be killed keeps its pod Terminating; the next deadline kills again.
                drop(shim.at.cgroups.kill(&running.ground.cgroup));
                failpoint::pass("container killed");
            }
        }
        Effect::RunHandler { errand, work } => handler::run(shim, errand, &work),
        Effect::EndHandler { errand } => handler::end(shim, &errand),
        Effect::ApplyResources => apply_resources(shim),
        Effect::RefreshVolumes => {
            // What cannot be written keeps its last content meanwhile.
            shim.again.unrefreshed = volume::refresh(shim.state.plan(), &shim.at.pod).is_err();
        }
        Effect::RecordExit { container, restart, exit, again } => {
            end::record(shim, &container, restart, &ExitRecord { exit, again: Some(again) });
        }
        Effect::TearDown => leave::tear_down(shim),
        Effect::Leave => shim.course = Course::Leaves,
    }
}

fn start(shim: &mut Shim, name: &str, restart: u32) {
    let mended = shim.sandbox.as_mut().map(|sandbox| sandbox.mend(&shim.at, shim.state.plan()));
    if let Some(Err(error)) = mended {
        let (container, reason, message) = (name.to_owned(), "CreateContainerError", error.to_string());
        shim.happened.push_back(Event::NotStarted { container, reason, message });
        return;
    }
    match launch(shim, name, restart) {
        Ok((running, unprotected)) => {
            shim.happened.extend(unprotected.into_iter().map(|error| Event::Lacks {
                container: Some(name.to_owned()),
                what: format!("not enforced: {}", super::with_causes(&error)),
            }));
            shim.running.insert(name.to_owned(), running);
        }
        Err((reason, message)) => {
            shim.happened.push_back(Event::NotStarted { container: name.to_owned(), reason, message });
        }
    }
}

/// kubelet's word for why a container was not made, and a message for the pod's author.
type NotStarted = (&'static str, String);

fn launch(shim: &Shim, name: &str, restart: u32) -> Result<(Running, Vec<io::Error>), NotStarted> {
    let config = |error: String| ("CreateContainerConfigError", error);
    let create = |error: String| ("CreateContainerError", error);
    let plan = shim.state.plan();
    let sandbox = shim.sandbox.as_ref().ok_or_else(|| create("the pod's sandbox is gone".to_owned()))?;
    let container = plan.container(name).ok_or_else(|| create(format!("there is no container {name}")))?;
    let id = format!("{name}.{restart}");
    let message = shim.at.pod.message(&id);
    let prepared = ground::prepare(&shim.at, sandbox, plan, container, &message);
    let (ground, layers) = prepared.map_err(|error| match error {
        ground::GroundError::Account(_) => config(error.to_string()),
        _ => create(error.to_string()),
    })?;
    let mut spec =
        bundle::spec(plan, container, &ground).map_err(|error| config(super::with_causes(&error)))?;
    fit_terminal(&mut spec, &shim.at.places);
    let filter =
        filter::of(&shim.at.places, container).map_err(|error| create(super::with_causes(&error)))?;
    let shared = match sandbox.process_namespace().map_err(|error| create(error.to_string()))? {
        Some(namespace) => {
            let loading = birth::loading(plan, container, filter.as_deref()).map_err(create)?;
            Some(Shared { namespace, loading })
        }
        None => None,
    };
    // As long as the `up` lives that the pod belongs to, it may show every line.
    let reader =
        shim.at.lifeline.is_some().then(|| Reader::of(&shim.at.places.reading(), &plan.id.uid, name));
    let log = LogWriter::open(&container_log(&shim.at.places.pod_logs(&plan.id), name, restart), reader);
    let bundle_directory = shim.at.pod.bundle(name);
    let instance = Instance { runtime: &shim.at.pod.runtime(), bundle: &bundle_directory, id: &id };
    let (cgroups, privilege) = (&shim.at.cgroups, container.security.privilege);
    let mut restricted = restrict(cgroups, privilege, &ground);
    let oom_kills_before = shim.at.cgroups.oom_kills(&ground.cgroup).unwrap_or(0);
    let score = oom_score_adj(plan.qos, &container.resources, machine_memory());
    let uid = spec.process().as_ref().map_or(0, |process| process.user().uid());
    // libcontainer waits for the container's first process, which is in its control groups by then: containers beside it
    // that have used up what the pod has would hold up this whole process.
    let lifted = cgroups.lift_pod_quota(&ground.cgroup);
    let (started, lent) = oom::lend(score, || {
        start_wired(shim, container.stdin, uid, log, |wiring, created| {
            let between = |pid| {
                created();
                exits::begin(&shim.at.pod, name, restart)?;
                let placed = cgroups.put_beside(pid, &ground.cgroup);
                let before = std::mem::replace(&mut restricted, Ok(()));
                restricted = before.and(placed).and_then(|()| restrict_further(cgroups, privilege, &ground));
                Ok(())
            };
            launch::start(instance, spec, wiring, filter.clone(), shared, between)
                .map_err(|error| error.to_string())
        })
    });
    drop(lifted);
    // Its end is not reaped before this returns, so the number still stands for the process.
    let opened = started.and_then(|(launched, wires)| match pidfd::open(launched.pid) {
        Ok(process) => Ok((launched, wires, process)),
        Err(error) => Err(format!("cannot hold on to the container's process: {error}")),
    });
    match opened {
        Ok((launched, Wires { output, stdin }, process)) => Ok((
            Running {
                pid: launched.pid,
                process,
                verdict: Some(launched.verdict),
                output,
                stdin,
                id,
                ground,
                filter,
                message,
                oom_kills_before,
                score,
                not_started: None,
                layers,
            },
            restricted.err().into_iter().chain(lent.err()).collect(),
        )),
        Err(error) => {
            // It may run, with nobody to hold on to it.
            drop(shim.at.cgroups.kill(&ground.cgroup));
            end::clear_run(shim, name, &id, &ground.cgroup);
            Err(create(error))
        }
    }
}

/// Before a container is made. A device list is a default, not asked for by anybody: what a kernel lacks for it keeps no
/// container from running.
fn restrict(cgroups: &Cgroups, privilege: Privilege, ground: &Ground) -> io::Result<()> {
    match privilege {
        Privilege::Ordinary | Privilege::NoEscalation if !ground.controllers.devices => {
            cgroups.restrict_devices(&ground.cgroup)
        }
        Privilege::Privileged | Privilege::Ordinary | Privilege::NoEscalation => Ok(()),
    }
}

/// Before its program is started.
fn restrict_further(cgroups: &Cgroups, privilege: Privilege, ground: &Ground) -> io::Result<()> {
    match privilege {
        Privilege::Privileged => Ok(()),
        Privilege::Ordinary | Privilege::NoEscalation => cgroups.refuse_unasked_devices(&ground.cgroup),
    }
}

/// A terminal begins in the size of the caller's that waits for it, if one does.
fn fit_terminal(spec: &mut Spec, places: &Places) {
    // A terminal of the wrong size is better than none.
    let Ok(Some(size)) = terminal::read(places) else { return };
    if let Some(process) = spec.process_mut() {
        let shape = BoxBuilder::default().height(u64::from(size.rows)).width(u64::from(size.columns)).build();
        process.set_console_size(shape.ok());
    }
}

fn machine_memory() -> u64 {
    let info = rustix::system::sysinfo();
    u64::from(info.mem_unit).saturating_mul(info.totalram)
}

/// A limit that the kernel refuses, such as less memory than is in use, leaves the one before it in force and is told.
fn apply_resources(shim: &mut Shim) {
    let plan = shim.state.plan();
    let pod = shim.at.places.pod_cgroup(&plan.id.uid);
    let of_pod = (None, shim.at.cgroups.limit(&pod, &plan.live.resources));
    let of_containers = shim.running.iter().filter_map(|(name, running)| {
        let container = plan.container(name)?;
        Some((Some(name.clone()), shim.at.cgroups.limit(&running.ground.cgroup, &container.resources)))
    });
    let refused: Vec<Event> = std::iter::once(of_pod)
        .chain(of_containers)
        .filter_map(|(container, limited)| {
            let what = format!("resources not changed: {}", super::with_causes(&limited.err()?));
            Some(Event::Lacks { container, what })
        })
        .collect();
    shim.happened.extend(refused);
}
