//! Does what the state machine says. Each effect is done at once; what it leads to is put down as an `Event`.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use oci_spec::runtime::{BoxBuilder, Spec};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use super::audience::Expected;
use super::console::Console;
use super::event_loop::{Course, Owed, Shim};
use super::launch::{self, Instance, Launched, Shared, Stdio, Wiring};
use super::output::Output;
use super::verdict::Verdict;
use super::{ShimError, birth, end, filter, ground, handler};
use crate::bundle::seccomp::Filter;
use crate::bundle::{self, Ground, oom_score_adj};
use crate::image::rootfs::HeldLayers;
use crate::logs::reader::Reader;
use crate::logs::write::LogWriter;
use crate::model::observed::{Finished, Interrupted};
use crate::model::pod_plan::{Privilege, Stdin};
use crate::model::record::Outcome;
use crate::paths::{Places, container_log};
use crate::pod::{Effect, Event};
use crate::rundir::{objects, pods, terminal};
use crate::sandbox::instance::up;
use crate::sandbox::oom;
use crate::sandbox::sys::{clock, pidfd};
use crate::volume;

/// Between two tries of what must not be left undone.
const TRY_AGAIN: Duration = Duration::from_secs(1);

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
    _layers: HeldLayers,
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
            }
        }
        Effect::Kill { container } => {
            if let Some(running) = shim.running.get(&container) {
                // A process that cannot be killed keeps its pod Terminating; the next deadline kills again.
                drop(shim.at.cgroups.kill(&running.ground.cgroup));
            }
        }
        Effect::RunHandler { errand, work } => handler::run(shim, errand, &work),
        Effect::EndHandler { errand } => handler::end(shim, &errand),
        Effect::ApplyResources => apply_resources(shim),
        Effect::RefreshVolumes => {
            // What cannot be written keeps its last content; the next change tries again.
            drop(volume::refresh(shim.state.plan(), &shim.at.pod));
        }
        Effect::RecordExit { container, restart, exit } => end::record(shim, &container, restart, &exit),
        Effect::TearDown => tear_down(shim),
        Effect::Leave => leave(shim),
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
    // A device list is a default, not asked for by anybody: what a kernel lacks for it keeps no container from running.
    let mut restricted = match (container.security.privilege, ground.controllers.devices) {
        (Privilege::Privileged, _) | (_, true) => Ok(()),
        (Privilege::Ordinary | Privilege::NoEscalation, false) => {
            shim.at.cgroups.restrict_devices(&ground.cgroup)
        }
    };
    let restrict_further = || match container.security.privilege {
        Privilege::Privileged => {}
        Privilege::Ordinary | Privilege::NoEscalation if restricted.is_ok() => {
            restricted = shim.at.cgroups.refuse_unasked_devices(&ground.cgroup);
        }
        Privilege::Ordinary | Privilege::NoEscalation => {}
    };
    let oom_kills_before = shim.at.cgroups.oom_kills(&ground.cgroup).unwrap_or(0);
    let score = oom_score_adj(plan.qos, &container.resources, machine_memory());
    let (started, lent) = oom::lend(score, || {
        start_wired(shim, container.stdin, log, |wiring| {
            launch::start(instance, spec, wiring, filter.clone(), shared, restrict_further)
                .map_err(|error| error.to_string())
        })
    });
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
                _layers: layers,
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

/// A run's output, which is read from its start on, and the writing end of its input.
struct Wires {
    output: Output,
    stdin: Option<OwnedFd>,
}

/// Starts a container on pipes or on a terminal.
fn start_wired(
    shim: &Shim,
    stdin: Stdin,
    log: LogWriter,
    start: impl FnOnce(Wiring) -> Result<Launched, String>,
) -> Result<(Launched, Wires), String> {
    let (wiring, wires) = match stdin {
        Stdin::Closed => on_pipes(log, null().map_err(unwired)?, None, Expected::No)?,
        Stdin::Pipe | Stdin::PipeOnce => {
            let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| unwired(error.into()))?;
            on_pipes(log, theirs, Some(ours), Expected::Yes)?
        }
        Stdin::Terminal => {
            let console = Console::listen(&shim.at.pod).map_err(unwired)?;
            let launched = start(Wiring::Console(console.path.clone()))?;
            let output = console.master().and_then(|master| Output::of_terminal(master, log));
            // Without its terminal the program's first look at it ends it.
            return Ok((launched, Wires { output: output.map_err(unwired)?, stdin: None }));
        }
    };
    Ok((start(wiring)?, wires))
}

fn on_pipes(
    log: LogWriter,
    stdin: OwnedFd,
    ours: Option<OwnedFd>,
    expected: Expected,
) -> Result<(Wiring, Wires), String> {
    let (output, writers) = Output::new(log, expected).map_err(unwired)?;
    let stdio = Stdio { stdin, stdout: writers.stdout, stderr: writers.stderr };
    Ok((Wiring::Pipes(stdio), Wires { output, stdin: ours }))
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where errors are mapped")]
fn unwired(error: io::Error) -> String {
    format!("cannot connect the container's streams: {error}")
}

fn null() -> std::io::Result<OwnedFd> {
    Ok(File::open("/dev/null")?.into())
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

fn tear_down(shim: &mut Shim) {
    shim.sandbox = None;
    match ground::tear_down(&shim.at, shim.state.plan()) {
        Ok(()) => shim.happened.push_back(Event::ToreDown),
        Err(error) => owe(shim, Effect::TearDown, &error),
    }
}

fn leave(shim: &mut Shim) {
    match try_leave(shim) {
        Ok(()) => shim.course = Course::Left,
        Err(error) => owe(shim, Effect::Leave, &error),
    }
}

/// What fails is tried again, however long it takes, and said once for as long as it fails in one way.
fn owe(shim: &mut Shim, effect: Effect, error: &dyn std::error::Error) {
    let why = format!("pod {}: {}", shim.state.plan().id, super::with_causes(error));
    if shim.said.as_ref() != Some(&why) {
        super::say(&why);
        shim.said = Some(why);
    }
    shim.owed = Some(Owed { effect, at: clock::boot() + TRY_AGAIN });
}

/// Nothing is ever written to the pipe of an `up`: readable means that its other end is gone.
fn has_ended(lifeline: Option<&File>) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    lifeline.is_some_and(|pipe| matches!(poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&now)), Ok(1..)))
}

/// The pod has ended: its end is on disc before anybody can react to it, then its directory goes. The lock is held
/// until this process is gone: whoever sees the directory without it knows that the process died.
fn try_leave(shim: &Shim) -> Result<(), ShimError> {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let record = shim.state.record(pid);
    let places = &shim.at.places;
    let uid = &record.id.uid.clone();
    let failed = |operation| move |source| ShimError::Loop { operation, source };
    match record.outcome.clone() {
        Some(outcome @ (Outcome::Succeeded | Outcome::Failed { .. })) => {
            objects::finish(places, uid, &Finished { outcome, record })
                .map_err(failed("record the pod's end"))?;
        }
        Some(Outcome::Interrupted) => {
            // Only told to those who look: it must not keep the pod from leaving.
            let interrupted = Interrupted { at: clock::wall(), record: Some(record) };
            drop(objects::interrupt(places, uid, &interrupted));
        }
        Some(outcome @ Outcome::Deleted) => {
            // The same: who deletes a pod is not to wait for a disc.
            drop(objects::depart(places, uid, &Finished { outcome, record }));
        }
        None => {}
    }
    pods::leave(&shim.at.pod).map_err(failed("remove the pod's directory"))?;
    // Also if the command went just now: until a moment ago this pod was seen to live, and was left to clear up.
    if shim.orphaned || has_ended(shim.at.lifeline.as_ref()) {
        up::retire_orphaned(places).map_err(failed("clear up after the command that is gone"))?;
    }
    Ok(())
}
