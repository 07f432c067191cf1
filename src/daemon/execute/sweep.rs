//! After a pod process has died: what it left is removed, and the pod's end is recorded if nobody did.

use std::collections::BTreeMap;
use std::fs::File;

use crate::api::{Object, PodSpec};
use crate::model::action::AfterSweep;
use crate::model::id::PodId;
use crate::model::objects::Objects;
use crate::model::observed::{Finished, LOST, lost_exit};
use crate::model::pod_plan::{RestartPolicy, Revision, Role};
use crate::model::record::{
    Conditions, ContainerRecord, ContainerState, Exit, FORMAT, NODE_LOST, Outcome, Past, PodRecord,
    SandboxState, StopReason,
};
use crate::model::time::{Now, Timestamp};
use crate::paths::Places;
use crate::rundir::goal::{self, Goal};
use crate::rundir::{objects, pods};
use crate::sandbox::leftover;

use super::launch::output_file;
use super::{ActError, Hands, children, clear, clear_directory, ends, memory};

impl Hands {
    /// The end is on disc before anything that tells of the pod is removed.
    pub(super) fn sweep(
        &mut self,
        pod: &PodId,
        then: AfterSweep,
        known: &Objects,
        now: Now,
    ) -> Result<(), ActError> {
        let Hands { places, cgroups, witness, .. } = self;
        let words = last_words(places, pod);
        if let Some(words) = &words {
            tracing::warn!(%pod, uid = %pod.uid, output = words, "pod process died");
        }
        leftover::kill(cgroups, places, &pod.uid).map_err(ActError::pod("kill the processes", pod))?;
        if let Some(witness) = witness {
            witness.testify(places, pod, now)?;
        }
        // What it has filled the disc with tells nothing, and may leave no room for its end. A failure comes again below.
        drop(clear_directory(&places.scratch(&pod.uid), pod));
        // What cannot be read of it tells nothing, and must not keep it from being swept.
        let last = pods::read_record(&places.pod(&pod.uid)).ok().flatten();
        let then = match then {
            AfterSweep::StartLater if is_over(places, pod, last.as_ref()) => AfterSweep::RecordLoss,
            AfterSweep::Nothing
            | AfterSweep::RecordLoss
            | AfterSweep::StartAgain
            | AfterSweep::StartLater => then,
        };
        match then {
            AfterSweep::RecordLoss => record_loss(places, pod, known, now)?,
            AfterSweep::Nothing => keep_end(places, pod, now)?,
            AfterSweep::StartAgain | AfterSweep::StartLater => {}
        }
        // Before the records of their ends are removed.
        let past = past(places, pod, last.as_ref(), then, now);
        match then {
            AfterSweep::Nothing | AfterSweep::RecordLoss => {}
            AfterSweep::StartAgain | AfterSweep::StartLater => {
                memory::keep(places, pod, last.as_ref(), past)?
            }
        }
        clear(cgroups, places, pod)?;
        match then {
            AfterSweep::Nothing | AfterSweep::RecordLoss | AfterSweep::StartAgain => Ok(()),
            AfterSweep::StartLater => {
                let words = words.as_deref().unwrap_or(SPEECHLESS);
                memory::note_death(places, pod, last.as_ref(), words, now)
            }
        }
    }
}

/// The state was behind: by what is known now the pod is not to be started again.
fn is_over(places: &Places, pod: &PodId, last: Option<&PodRecord>) -> bool {
    let directory = places.pod(&pod.uid);
    // One that was interrupted runs again, whatever it left as it went.
    let Ok(None) = objects::interrupted_of(places, &pod.uid) else { return false };
    // Without a goal there was no process.
    let Some(Goal { plan, .. }) = goal::read(&directory).ok().flatten() else { return false };
    // What cannot be read may be the end of what is not to run twice.
    ends::are_final(&directory, &plan, last).unwrap_or(plan.restart_policy == RestartPolicy::Never)
}

/// How the runs of each container ended, as its pod goes on under another process. An app that is not to run again stays as
/// it is, as under the kubelet, but for a pod that was told to stop and goes on: that ended all of it.
fn past(
    places: &Places,
    pod: &PodId,
    last: Option<&PodRecord>,
    then: AfterSweep,
    now: Now,
) -> BTreeMap<String, Past> {
    let directory = places.pod(&pod.uid);
    let goal = goal::read(&directory).ok().flatten();
    let is_over = |container: &ContainerRecord| {
        let goal = goal.as_ref().filter(|_| container.role == Role::App && then == AfterSweep::StartLater);
        goal.is_some_and(|goal| matches!(ends::final_end(&directory, &goal.plan, container), Ok(Some(_))))
    };
    let containers = last.into_iter().flat_map(|last| &last.containers);
    let past = containers.filter_map(|container| {
        let ran = container.restart_count;
        let past = match ends::of(&directory, container, now).ok().flatten() {
            Some(end) => Past { runs: ran + 1, last: Some(end), is_over: is_over(container) },
            None if ran > 0 => Past { runs: ran, last: container.last.clone(), is_over: false },
            None => return None,
        };
        Some((container.name.clone(), past))
    });
    past.collect()
}

/// Of a process that was killed.
const SPEECHLESS: &str = "the pod process died without a word";

/// The end of what a pod process wrote, on one line.
fn last_words(places: &Places, pod: &PodId) -> Option<String> {
    let path = output_file(&places.pod(&pod.uid));
    let words = File::open(path).and_then(|mut file| children::tail(&mut file)).unwrap_or_default();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    (!words.is_empty()).then_some(words)
}

/// An end that the pod process published is put on disc if it died before it could do so itself.
fn keep_end(places: &Places, pod: &PodId, now: Now) -> Result<(), ActError> {
    let record = pods::read_record(&places.pod(&pod.uid)).map_err(ActError::pod("read the state", pod))?;
    let Some(record) = record else { return Ok(()) };
    match record.outcome.clone() {
        Some(outcome @ (Outcome::Succeeded | Outcome::Failed { .. })) => {
            finish(places, pod, record, outcome, now)
        }
        Some(outcome @ Outcome::Deleted) => objects::depart(places, &pod.uid, &Finished { outcome, record })
            .map_err(ActError::pod("record the end", pod)),
        Some(Outcome::Interrupted) | None => Ok(()),
    }
}

/// Records how a pod ended whose process died: what the kernel or the process left counts, the rest is unknown.
pub(super) fn record_loss(places: &Places, pod: &PodId, known: &Objects, now: Now) -> Result<(), ActError> {
    let directory = places.pod(&pod.uid);
    let failed = |source| ActError::pod("read the state", pod)(source);
    let mut record = match pods::read_record(&directory).map_err(failed)? {
        Some(record) => record,
        None => {
            let told = goal::read(&directory).map_err(failed)?.map(|goal| goal.plan.revision);
            let mut record = synthetic(pod, known, now.wall);
            record.revision = told.unwrap_or(record.revision);
            record
        }
    };
    for container in &mut record.containers {
        if let Some(end) = ends::of(&directory, container, now).map_err(failed)? {
            container.state = ContainerState::Terminated(end);
            container.ready = false;
        }
    }
    let outcome = outcome(&record);
    finish(places, pod, record, outcome, now)
}

/// Succeeded only where every container's own exit says so; where each of them is known, they say how it failed.
fn outcome(record: &PodRecord) -> Outcome {
    let failed = |reason: &str, message: &str| Outcome::Failed {
        reason: reason.to_owned(),
        message: message.to_owned(),
    };
    if record.stopping.as_ref().is_some_and(|stopping| stopping.why == StopReason::DeadlineExceeded) {
        return failed("DeadlineExceeded", "the pod was active longer than its deadline");
    }
    let ends = |role| {
        record.containers.iter().filter(move |container| container.role == role).map(|container| {
            match &container.state {
                ContainerState::Terminated(exit) => Some(exit),
                ContainerState::Running { .. } | ContainerState::Waiting { .. } => None,
            }
        })
    };
    let own = |exit: &Exit| exit.reason != LOST;
    if ends(Role::Init).flatten().any(|exit| exit.code != 0 && own(exit)) {
        return failed("", "");
    }
    let apps: Option<Vec<&Exit>> = ends(Role::App).collect();
    match apps {
        Some(apps) if apps.is_empty() || !apps.iter().all(|exit| own(exit)) => {}
        Some(apps) if apps.iter().all(|exit| exit.code == 0) => return Outcome::Succeeded,
        Some(_) => return failed("", ""),
        None => {}
    }
    failed(LOST, "the pod process died")
}

/// Records that a restart of the machine ended a pod that is not to be run again.
pub(super) fn lose(places: &Places, pod: &PodId, known: &Objects, now: Now) -> Result<(), ActError> {
    const MESSAGE: &str = "the machine restarted while the pod ran";
    let mut record = synthetic(pod, known, now.wall);
    for container in &mut record.containers {
        let exit = Exit { message: MESSAGE.to_owned(), ..lost_exit(None, now.wall) };
        container.state = ContainerState::Terminated(exit);
    }
    let outcome = Outcome::Failed { reason: NODE_LOST.to_owned(), message: MESSAGE.to_owned() };
    finish(places, pod, record, outcome, now)
}

fn finish(
    places: &Places,
    pod: &PodId,
    mut record: PodRecord,
    outcome: Outcome,
    now: Now,
) -> Result<(), ActError> {
    record.outcome = Some(outcome.clone());
    let mut conditions = record.conditions.take().unwrap_or_else(|| Conditions::unmet(now.wall));
    conditions.follow(&record, now.wall);
    record.conditions = Some(conditions);
    objects::finish(places, &pod.uid, &Finished { outcome, record })
        .map_err(ActError::pod("record the end", pod))
}

/// What can be said of a pod that left no record of itself.
fn synthetic(pod: &PodId, known: &Objects, at: Timestamp) -> PodRecord {
    let spec = known.get(&pod.uid).and_then(|known| match &*known.object {
        Object::Pod(pod) => pod.spec.as_ref(),
        Object::ConfigMap(_)
        | Object::Secret(_)
        | Object::Namespace(_)
        | Object::Job(_)
        | Object::CronJob(_)
        | Object::Unserved { .. } => None,
    });
    PodRecord {
        format: FORMAT,
        binary: env!("CARGO_PKG_VERSION").to_owned(),
        id: pod.clone(),
        revision: Revision { pod: String::new(), live: String::new() },
        shim_pid: 0,
        address: None,
        started_at: known.get(&pod.uid).map_or(at, |known| known.record.created_at),
        sandbox: SandboxState::Failed { message: "the pod process left no record".to_owned() },
        containers: spec.map(containers).unwrap_or_default(),
        stopping: None,
        outcome: None,
        conditions: None,
        events: Vec::new(),
    }
}

fn containers(spec: &PodSpec) -> Vec<ContainerRecord> {
    let init = spec.init_containers.iter().flatten().map(|container| {
        let sidecar = container.restart_policy.as_deref() == Some("Always");
        (container, if sidecar { Role::Sidecar } else { Role::Init })
    });
    init.chain(spec.containers.iter().map(|container| (container, Role::App)))
        .map(|(container, role)| ContainerRecord {
            name: container.name.clone(),
            role,
            image: container.image.clone().unwrap_or_default(),
            image_id: String::new(),
            state: ContainerState::Waiting { reason: "ContainerCreating".to_owned(), message: String::new() },
            last: None,
            restart_count: 0,
            started: false,
            ready: false,
        })
        .collect()
}
