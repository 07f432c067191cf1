//! desired × observed × now → actions. Pure; `droppod diff` prints what it returns.
//!
//! ```text
//!            process alive                    dead, directory left         nothing left
//! Run        Tell, or Stop to make it anew    Sweep, then by the end       Launch, or Lose after a reboot
//! Wait       Tell what it can take over,      Sweep, then by the end       Wait
//!            or Wait, and it runs on as told
//! Gone       Stop                             Sweep                        Forget
//! unwanted   Stop                             Sweep                        —
//! ended      leaves by itself                 Sweep                        — (Forget if Gone)
//! ```
//!
//! A living process that goes by something else than it was told is reminded of that.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::action::{Action, AfterSweep, Plan};
use crate::model::back_off;
use crate::model::desired::{Blocked, Desired, DesiredPod, FAILED_SANDBOX, Waiting, Want};
use crate::model::id::{PodId, Uid};
use crate::model::image::{ImageRef, Origin, PullRequest};
use crate::model::observed::{ImageObservation, Observed, PodObservation, Preload, ProcessObservation, Told};
use crate::model::pod_plan::{PodPlan, RestartPolicy, Role};
use crate::model::record::{ContainerRecord, ContainerState, Deaths, Outcome, PodRecord, StopReason};
use crate::model::time::{Moment, Now};

#[cfg(test)]
mod tests;

/// Pulls under way at once from registries, and as many from discs.
const PULLS: usize = 3;

/// On a pod: run it again though a reboot interrupted it and its policy is `Never`.
const RERUN_INTERRUPTED: &str = "droppod.dev/rerun-interrupted";

/// What is to be done to bring `observed` to `desired`. A settled world gives nothing but `Wait`s, which repeat why
/// a pod is not started.
pub(crate) fn diff(desired: &Desired, observed: &Observed, boot_id: &str, now: Now) -> Plan {
    let wanted = desired.pods.iter().filter_map(|(uid, pod)| for_wanted(uid, pod, observed, boot_id, now));
    let unwanted = observed.pods.iter().filter(|(uid, _)| !desired.pods.contains_key(uid));
    let unwanted = unwanted.filter_map(|(uid, seen)| for_unwanted(uid, seen));
    let mut actions: Vec<Action> = wanted.chain(unwanted).chain(pulls(desired, observed)).collect();
    actions.sort_by_key(turn);
    Plan { actions, wake_at: wake_at(desired, observed, now) }
}

/// What makes room comes before what takes it.
fn turn(action: &Action) -> u8 {
    match action {
        Action::Stop { .. } => 0,
        Action::Sweep { .. } => 1,
        Action::Forget { .. } | Action::Lose { .. } => 2,
        Action::Tell(_) | Action::Remind { .. } => 3,
        Action::Launch(_) => 4,
        Action::Pull(_) => 5,
        Action::Wait { .. } => 6,
    }
}

fn for_wanted(uid: &Uid, pod: &DesiredPod, observed: &Observed, boot_id: &str, now: Now) -> Option<Action> {
    let seen = observed.pod(uid);
    let there = Presence::of(seen);
    let ended = seen.is_some_and(|seen| seen.finished.is_some());
    match (&pod.want, there) {
        (Want::Gone { grace }, Presence::Alive(seen)) => {
            stop_deleted(&pod.id, seen.told.as_ref(), *grace).or_else(|| remind(&pod.id, seen))
        }
        (Want::Gone { .. }, Presence::Remains(_)) => Some(sweep(&pod.id, AfterSweep::Nothing)),
        (Want::Gone { .. }, Presence::Absent) => Some(Action::Forget { pod: pod.id.clone() }),
        // It has recorded its end and leaves.
        (Want::Run(_) | Want::Wait { .. }, Presence::Alive(_)) if ended => None,
        (Want::Run(plan), Presence::Alive(seen)) => {
            for_running(plan, seen.told.as_ref()).or_else(|| remind(&pod.id, seen))
        }
        // It runs on; why it does not change any further is for its events.
        (Want::Wait { why, meanwhile }, Presence::Alive(seen)) => {
            let plan = meanwhile.as_ref().filter(|plan| is_to_be_told(plan, seen.told.as_ref()));
            let tell = plan.map(|plan| Action::Tell(plan.clone()));
            let wait = || Action::Wait { pod: pod.id.clone(), why: why.clone() };
            Some(tell.or_else(|| remind(&pod.id, seen)).unwrap_or_else(wait))
        }
        (Want::Run(_) | Want::Wait { .. }, Presence::Remains(seen)) => {
            Some(sweep(&pod.id, after_sweep(seen, pod.restart_policy)))
        }
        (Want::Run(_) | Want::Wait { .. }, Presence::Absent) if ended => None,
        (Want::Run(plan), Presence::Absent) => for_absent(plan, seen, observed, boot_id, now),
        (Want::Wait { why, .. }, Presence::Absent) => {
            Some(Action::Wait { pod: pod.id.clone(), why: why.clone() })
        }
    }
}

fn for_unwanted(uid: &Uid, seen: &PodObservation) -> Option<Action> {
    let id = PodId { namespace: seen.namespace.clone(), name: seen.name.clone(), uid: uid.clone() };
    match Presence::of(Some(seen)) {
        Presence::Alive(_) if seen.finished.is_some() => None,
        Presence::Alive(seen) => stop_deleted(&id, seen.told.as_ref(), None).or_else(|| remind(&id, seen)),
        Presence::Remains(_) => Some(sweep(&id, AfterSweep::Nothing)),
        Presence::Absent => None,
    }
}

/// What there is of a pod in the run directory.
enum Presence<'a> {
    /// A pod process.
    Alive(&'a PodObservation),
    /// No process, but its directory.
    Remains(&'a PodObservation),
    Absent,
}

impl<'a> Presence<'a> {
    fn of(seen: Option<&'a PodObservation>) -> Self {
        let Some(seen) = seen else { return Presence::Absent };
        match seen.process {
            ProcessObservation::Alive => Presence::Alive(seen),
            ProcessObservation::Dead if seen.told.is_some() || seen.record.is_some() => {
                Presence::Remains(seen)
            }
            ProcessObservation::Dead => Presence::Absent,
        }
    }
}

fn for_running(plan: &PodPlan, told: Option<&Told>) -> Option<Action> {
    if is_to_be_told(plan, told) {
        return Some(Action::Tell(Box::new(plan.clone())));
    }
    let told = told.filter(|told| told.stop.is_none() && told.plan.revision.pod != plan.revision.pod)?;
    stop_deleted(&plan.id, Some(told), None)
}

/// Whether it is another plan that a living pod can take over.
fn is_to_be_told(plan: &PodPlan, told: Option<&Told>) -> bool {
    told.is_none_or(|told| {
        let present = &told.plan.revision;
        told.stop.is_none() && *present != plan.revision && present.pod == plan.revision.pod
    })
}

fn for_absent(
    plan: &PodPlan,
    seen: Option<&PodObservation>,
    observed: &Observed,
    boot_id: &str,
    now: Now,
) -> Option<Action> {
    let lives_on = observed.pods.iter().any(|(uid, other)| {
        let same_name = other.namespace == plan.id.namespace && other.name == plan.id.name;
        same_name && *uid != plan.id.uid && !matches!(Presence::of(Some(other)), Presence::Absent)
    });
    if lives_on {
        return None;
    }
    let launched_in = seen.and_then(|seen| seen.launched_in.as_deref());
    let rebooted = launched_in.is_some_and(|launched_in| launched_in != boot_id);
    let again = plan.live.annotations.get(RERUN_INTERRUPTED).is_some_and(|value| value == "true");
    if rebooted && plan.restart_policy == RestartPolicy::Never && !again {
        return Some(Action::Lose { pod: plan.id.clone() });
    }
    if let Some(deaths) = seen.and_then(|seen| resting(seen, now)) {
        return Some(Action::Wait { pod: plan.id.clone(), why: rest(deaths) });
    }
    Some(Action::Launch(Box::new(plan.clone())))
}

/// The deaths that put a pod's next start off, as long as they do.
fn resting(seen: &PodObservation, now: Now) -> Option<&Deaths> {
    seen.deaths.as_ref().filter(|deaths| now.boot < deaths.retry_at())
}

fn rest(deaths: &Deaths) -> Blocked {
    let length = back_off::in_words(back_off::delay(deaths.count));
    let message = format!("back-off {length} starting the pod again: {}", deaths.words);
    let why = Waiting::passing(FAILED_SANDBOX, message);
    Blocked { containers: BTreeMap::new(), pod: Some(why) }
}

/// An order to interrupt is overruled by one to delete; told twice, a pod hears it once.
fn stop_deleted(pod: &PodId, told: Option<&Told>, grace: Option<u32>) -> Option<Action> {
    match told.and_then(|told| told.stop) {
        Some(StopReason::Deleted) => None,
        Some(StopReason::Interrupted | StopReason::DeadlineExceeded) | None => {
            Some(Action::Stop { pod: pod.clone(), why: StopReason::Deleted, grace })
        }
    }
}

/// For a process that goes by another plan than it was told, or shows no sign of stopping though it was told to. One that
/// has published nothing yet has still to read what it was told; one that stops reads it again by itself.
fn remind(pod: &PodId, seen: &PodObservation) -> Option<Action> {
    let (told, record) = (seen.told.as_ref()?, seen.record.as_ref()?);
    let stops = record.stopping.is_some() || record.outcome.is_some() || is_decided(record);
    let knows = stops || (told.stop.is_none() && record.revision == told.plan.revision);
    (!knows).then(|| Action::Remind { pod: pod.clone() })
}

fn sweep(pod: &PodId, then: AfterSweep) -> Action {
    Action::Sweep { pod: pod.clone(), then }
}

fn after_sweep(seen: &PodObservation, policy: RestartPolicy) -> AfterSweep {
    if seen.finished.is_some() {
        return AfterSweep::Nothing;
    }
    let Some(record) = &seen.record else { return AfterSweep::StartLater };
    match (&record.outcome, record.stopping.as_ref().map(|stopping| stopping.why)) {
        (Some(Outcome::Succeeded | Outcome::Failed { .. }), _) => AfterSweep::Nothing,
        (Some(Outcome::Interrupted | Outcome::Deleted), _)
        | (None, Some(StopReason::Interrupted | StopReason::Deleted)) => AfterSweep::StartAgain,
        (None, Some(StopReason::DeadlineExceeded)) => AfterSweep::RecordLoss,
        (None, None) => match policy {
            // It was about to record its end.
            RestartPolicy::Always | RestartPolicy::OnFailure if is_decided(record) => AfterSweep::RecordLoss,
            RestartPolicy::Always | RestartPolicy::OnFailure => AfterSweep::StartLater,
            RestartPolicy::Never if record.containers.iter().any(has_started) => AfterSweep::RecordLoss,
            // Whoever sweeps looks whether anything has begun meanwhile.
            RestartPolicy::Never => AfterSweep::StartLater,
        },
    }
}

/// A container is terminated only when it will not run again, as long as nothing has told the pod to stop.
fn is_decided(record: &PodRecord) -> bool {
    let ended = |role| {
        record.containers.iter().filter(move |container| container.role == role).map(|container| {
            match &container.state {
                ContainerState::Terminated(exit) => Some(exit.code),
                ContainerState::Running { .. } | ContainerState::Waiting { .. } => None,
            }
        })
    };
    let init_failed = ended(Role::Init).flatten().any(|code| code != 0);
    let mut apps = ended(Role::App).peekable();
    init_failed || (apps.peek().is_some() && apps.all(|code| code.is_some()))
}

fn has_started(container: &ContainerRecord) -> bool {
    match container.state {
        ContainerState::Running { .. } | ContainerState::Terminated(_) => true,
        ContainerState::Waiting { .. } => false,
    }
}

/// Archives come first: an image that is in one need not be pulled. What lies on this machine's own discs waits for no
/// registry.
fn pulls(desired: &Desired, observed: &Observed) -> Vec<Action> {
    let pulling = observed.images.iter().filter(|(_, image)| **image == ImageObservation::Pulling);
    let pulling: BTreeSet<&ImageRef> = pulling.map(|(reference, _)| reference).collect();
    let from = |origin: Origin| pulling.iter().filter(|image| image.origin() == origin).count();
    let loading = observed.preloads.values().filter(|preload| **preload == Preload::UnderWay).count();
    let mut of_registries = PULLS.saturating_sub(from(Origin::Registry));
    let mut of_discs = PULLS.saturating_sub(from(Origin::Disc) + loading);
    let has_room = |request: &PullRequest| {
        let room = match request.origin() {
            Origin::Registry => &mut of_registries,
            Origin::Disc => &mut of_discs,
        };
        let left = room.checked_sub(1);
        *room = left.unwrap_or(0);
        left.is_some()
    };
    let archives = observed.preloads.iter().filter(|(_, preload)| **preload == Preload::Due);
    let archives = archives.map(|(archive, _)| PullRequest::Archive(archive.clone()));
    let images = desired.pulls.iter().filter(|image| !pulling.contains(image));
    let images = images.map(|image| PullRequest::Image(image.clone()));
    archives.chain(images).filter(has_room).map(Action::Pull).collect()
}

/// The next try of a pull, and of a pod whose process died, are what only time brings about.
fn wake_at(desired: &Desired, observed: &Observed, now: Now) -> Option<Moment> {
    let retries = observed.images.values().filter_map(|image| match image {
        ImageObservation::Failed { retry_at, .. } => Some(*retry_at),
        ImageObservation::Present { .. } | ImageObservation::Pulling | ImageObservation::Preloading => None,
    });
    let wanted = observed.pods.iter().filter(|(uid, _)| desired.pods.contains_key(uid));
    let starts = wanted.filter_map(|(_, seen)| resting(seen, now)).map(Deaths::retry_at);
    retries.chain(starts).filter(|retry_at| *retry_at > now.boot).min()
}
